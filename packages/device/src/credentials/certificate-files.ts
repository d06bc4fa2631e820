import { createPrivateKey, X509Certificate } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { IotError } from "@hubwire/protocol";
import type { CertificateFiles, CertificateText } from "./credentials.ts";
import { readSecret } from "./secret.ts";

/** Larger than any certificate with its chain; a device file opened by mistake must not fill the memory. */
const fileBytesMax = 256 * 1024;

const begin = /-----BEGIN [A-Z0-9 ]+-----/gu;
const end = /-----END [A-Z0-9 ]+-----/gu;
const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/gu;

export const namesOf = ({ certFile, keyFile, chainFile }: CertificateFiles): string[] =>
  chainFile === undefined ? [certFile, keyFile] : [certFile, keyFile, chainFile];

/**
 * Which files these are and when they were written: another text whenever one was rewritten, renamed over or is reached
 * through another link.
 * @throws IotError `device.certificate_unreadable`
 */
export async function stampOf(files: CertificateFiles): Promise<string> {
  const stamps = namesOf(files).map(async (file) => {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
      return [dev, ino, size, mtimeNs, ctimeNs].join(":");
    } catch (cause) {
      throw unreadable(file, cause);
    }
  });
  return (await Promise.all(stamps)).join(" ");
}

/**
 * Reads certificate, key and chain, and makes sure that they belong together: whoever replaces three files cannot do it in
 * one step.
 * @throws IotError `device.certificate_unreadable`, `device.certificate_mismatch`, `transport.tls_credentials`, `secret.*`
 */
export async function readCertificate(files: CertificateFiles): Promise<CertificateText> {
  const { certFile, keyFile, chainFile, passphrase, expiryWarningDays } = files;
  const [cert, key, chain] = await Promise.all([
    readPem(certFile),
    readPem(keyFile),
    chainFile === undefined ? undefined : readPem(chainFile),
  ]);
  const secret = passphrase === undefined ? undefined : await readSecret(passphrase);
  const leaf = checkCertificates(certFile, cert)[0] as X509Certificate;
  checkKey(files, leaf, key, secret);
  if (chain !== undefined && chainFile !== undefined) {
    const [issuer] = checkCertificates(chainFile, chain);
    // Some put the leaf itself in front of the chain.
    const fits = issuer !== undefined && (leaf.checkIssued(issuer) || leaf.raw.equals(issuer.raw));
    if (!fits) throw mismatch(`the chain in ${chainFile} did not issue the leaf in ${certFile}`);
  }
  return {
    cert,
    key,
    ...(chain === undefined ? {} : { chain }),
    ...(secret === undefined ? {} : { passphrase: secret }),
    ...(expiryWarningDays === undefined ? {} : { expiryWarningDays }),
  };
}

async function readPem(file: string): Promise<string> {
  try {
    const handle = await open(file, "r");
    try {
      const { size } = await handle.stat();
      if (size > fileBytesMax) throw new Error(`it is larger than ${fileBytesMax} bytes`);
      const bytes = Buffer.alloc(fileBytesMax);
      const { bytesRead } = await handle.read(bytes, 0, fileBytesMax, 0);
      return bytes.toString("utf8", 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function checkCertificates(file: string, pem: string): X509Certificate[] {
  // A text with an end missing was read while it was being written.
  if (pem.match(begin)?.length !== pem.match(end)?.length) {
    throw mismatch(`${file} is written only in part`);
  }
  const blocks = pem.match(certificateBlock);
  if (blocks === null) {
    if (pem.trim() === "") throw mismatch(`${file} is empty`);
    throw unreadable(file, new Error("it holds no PEM of a certificate"));
  }
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    throw mismatch(`${file} holds a certificate that cannot be read`, cause);
  }
}

function checkKey(
  { certFile, keyFile }: CertificateFiles,
  leaf: X509Certificate,
  key: string,
  passphrase: string | undefined,
): void {
  if (key.match(end) === null) throw mismatch(`${keyFile} is empty or written only in part`);
  let belongs: boolean;
  try {
    const privateKey = createPrivateKey(passphrase === undefined ? key : { key, passphrase });
    belongs = leaf.checkPrivateKey(privateKey);
  } catch (cause) {
    // OpenSSL has many words for a passphrase that is missing or wrong.
    if (key.includes("ENCRYPTED")) {
      const text = `${keyFile} is encrypted, and the passphrase is missing or wrong`;
      throw new IotError("transport.tls_credentials", text, { cause });
    }
    throw mismatch(`${keyFile} holds no private key that can be read`, cause);
  }
  if (!belongs) {
    throw mismatch(`the key in ${keyFile} does not belong to the certificate in ${certFile}`);
  }
}

const mismatch = (what: string, cause?: unknown): IotError =>
  new IotError("device.certificate_mismatch", what, cause === undefined ? undefined : { cause });

const unreadable = (file: string, cause: unknown): IotError =>
  new IotError(
    "device.certificate_unreadable",
    `${file}: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );
