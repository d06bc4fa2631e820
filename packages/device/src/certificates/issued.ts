import { createPrivateKey, X509Certificate } from "node:crypto";
import { IotError } from "@hubwire/protocol";
import { pemOf } from "./pem.ts";

/** A certificate with its key, all PEM; fits wherever a client certificate is asked for. */
export type RenewedCertificate = {
  cert: string;
  /** PKCS#8. */
  key: string;
  /** The issuers, nearest first; "" when there are none. */
  chain: string;
};

/**
 * What the hub sent, after a look at whether this device could use it.
 * @param certificates DER, leaf first
 * @throws IotError `certificate.bad_answer`
 */
export function checkIssued(
  certificates: readonly Uint8Array[],
  key: string,
  deviceId: string,
): RenewedCertificate {
  const [leaf, ...chain] = certificates.map((der) => readDer(der));
  if (leaf === undefined) throw unusable("there is no certificate");
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw unusable("it is for another key");
  if (commonNameOf(leaf) !== deviceId) throw unusable("it is for another device");
  return { cert: pem(leaf), key, chain: chain.map(pem).join("") };
}

const pem = (certificate: X509Certificate): string => pemOf("CERTIFICATE", certificate.raw);

/** `CN=…` is a line of its own in Node's text of a name. */
const commonNameOf = ({ subject }: X509Certificate): string | undefined =>
  /^CN=(.*)$/m.exec(subject)?.[1];

function readDer(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw unusable("it cannot be read", cause);
  }
}

const unusable = (why: string, cause?: unknown): IotError =>
  new IotError(
    "certificate.bad_answer",
    `The certificate the hub issued cannot be used: ${why}`,
    cause === undefined ? undefined : { cause },
  );
