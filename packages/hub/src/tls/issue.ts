import { createPrivateKey, KeyObject, webcrypto, X509Certificate } from "node:crypto";
import type * as library from "@peculiar/x509";
import { isAddress } from "./names.ts";
import type { PemPair } from "./pem-pair.ts";

export const dayMs = 86_400_000;
const authorityDays = 3650;
/** Apple's and the CA/Browser Forum's ceiling is 398 days. */
const serverDays = 365;
/** Clients whose clocks are behind must not see a certificate from the future. */
const backdatedMs = dayMs;

export const curve = { name: "ECDSA", namedCurve: "P-256" } as const;
export const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

/** Loaded when a certificate has to be made, which is once a year. The library needs its polyfill first. */
export async function load(): Promise<typeof library> {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

/** A certificate authority for one hub. Its name is its own, so that clients which trust several can tell them apart. */
export async function makeAuthority(wallMs: number): Promise<PemPair> {
  const x509 = await load();
  const keys = await webcrypto.subtle.generateKey(curve, true, ["sign", "verify"]);
  const id = Buffer.from(webcrypto.getRandomValues(new Uint8Array(4))).toString("hex");
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=Hubwire local CA ${id}`,
    notBefore: new Date(wallMs - backdatedMs),
    notAfter: new Date(wallMs + authorityDays * dayMs),
    keys,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pem(certificate), key: pemOfKey(keys.privateKey) };
}

/** A server certificate for `names`, valid a year and never longer than its authority. */
export async function issueServerCertificate(
  authority: PemPair,
  names: readonly string[],
  wallMs: number,
): Promise<PemPair> {
  const x509 = await load();
  const issuer = new x509.X509Certificate(authority.cert);
  const signingKey = await importKey(authority.key);
  const keys = await webcrypto.subtle.generateKey(curve, true, ["sign", "verify"]);
  const notAfterMs = Math.min(wallMs + serverDays * dayMs, issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: "CN=Hubwire hub",
    issuer: issuer.subjectName,
    notBefore: new Date(wallMs - backdatedMs),
    notAfter: new Date(notAfterMs),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isAddress(value) ? "ip" : "dns", value }) as const),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { cert: pem(certificate), key: pemOfKey(keys.privateKey) };
}

/** Whether the certificate belongs to its key; false also when either cannot be read. */
export function isPair({ cert, key }: PemPair): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function importKey(key: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(key).export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", der, curve, false, ["sign"]);
}

export const pem = (certificate: library.X509Certificate): string =>
  `${certificate.toString("pem")}\n`;

export const pemOfKey = (key: webcrypto.CryptoKey): string =>
  KeyObject.from(key).export({ type: "pkcs8", format: "pem" }).toString();

/** 16 random bytes, positive and without leading zeros, as RFC 5280 asks. */
export function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}
