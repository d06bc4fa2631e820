import { X509Certificate } from "node:crypto";
import { IotError } from "@hubwire/protocol";

/** A CA of the hub as stored; it holds nothing secret. */
export type CaCertificate = {
  name: string;
  /** PEM of one certificate. */
  pem: string;
  isVerified: boolean;
  createdAtMs: number;
  updatedAtMs: number;
  /** What the CN of the proof must be; undefined when none was asked for, or it was used. */
  verificationCode: string | undefined;
};

const namePattern = /^[A-Za-z0-9._-]{1,64}$/u;
const block = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/gu;
const pemCharactersMax = 64 * 1024;

/** @throws IotError `ca.bad_name` */
export function checkName(name: string): void {
  if (!namePattern.test(name)) throw new IotError("ca.bad_name", "This is no name for a CA");
}

/**
 * Exactly one certificate.
 * @throws IotError `ca.bad_certificate`
 */
export function readCertificate(pem: string): X509Certificate {
  const [first, ...more] = pem.length > pemCharactersMax ? [] : (pem.match(block) ?? []);
  if (first === undefined || more.length > 0) {
    throw new IotError("ca.bad_certificate", "Expected the PEM of exactly one certificate");
  }
  try {
    return new X509Certificate(first);
  } catch (cause) {
    throw new IotError("ca.bad_certificate", "The certificate cannot be read", { cause });
  }
}

/** @throws IotError `ca.bad_certificate` */
export function readCa(pem: string): X509Certificate {
  const certificate = readCertificate(pem);
  if (certificate.ca) return certificate;
  throw new IotError("ca.bad_certificate", "The certificate is not a CA's (no CA:TRUE)");
}

/**
 * That whoever sent `proof` can sign with the CA's key: its CN is the code, the CA signed it, and it is in its dates.
 * @throws IotError `ca.bad_certificate`, `ca.not_proven`
 */
export function checkProof(
  ca: X509Certificate,
  proofPem: string,
  code: string,
  nowMs: number,
): void {
  const proof = readCertificate(proofPem);
  const cn = /^CN=(.*)$/mu.exec(proof.subject)?.[1];
  if (cn?.toUpperCase() !== code.toUpperCase()) {
    throw new IotError("ca.not_proven", `The CN of the proof is not the code ${code}`);
  }
  if (!isSignedBy(proof, ca)) {
    throw new IotError("ca.not_proven", "The proof was not signed by this CA");
  }
  if (nowMs < Date.parse(proof.validFrom) || nowMs > Date.parse(proof.validTo)) {
    throw new IotError("ca.not_proven", "The proof is outside its dates");
  }
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false; // a key type this OpenSSL does not know
  }
}
