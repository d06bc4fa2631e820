import { IotError } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import { readSecret } from "../credentials/secret.ts";
import type { Secret, SecretSource } from "../credentials/secret.ts";
import { replacePrivateFile } from "../files/private-file.ts";
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
  const sealed = await seal(bytes, passphrase, work);
  try {
    await replacePrivateFile(file, sealed);
  } catch (cause) {
    throw new IotError("secret.unreadable", `${file} could not be written`, { cause });
  }
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
