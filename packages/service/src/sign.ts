import { IotError, decodeBase64Lenient, encodeBase64 } from "@hubwire/protocol";
import type { Sign } from "@hubwire/protocol";

/** HMAC-SHA256 with a key as it stands in a connection string (base64), by the platform's WebCrypto. */
export function signWithKey(sharedAccessKey: string): Sign {
  return signWithBytes(decodeBase64Lenient(sharedAccessKey));
}

/** The same with the bytes of a key. */
export function signWithBytes(key: Uint8Array): Sign {
  if (key.length === 0) {
    throw new IotError("argument.invalid", "The key is empty");
  }
  const { subtle } = globalThis.crypto;
  const imported = subtle.importKey(
    "raw",
    Uint8Array.from(key),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  // Its failure is told by the first call that signs.
  imported.catch(() => {});
  return async (text) =>
    encodeBase64(
      new Uint8Array(await subtle.sign("HMAC", await imported, new TextEncoder().encode(text))),
    );
}
