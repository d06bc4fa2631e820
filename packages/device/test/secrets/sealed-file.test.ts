import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { openSealedFile, sealedFile, sealFile } from "@hubwire/device/secrets";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";

const long = process.env["HUBWIRE_LONG"] === "1";
const folder = mkdtempSync(join(tmpdir(), "hubwire-sealed-"));
const file = join(folder, "device.sealed");
const passphrase = randomBytes(12).toString("hex");
const secret = randomBytes(64).toString("base64");
const work = { log2N: 14, r: 8, p: 1 };
let sealed: Buffer;

beforeAll(async () => {
  await sealFile(file, secret, { passphrase, work });
  sealed = readFileSync(file);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The bytes as somebody would leave them who knows the format and not the passphrase. */
function forged(change: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.from(sealed);
  change(bytes);
  const digest = createHash("sha256").update(bytes.subarray(0, -8)).digest();
  digest.copy(bytes, bytes.length - 8, 0, 8);
  return bytes;
}

async function opening(bytes: Uint8Array): Promise<unknown> {
  const other = join(folder, `other-${randomBytes(4).toString("hex")}`);
  writeFileSync(other, bytes);
  return openSealedFile(other, passphrase).catch(
    (error: unknown) => (error as Error & { code: string }).code,
  );
}

test("what was sealed is opened by its passphrase", async () => {
  expect(await openSealedFile(file, passphrase)).toBe(secret);
  expect(await sealedFile(file, { name: "here", read: async () => passphrase }).read()).toBe(
    secret,
  );
  expect(sealed.includes(secret)).toBe(false);
});

test("any text comes back as it was", async () => {
  const any = join(folder, "any.sealed");
  const texts = fc.string({ minLength: 1, maxLength: 300, unit: "grapheme" });
  const property = fc.asyncProperty(texts, async (text) => {
    await sealFile(any, text, { passphrase, work });
    expect(await openSealedFile(any, passphrase)).toBe(text);
  });
  await fc.assert(property, { numRuns: long ? 100 : 4 });
});

test("a letter written in two ways is the same letter in a passphrase", async () => {
  const other = join(folder, "accent.sealed");
  await sealFile(other, secret, { passphrase: "caf\u00e9 au lait", work });
  expect(await openSealedFile(other, "cafe\u0301 au lait")).toBe(secret);
});

test("only its owner may read it, nothing else is left behind, and an old one is replaced", async () => {
  const own = join(folder, "own");
  mkdirSync(own);
  const name = join(own, "s");
  writeFileSync(name, "what was there before", { mode: 0o644 });
  await sealFile(name, secret, { passphrase, work });
  expect(statSync(name).mode & 0o777).toBe(0o600);
  expect(readdirSync(own)).toEqual(["s"]);
  expect(await openSealedFile(name, passphrase)).toBe(secret);
});

test("a place that cannot be written to is told, and nothing is left", async () => {
  const nowhere = join(folder, "missing", "s");
  await expect(sealFile(nowhere, secret, { passphrase, work })).rejects.toMatchObject({
    code: "secret.unreadable",
  });
});

test("a wrong passphrase is told from a damaged file", async () => {
  const wrong = await openSealedFile(file, `${passphrase}x`).catch((error: unknown) => error);
  expect(wrong).toMatchObject({ code: "secret.wrong_passphrase", retryable: false });
  expect(inspect(wrong, { depth: Infinity })).not.toContain(passphrase);
});

test("every bit that flips on the disk is damage, found without trying the passphrase", async () => {
  const anyBit = fc.nat(sealed.length * 8 - 1);
  const property = fc.asyncProperty(anyBit, async (bit) => {
    const bytes = Buffer.from(sealed);
    bytes.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(await opening(bytes)).toBe("secret.damaged");
  });
  await fc.assert(property, { numRuns: long ? 2_000 : 200 });
});

test("every place it may be cut off at, and bytes behind its end, are damage", async () => {
  for (let length = 0; length < sealed.length; length += long ? 1 : 7) {
    expect(await opening(sealed.subarray(0, length)), `cut at ${length}`).toBe("secret.damaged");
  }
  expect(await opening(Buffer.concat([sealed, Buffer.of(0)]))).toBe("secret.damaged");
});

test.each([
  ["a secret changed on purpose", forgedAt(60, 1), "secret.damaged"],
  ["a tag changed on purpose", forgedAt(-9, 1), "secret.damaged"],
  ["a salt changed on purpose", forgedAt(12, 1), "secret.wrong_passphrase"],
  ["a version of the future", (bytes: Buffer) => bytes.writeUInt8(2, 8), "secret.unsupported"],
  ["less work than is safe", (bytes: Buffer) => bytes.writeUInt8(1, 9), "secret.unsupported"],
  ["more memory than there is", (bytes: Buffer) => bytes.writeUInt8(63, 9), "secret.unsupported"],
  [
    "more work than can be waited for",
    (bytes: Buffer) => bytes.writeUInt8(255, 11),
    "secret.unsupported",
  ],
  ["blocks of no size", (bytes: Buffer) => bytes.writeUInt8(0, 10), "secret.unsupported"],
])("%s is refused", async (_name, change, code) => {
  expect(await opening(forged(change))).toBe(code);
});

function forgedAt(offset: number, bits: number): (bytes: Buffer) => void {
  return (bytes) => {
    const at = offset < 0 ? bytes.length + offset : offset;
    bytes.writeUInt8(bytes.readUInt8(at) ^ bits, at);
  };
}

test("what is no sealed file is told as such", async () => {
  expect(await opening(Buffer.from("SharedAccessKey"))).toBe("secret.damaged");
  expect(await opening(Buffer.alloc(100_000))).toBe("secret.unreadable");
  await expect(openSealedFile(folder, passphrase)).rejects.toMatchObject({
    code: "secret.unreadable",
  });
  const missing = openSealedFile(join(folder, "nothing"), passphrase);
  await expect(missing).rejects.toMatchObject({ code: "secret.missing" });
});

test.each([
  ["no secret", "", { passphrase, work }],
  ["a secret over 64 KiB", "x".repeat(65_537), { passphrase, work }],
  ["a short passphrase", "s", { passphrase: "1234567", work }],
  ["too little work", "s", { passphrase, work: { log2N: 10, r: 8, p: 1 } }],
  ["too much work", "s", { passphrase, work: { log2N: 21, r: 8, p: 1 } }],
  ["over a gigabyte", "s", { passphrase, work: { log2N: 20, r: 16, p: 1 } }],
  ["half a unit of work", "s", { passphrase, work: { log2N: 14.5, r: 8, p: 1 } }],
])("%s is not sealed", async (_name, text, options) => {
  const name = join(folder, "never");
  await expect(sealFile(name, text, options)).rejects.toMatchObject({ code: "argument.invalid" });
  expect(readdirSync(folder)).not.toContain("never");
});

test("the folder of the file may be one that only its owner enters", async () => {
  const closed = join(folder, "closed");
  mkdirSync(closed);
  chmodSync(closed, 0o700);
  await sealFile(join(closed, "s"), secret, { passphrase, work });
  expect(await openSealedFile(join(closed, "s"), passphrase)).toBe(secret);
});
