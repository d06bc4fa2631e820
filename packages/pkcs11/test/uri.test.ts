import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IotError } from "@hubwire/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatKeyUri, parseKeyUri } from "../src/uri.ts";

const none = {
  tokenLabel: undefined,
  tokenSerial: undefined,
  slot: undefined,
  keyLabel: undefined,
  keyId: undefined,
  pin: undefined,
};

test.each([
  // RFC 7512 §3 and libp11's README, shortened.
  [
    "pkcs11:token=My%20token;object=my-key;type=private",
    { tokenLabel: "My token", keyLabel: "my-key" },
  ],
  [
    "pkcs11:id=%69%95%3E%5C;slot-id=327",
    { keyId: Buffer.from([0x69, 0x95, 0x3e, 0x5c]), slot: 327 },
  ],
  [
    "pkcs11:serial=0123;object=k?pin-value=the-pin",
    { tokenSerial: "0123", keyLabel: "k", pin: "the-pin" },
  ],
  ["pkcs11:object=k;pin-value=%31%32", { keyLabel: "k", pin: "12" }],
  ["pkcs11:object=%C3%A4%E2%82%AC", { keyLabel: "ä€" }],
  ["pkcs11:", {}],
] as const)("reads %s", (uri, said) => {
  expect(parseKeyUri(uri)).toEqual({ ...none, ...said });
});

test.each([
  "pkcs11",
  "file:/key.pem",
  "pkcs11:object",
  "pkcs11:object=a;object=b",
  "pkcs11:object=%4",
  "pkcs11:type=public",
  "pkcs11:slot-id=one",
  "pkcs11:module-path=/tmp/evil.so",
  "pkcs11:object=a?pin-source=|cat",
])("refuses %s", (uri) => {
  expect(() => parseKeyUri(uri)).toThrow(expect.objectContaining({ code: "argument.invalid" }));
});

test("what it refuses with quotes no PIN", () => {
  for (const uri of [
    "pkcs11:pin-value=11223344;pin-value=11223344",
    "pkcs11:pin-value=11223344%",
  ]) {
    try {
      parseKeyUri(uri);
      expect.fail("it was read");
    } catch (error) {
      expect((error as IotError).message).not.toContain("11223344");
    }
  }
});

test("a PIN file is read without the end of its line, whichever way its path is written", () => {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-pin-"));
  try {
    const file = join(folder, "pin");
    writeFileSync(file, "4711\n", { mode: 0o600 });
    for (const source of [file, `file:${file}`, `file://${file}`])
      expect(parseKeyUri(`pkcs11:object=k?pin-source=${source}`).pin).toBe("4711");
    const missing = `pkcs11:object=k?pin-source=${file}x`;
    expect(() => parseKeyUri(missing)).toThrow(expect.objectContaining({ code: "pkcs11.pin" }));
    writeFileSync(file, "x".repeat(1_025));
    expect(() => parseKeyUri(`pkcs11:?pin-source=${file}`)).toThrow(/longer than 1024 bytes/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("whatever is written is read again, and a PIN is never written", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
  const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    fc.option(of, { nil: undefined });
  const choices = fc.record({
    tokenLabel: maybe(text),
    tokenSerial: maybe(text),
    slot: maybe(fc.nat()),
    keyLabel: maybe(text),
    keyId: maybe(fc.uint8Array({ minLength: 1, maxLength: 32 }).map((id) => Buffer.from(id))),
  });
  fc.assert(
    fc.property(choices, (choice) => {
      const uri = formatKeyUri(Object.assign({ pin: "11223344" }, choice));
      expect(uri).not.toContain("pin");
      expect(uri).toMatch(/^pkcs11:[A-Za-z0-9%=;._~-]*$/);
      expect(parseKeyUri(uri)).toEqual({ ...choice, pin: undefined });
    }),
  );
});
