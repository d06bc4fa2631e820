import { createHash, randomBytes, verify } from "node:crypto";
import type { KeyObject, X509Certificate } from "node:crypto";
import { IotError } from "@hubwire/protocol";
import { isSessionLost } from "./ckr.ts";
import { findKey } from "./keys.ts";
import type { KeyChoice } from "./keys.ts";
import { native } from "./native.ts";
import type { Handle, Mechanism } from "./native.ts";
import type { OpenToken } from "./token-session.ts";
import { readUlong } from "./ulong.ts";

/** DigestInfo of a SHA-256 digest, RFC 8017 §9.2 note 1. */
const sha256DigestInfo = Buffer.from("3031300d060960864801650304020105000420", "hex");
/** Of RSA-16384, and more than any EC signature. */
const signatureBytesMax = 2_048;

/**
 * Lets the key sign something random, and checks that with the certificate: a wrong pair is found before the first handshake.
 * Where the token does not let the key do that (a PIN for each use, only PSS) it is left to the handshake.
 * @throws IotError `pkcs11.key_mismatch`, `pkcs11.key_not_found`, `pkcs11.key_unfit`; errors of the module as they are
 */
export async function checkPossession(
  open: OpenToken,
  choice: KeyChoice,
  certificate: X509Certificate,
): Promise<void> {
  const { module, session } = open;
  const { publicKey } = certificate;
  const key = findKey(module, session, "private", choice);
  const [type] = module.C_GetAttributeValue(session, key, [{ type: native.CKA_KEY_TYPE }]);
  if (type === undefined || readUlong(type.value as Buffer) !== keyTypeOf(publicKey))
    throw mismatch();
  const challenge = randomBytes(32);
  const digest = createHash("sha256").update(challenge).digest();
  if (publicKey.asymmetricKeyType === "ec") {
    const signature = await signed(open, key, { mechanism: native.CKM_ECDSA }, digest);
    const how = { key: publicKey, dsaEncoding: "ieee-p1363" } as const;
    if (signature !== undefined && !verify("sha256", challenge, how, signature)) throw mismatch();
  } else if (publicKey.asymmetricKeyType === "rsa") {
    const input = Buffer.concat([sha256DigestInfo, digest]);
    const signature = await signed(open, key, { mechanism: native.CKM_RSA_PKCS }, input);
    if (signature !== undefined && !verify("sha256", challenge, publicKey, signature))
      throw mismatch();
  }
}

function keyTypeOf({ asymmetricKeyType }: KeyObject): number {
  if (asymmetricKeyType === "ec") return native.CKK_EC;
  if (asymmetricKeyType === "rsa" || asymmetricKeyType === "rsa-pss") return native.CKK_RSA;
  throw new IotError("pkcs11.key_unfit", "The certificate's key is neither EC nor RSA");
}

async function signed(
  { module, session }: OpenToken,
  key: Handle,
  mechanism: Mechanism,
  input: Buffer,
): Promise<Buffer | undefined> {
  try {
    module.C_SignInit(session, mechanism, key);
    return await module.C_SignAsync(session, input, Buffer.alloc(signatureBytesMax));
  } catch (error) {
    if (isSessionLost(error)) throw error;
    return undefined;
  }
}

const mismatch = (): IotError =>
  new IotError(
    "pkcs11.key_mismatch",
    "The private key in the token does not belong to the certificate",
  );
