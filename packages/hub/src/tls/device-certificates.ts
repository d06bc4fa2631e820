import { createPrivateKey, webcrypto } from "node:crypto";
import { IotError } from "@hubwire/protocol";
import { curve, dayMs, load, pem, pemOfKey, serialNumber, signingAlgorithm } from "./issue.ts";
import type { PemPair } from "./pem-pair.ts";

const backdatedMs = dayMs;

export type IssueOptions = {
  /** The subject's common name, as it stands. */
  cn: string;
  days: number;
  wallMs: number;
};

/** A CA for devices: its own root, or below `issuer`. */
export async function makeDeviceCa(options: IssueOptions, issuer?: PemPair): Promise<PemPair> {
  return issue(options, issuer, true);
}

/** A device's certificate: its CN is the device id, or `device/module`; of a proof of possession, the code. */
export async function issueDeviceCertificate(ca: PemPair, options: IssueOptions): Promise<PemPair> {
  return issue(options, ca, false);
}

/** A CA may have been made by anybody: P-256, P-384 or RSA. */
async function signingKeyOf(keyPem: string): Promise<webcrypto.CryptoKey> {
  const key = createPrivateKey(keyPem);
  const named = { prime256v1: "P-256", secp384r1: "P-384" }[
    String(key.asymmetricKeyDetails?.namedCurve)
  ];
  const algorithm =
    key.asymmetricKeyType === "rsa"
      ? { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }
      : named === undefined
        ? undefined
        : { name: "ECDSA", namedCurve: named };
  if (algorithm === undefined) {
    throw new IotError("ca.bad_certificate", "A CA's key is RSA, P-256 or P-384");
  }
  const der = key.export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}

async function issue(
  { cn, days, wallMs }: IssueOptions,
  issuer: PemPair | undefined,
  isCa: boolean,
): Promise<PemPair> {
  const x509 = await load();
  const keys = await webcrypto.subtle.generateKey(curve, true, ["sign", "verify"]);
  // As parts, so that no character of an id is read as syntax.
  const subject = new x509.Name([{ CN: [{ utf8String: cn }] }]);
  const above = issuer === undefined ? undefined : new x509.X509Certificate(issuer.cert);
  const signingKey = issuer === undefined ? keys.privateKey : await signingKeyOf(issuer.key);
  const untilMs = wallMs + days * dayMs;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: above?.subjectName ?? subject,
    notBefore: new Date(wallMs - backdatedMs),
    notAfter: new Date(Math.min(untilMs, above?.notAfter.getTime() ?? Infinity)),
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm:
      signingKey.algorithm.name === "ECDSA" ? signingAlgorithm : signingKey.algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(isCa, undefined, true),
      isCa
        ? new x509.KeyUsagesExtension(
            x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
            true,
          )
        : new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ...(isCa ? [] : [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(above?.publicKey ?? keys.publicKey),
    ],
  });
  return { cert: pem(certificate), key: pemOfKey(keys.privateKey) };
}
