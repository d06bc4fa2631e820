/// <reference lib="esnext.disposable" preserve="true" />
import { IotError } from "@hubwire/protocol";
import type { Sign } from "@hubwire/protocol";
import { findKey } from "./keys.ts";
import type { KeyChoice } from "./keys.ts";
import { native } from "./native.ts";
import type { Handle } from "./native.ts";
import { TokenSession } from "./token-session.ts";
import type { OpenToken, TokenOptions } from "./token-session.ts";

export type Pkcs11SignOptions = TokenOptions & KeyChoice;

/** Signs; and lets go of the token. */
export type Pkcs11Sign = Sign & AsyncDisposable & { close(): Promise<void> };

/**
 * HMAC-SHA256 with a secret key that stays in its token (CKM_SHA256_HMAC), for SAS tokens: `connect({ credentials: { hostName,
 * deviceId, sign } })`. The key is a generic secret (CKK_GENERIC_SECRET or CKK_SHA256_HMAC) with CKA_SIGN.
 *
 * The token is opened at the first signature, and again when it was away. Close it after the client.
 * @throws IotError from the function it returns: `pkcs11.*`
 */
export function pkcs11Sign(options: Pkcs11SignOptions): Pkcs11Sign {
  const { keyLabel, keyId } = options;
  if (keyLabel === undefined && keyId === undefined)
    throw new IotError("argument.invalid", "pkcs11Sign needs keyLabel or keyId");
  const token = new TokenSession(options);
  const sign = (text: string): Promise<string> =>
    token.run("signing with the token", (open) => hmac(open, { keyLabel, keyId }, text));
  const close = (): Promise<void> => token.close();
  return Object.assign(sign, { close, [Symbol.asyncDispose]: close });
}

/** Of SHA-256. */
const macBytes = 32;

async function hmac(open: OpenToken, choice: KeyChoice, text: string): Promise<string> {
  const { module, session } = open;
  // Looked up each time, some microseconds: a handle may not survive what happens to the token in between.
  const key: Handle = findKey(module, session, "secret", choice);
  module.C_SignInit(session, { mechanism: native.CKM_SHA256_HMAC }, key);
  const mac = await module.C_SignAsync(session, Buffer.from(text, "utf8"), Buffer.alloc(macBytes));
  return mac.toString("base64");
}
