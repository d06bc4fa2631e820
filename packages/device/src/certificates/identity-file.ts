import { createPrivateKey, randomUUID, X509Certificate } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { IotError } from "@hubwire/protocol";
import type { RenewedCertificate } from "./issued.ts";

/** A key and a chain fit many times over. */
const bytesMax = 256 * 1024;

const keyBlock =
  /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )?PRIVATE KEY-----\n?/u;
const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/gu;

/**
 * Writes key, certificate and chain into **one** file, so that they change together: beside it first, synced, renamed, the
 * directory synced. A power cut leaves the old file or the new one. Only this user may read it (0600).
 * @throws IotError `certificate.store`
 */
export async function writeIdentity(path: string, identity: RenewedCertificate): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // "wx": a name somebody else prepared, a symbolic link perhaps, is not written through.
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(identity.key + identity.cert + identity.chain, "utf8");
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw unusable(`${path} could not be written`, cause);
  }
}

/**
 * @returns undefined when there is no such file
 * @throws IotError `certificate.store` when it is no key with its certificate
 */
export async function readIdentity(path: string): Promise<RenewedCertificate | undefined> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  const key = keyBlock.exec(text)?.[0];
  const [cert, ...chain] = text.match(certificateBlock) ?? [];
  if (key === undefined || cert === undefined)
    throw unusable(`${path} has no private key and certificate`);
  let belong: boolean;
  try {
    belong = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw unusable(`${path} cannot be read`, cause);
  }
  if (!belong) throw unusable(`${path} has a key that is not its certificate's`);
  return { key, cert, chain: chain.join("") };
}

/** @throws IotError `certificate.store` */
export async function removeIdentity(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
  } catch (cause) {
    throw unusable(`${path} could not be removed`, cause);
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      if (size <= bytesMax) return await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unusable(`${path} could not be read`, cause);
  }
  throw unusable(`${path} is longer than ${bytesMax} bytes`);
}

/** Best effort: some platforms cannot open a directory. */
async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch {
    return;
  }
}

const unusable = (message: string, cause?: unknown): IotError =>
  new IotError("certificate.store", message, cause === undefined ? undefined : { cause });
