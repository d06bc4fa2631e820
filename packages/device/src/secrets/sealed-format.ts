import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import { scrypt, timingSafeEqual } from "node:crypto";
import { IotError } from "@hubwire/protocol";

/**
 * A sealed file, version 1. All of it but the cipher text is of fixed length:
 *
 *      0  "HUBWSEAL"
 *      8  version, 1 byte
 *      9  log2 N, r, p of scrypt, 1 byte each
 *     12  salt, 16 bytes
 *     28  nonce, 12 bytes
 *     40  check: the first 16 bytes of HMAC-SHA-256 over bytes 0 to 39
 *     56  the secret, AES-256-GCM, with bytes 0 to 55 as additional data
 *     -24 the tag of GCM, 16 bytes
 *     -8  the first 8 bytes of SHA-256 over everything before
 *
 * scrypt gives 64 bytes: the key of AES, then the key of the check. GCM alone cannot tell a wrong passphrase from a damaged
 * file. The digest finds damage without the passphrase; the check finds a wrong passphrase without the secret; what passes
 * both and fails the tag was changed on purpose.
 */
const magic = Buffer.from("HUBWSEAL", "latin1");
const version = 1;
const checkAt = 40;
const secretAt = 56;
const tagBytes = 16;
const digestBytes = 8;

/** How much work scrypt makes of trying one passphrase. Memory is 128 · r · 2^log2N bytes. */
export type SealWork = { log2N: number; r: number; p: number };

/** 32 MiB and about a third of a second on a small computer: OWASP's password storage advice for that much memory. */
export const defaultWork: SealWork = { log2N: 15, r: 8, p: 3 };

/** A file must not be able to ask for all memory or for minutes of work. */
const workBounds = { log2N: [14, 20], r: [8, 16], p: [1, 8] } as const;
const memoryBytesMax = 1024 * 1024 * 1024;

/** Longer ones are no keys or passphrases. */
export const secretBytesMax = 64 * 1024;
export const sealedBytesMax = secretAt + secretBytesMax + tagBytes + digestBytes;

/** What is out of bounds in `work`; undefined when nothing is. */
export function badWork(work: SealWork): string | undefined {
  for (const name of ["log2N", "r", "p"] as const) {
    const [min, max] = workBounds[name];
    const given = work[name];
    if (!Number.isInteger(given) || given < min || given > max) {
      return `${name} is a whole number from ${min} to ${max}, not ${given}`;
    }
  }
  return memoryOf(work) > memoryBytesMax ? "it takes more than 1 GiB of memory" : undefined;
}

export async function seal(
  secret: Uint8Array,
  passphrase: string,
  work: SealWork,
): Promise<Buffer> {
  const head = Buffer.concat([
    magic,
    Uint8Array.of(version, work.log2N, work.r, work.p),
    randomBytes(28),
  ]);
  const { key, checkKey } = await derive(passphrase, head, work);
  const front = Buffer.concat([head, checkOf(checkKey, head)]);
  const cipher = createCipheriv("aes-256-gcm", key, nonceOf(head)).setAAD(front);
  const sealed = Buffer.concat([front, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
  return Buffer.concat([sealed, digestOf(sealed)]);
}

/** @throws IotError `secret.damaged`, `secret.unsupported`, `secret.wrong_passphrase`; `file` is for their messages */
export async function unseal(bytes: Buffer, passphrase: string, file: string): Promise<Buffer> {
  const body = bytes.subarray(0, -digestBytes);
  if (!bytes.subarray(0, magic.length).equals(magic)) throw damaged(file, "it is no sealed file");
  if (bytes.length < secretAt + tagBytes + digestBytes) throw damaged(file, "it is cut off");
  if (!digestOf(body).equals(bytes.subarray(-digestBytes))) {
    throw damaged(file, "its bytes are not those that were written");
  }
  const work = { log2N: body.readUInt8(9), r: body.readUInt8(10), p: body.readUInt8(11) };
  if (body.readUInt8(8) !== version) {
    throw unsupported(file, `it is of version ${body.readUInt8(8)}`);
  }
  const bad = badWork(work);
  if (bad !== undefined) throw unsupported(file, bad);
  const head = body.subarray(0, checkAt);
  const { key, checkKey } = await derive(passphrase, head, work);
  if (!timingSafeEqual(checkOf(checkKey, head), body.subarray(checkAt, secretAt))) {
    throw new IotError("secret.wrong_passphrase", `${file}: the passphrase is not the one it has`);
  }
  const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(head), { authTagLength: tagBytes })
    .setAAD(body.subarray(0, secretAt))
    .setAuthTag(body.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(body.subarray(secretAt, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw damaged(file, "it was changed by somebody who does not have the passphrase", cause);
  }
}

function derive(
  passphrase: string,
  head: Buffer,
  work: SealWork,
): Promise<{ key: Buffer; checkKey: Buffer }> {
  const { log2N, r, p } = work;
  const options = { N: 2 ** log2N, r, p, maxmem: 2 * memoryOf(work) };
  // Composed, because keyboards differ in how they write the same letter.
  const password = Buffer.from(passphrase.normalize("NFC"), "utf8");
  return new Promise((resolve, reject) => {
    scrypt(password, head.subarray(12, 28), 64, options, (error, derived) => {
      if (error === null) resolve({ key: derived.subarray(0, 32), checkKey: derived.subarray(32) });
      else reject(error);
    });
  });
}

const memoryOf = ({ log2N, r, p }: SealWork): number => 128 * r * (2 ** log2N + p + 2);

const nonceOf = (head: Buffer): Buffer => head.subarray(28, checkAt);

const checkOf = (checkKey: Buffer, head: Buffer): Buffer =>
  createHmac("sha256", checkKey).update(head).digest().subarray(0, 16);

const digestOf = (body: Buffer): Buffer =>
  createHash("sha256").update(body).digest().subarray(0, digestBytes);

const damaged = (file: string, what: string, cause?: unknown): IotError =>
  new IotError("secret.damaged", `${file}: ${what}`, cause === undefined ? undefined : { cause });

const unsupported = (file: string, what: string): IotError =>
  new IotError("secret.unsupported", `${file}: ${what}`);
