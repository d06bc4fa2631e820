import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { IotError } from "@hubwire/protocol";
import {
  isMissing,
  readSmallFile,
  replacePrivateFile,
  syncDirectory,
} from "../files/private-file.ts";
import type { RenewedCertificate } from "./issued.ts";

/** A key and a chain fit many times over. */
const bytesMax = 256 * 1024;

const keyBlock =
  /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[^-]+-----END (?:[A-Z]+ )?PRIVATE KEY-----\n?/u;
const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/gu;

/**
 * Writes key, certificate and chain into **one** file, so that they change together.
 * @throws IotError `certificate.store`
 */
export async function writeIdentity(path: string, identity: RenewedCertificate): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replacePrivateFile(path, identity.key + identity.cert + identity.chain);
  } catch (cause) {
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
    return (await readSmallFile(path, bytesMax)).toString("utf8");
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    throw unusable(`${path} could not be read`, cause);
  }
}

const unusable = (message: string, cause?: unknown): IotError =>
  new IotError("certificate.store", message, cause === undefined ? undefined : { cause });
