/** Base64 without a platform API, so that the rules run unchanged on every runtime. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SKIP = 255;

/** Code unit to six-bit value. The URL-safe letters `-` and `_` count as `+` and `/`, as in Node's Buffer. */
const sixBits = new Uint8Array(128).fill(SKIP);
for (let i = 0; i < ALPHABET.length; i++) sixBits[ALPHABET.charCodeAt(i)] = i;
sixBits["-".charCodeAt(0)] = 62;
sixBits["_".charCodeAt(0)] = 63;

/**
 * Decodes what any SDK would decode: foreign characters are skipped, the first `=` ends the data, a single letter left
 * over is dropped. Never throws. Keys in the wild (the connection guide's own sample) are not canonical base64.
 * @see observed in Node's `Buffer.from(text, "base64")` and Python's `base64.b64decode`
 */
export function decodeBase64Lenient(text: string): Uint8Array {
  const bytes = new Uint8Array((text.length * 3) >> 2);
  let length = 0;
  let bits = 0;
  let bitCount = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x3d) break;
    const value = unit < 128 ? (sixBits[unit] ?? SKIP) : SKIP;
    if (value === SKIP) continue;
    bits = ((bits << 6) | value) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[length++] = (bits >> bitCount) & 0xff;
    }
  }
  return bytes.subarray(0, length);
}

/** Canonical base64 (RFC 4648 §4) with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += ALPHABET.charAt(bits >> 18) + ALPHABET.charAt((bits >> 12) & 63);
    text += left > 1 ? ALPHABET.charAt((bits >> 6) & 63) : "=";
    text += left > 2 ? ALPHABET.charAt(bits & 63) : "=";
  }
  return text;
}

/** Sizes of a symmetric key that the identity registry stores (Azure IoT Hub docs: base64 of 16 to 64 bytes). */
export const symmetricKeyBytesMin = 16;
export const symmetricKeyBytesMax = 64;

/** Whether the registry would store this text as a symmetric key: canonical base64 of 16 to 64 bytes. */
export function isCanonicalKey(text: string): boolean {
  if (text.length > 4 * Math.ceil(symmetricKeyBytesMax / 3)) return false;
  const bytes = decodeBase64Lenient(text);
  return (
    bytes.length >= symmetricKeyBytesMin &&
    bytes.length <= symmetricKeyBytesMax &&
    encodeBase64(bytes) === text
  );
}
