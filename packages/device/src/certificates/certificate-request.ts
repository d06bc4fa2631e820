import { createPublicKey, generateKeyPair, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { invalid } from "../calls/errors.ts";
import {
  bitString,
  emptyContext0,
  objectId,
  sequence,
  setOf,
  smallInteger,
  utf8String,
} from "./der.ts";
import { pemOf } from "./pem.ts";

/** A key that was just made, and a request for a certificate for it. */
export type KeyAndRequest = {
  /** PEM, PKCS#8: keep it as the secret it is. */
  key: string;
  /** Base64 of PKCS#10 in DER, as the hub (`csr`) and the provisioning service want it. */
  csr: string;
};

const commonName = "2.5.4.3";
const ecdsaWithSha384 = "1.2.840.10045.4.3.3";
/** Upper bound of a common name (RFC 5280, ub-common-name); a longer device id gets no certificate. */
const commonNameMax = 64;

/**
 * Makes an EC key on P-384 and a certificate request for it, signed with SHA-384: what Azure's certificate authority expects.
 * @param name the common name: the device id for a hub, the registration id for the provisioning service
 * @throws IotError `argument.invalid`
 */
export async function makeCertificateRequest(name: string): Promise<KeyAndRequest> {
  if (name === "" || name.length > commonNameMax)
    throw invalid(`A certificate's common name has 1 to ${commonNameMax} characters`);
  const { privateKey } = await promisify(generateKeyPair)("ec", { namedCurve: "P-384" });
  const csr = encodeRequest(name, privateKey).toString("base64");
  return { key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), csr };
}

/** For programs that want PEM, such as `openssl req`. */
export const requestPem = (csr: string): string =>
  pemOf("CERTIFICATE REQUEST", Buffer.from(csr, "base64"));

/** RFC 2986 §4. */
function encodeRequest(name: string, privateKey: KeyObject): Buffer {
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  const subject = sequence(setOf(sequence(objectId(commonName), utf8String(name))));
  const info = sequence(smallInteger(0), subject, publicKey, emptyContext0());
  const signature = sign("sha384", info, privateKey);
  return sequence(info, sequence(objectId(ecdsaWithSha384)), bitString(signature));
}
