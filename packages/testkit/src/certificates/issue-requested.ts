import { webcrypto } from "node:crypto";
import type { TestCertificate } from "./certificates.ts";

export type RequestedOptions = {
  notBefore: Date;
  notAfter: Date;
  /** Another name than the one that was asked for, as a broken authority might issue. */
  cn?: string;
};

/**
 * What a certificate authority makes of a PKCS#10 request: checks its signature, then issues a certificate for its subject
 * and key.
 * @param csr DER
 * @returns DER
 * @throws Error when the request is none, or not signed by its own key
 */
export async function issueRequested(
  csr: Uint8Array,
  authority: TestCertificate,
  { cn, ...dates }: RequestedOptions,
): Promise<Uint8Array> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const request = new x509.Pkcs10CertificateRequest(Buffer.from(csr));
  if (!(await request.verify())) throw new Error("the request is not signed by its own key");
  const pkcs8 = Buffer.from(authority.key.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const signingKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: cn === undefined ? request.subject : `CN=${cn}`,
    issuer: new x509.X509Certificate(Buffer.from(authority.raw)).subjectName,
    publicKey: request.publicKey,
    signingKey,
    signingAlgorithm: algorithm,
    ...dates,
    extensions: [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
  });
  return new Uint8Array(certificate.rawData);
}
