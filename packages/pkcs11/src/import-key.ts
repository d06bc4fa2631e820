import { IotError } from "@hubwire/protocol";
import { findKeys, keyIdBytes } from "./keys.ts";
import { native } from "./native.ts";
import { TokenSession } from "./token-session.ts";
import type { TokenOptions } from "./token-session.ts";

export type ImportKeyOptions = TokenOptions & {
  /** The device's key, base64 as the hub shows it; or its bytes. 16 to 64 bytes. */
  key: string | Uint8Array;
  /** CKA_LABEL: how to find it again. */
  keyLabel: string;
  /** CKA_ID: hex or bytes. */
  keyId?: string | Uint8Array | undefined;
};

/** What IoT Hub takes as a symmetric key. */
const keyBytesMin = 16;
const keyBytesMax = 64;

/**
 * Puts a device's shared access key into a token, for good: sensitive and not extractable, usable for signatures only. Nothing
 * can read it back; destroy what it came from.
 * @throws IotError `pkcs11.*`, `argument.invalid`; also when the token has a secret key with this label
 */
export async function importSasKey(options: ImportKeyOptions): Promise<void> {
  const { key, keyLabel } = options;
  const value = typeof key === "string" ? Buffer.from(key, "base64") : Buffer.from(key);
  if (value.length < keyBytesMin || value.length > keyBytesMax)
    throw invalid(`A shared access key has ${keyBytesMin} to ${keyBytesMax} bytes`);
  if (keyLabel === "") throw invalid("keyLabel is empty");
  const keyId = keyIdBytes(options.keyId);
  const token = new TokenSession(options, "writable");
  try {
    await token.run("importing the key", ({ module, session }) => {
      if (findKeys(module, session, "secret", { keyLabel }).length > 0)
        throw invalid(`The token has a secret key ${keyLabel} already`);
      module.C_CreateObject(session, [
        { type: native.CKA_CLASS, value: native.CKO_SECRET_KEY },
        { type: native.CKA_KEY_TYPE, value: native.CKK_GENERIC_SECRET },
        { type: native.CKA_LABEL, value: keyLabel },
        ...(keyId === undefined ? [] : [{ type: native.CKA_ID, value: keyId }]),
        { type: native.CKA_TOKEN, value: true },
        { type: native.CKA_PRIVATE, value: true },
        { type: native.CKA_SENSITIVE, value: true },
        { type: native.CKA_EXTRACTABLE, value: false },
        { type: native.CKA_SIGN, value: true },
        { type: native.CKA_VALUE, value },
      ]);
    });
  } finally {
    value.fill(0);
    await token.close();
  }
}

const invalid = (message: string): IotError => new IotError("argument.invalid", message);
