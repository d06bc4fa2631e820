import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { IotError } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import { readSecret } from "../credentials/secret.ts";
import type { Secret, SecretSource } from "../credentials/secret.ts";
import { readBounded } from "./read-bounded.ts";
import {
  badWork,
  defaultWork,
  seal,
  sealedBytesMax,
  secretBytesMax,
  unseal,
} from "./sealed-format.ts";
import type { SealWork } from "./sealed-format.ts";

export type SealOptions = {
  /** At least 8 characters, or where it is. */
  passphrase: Secret;
  /** What trying one passphrase costs; the default takes 32 MiB and a third of a second on a small computer. */
  work?: SealWork;
};

const passphraseCharactersMin = 8;

/**
 * Writes a secret (a key, a connection string, a PIN; at most 64 KiB) to a file that only its passphrase opens. The file is
 * written beside its place with the rights 0600, brought to the disk, and put in place in one step: afterwards there is the
 * old one or the new one.
 * @throws IotError `argument.invalid`, `secret.*`; what the file system throws
 */
export async function sealFile(file: string, secret: string, options: SealOptions): Promise<void> {
  const { work = defaultWork } = options;
  const bytes = Buffer.from(secret, "utf8");
  if (bytes.length === 0 || bytes.length > secretBytesMax) {
    throw invalid(`The secret has 1 to ${secretBytesMax} bytes, not ${bytes.length}`);
  }
  const bad = badWork(work);
  if (bad !== undefined) throw invalid(`work: ${bad}`);
  const passphrase = await readSecret(options.passphrase);
  if (passphrase.length < passphraseCharactersMin) {
    throw invalid(`The passphrase has at least ${passphraseCharactersMin} characters`);
  }
  await replaceFile(file, await seal(bytes, passphrase, work));
}

/**
 * The secret in a sealed file.
 * @throws IotError `secret.missing`, `secret.unreadable`, `secret.wrong_passphrase`, `secret.damaged`, `secret.unsupported`
 */
export async function openSealedFile(file: string, passphrase: Secret): Promise<string> {
  const bytes = await readBounded(file, sealedBytesMax);
  const secret = await unseal(bytes, await readSecret(passphrase), file);
  return secret.toString("utf8");
}

/** A sealed file as a place where a secret lives; opened anew, with all the work of it, for each token or connection. */
export const sealedFile = (file: string, passphrase: Secret): SecretSource => ({
  name: `the sealed file ${file}`,
  read: () => openSealedFile(file, passphrase),
});

async function replaceFile(file: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(file);
  const beside = join(folder, `.${basename(file)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const handle = await open(beside, "wx", 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } catch (cause) {
    await rm(beside, { force: true });
    throw new IotError("secret.unreadable", `${file} could not be written`, { cause });
  }
  await syncFolder(folder);
}

/** The new name is on the disk too. Windows has no such thing and refuses to open folders. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
