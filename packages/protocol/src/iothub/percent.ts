/** Percent coding of UTF-8 (RFC 3986). A `+` is a plus everywhere in IoT Hub, never a space. */

const LEFT_BARE_BY_THE_LANGUAGE = /[!'()*]/g;
const upperHex = (letter: string): string => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`;

/**
 * Encodes everything but the unreserved characters of RFC 3986, upper-case hex.
 * @returns undefined when `text` has a lone surrogate and thus no UTF-8 form
 */
export function percentEncode(text: string): string | undefined {
  try {
    return encodeURIComponent(text).replace(LEFT_BARE_BY_THE_LANGUAGE, upperHex);
  } catch {
    return undefined;
  }
}

/** Decodes once. @returns undefined when a `%` is not followed by two hex digits or the bytes are not UTF-8 */
export function percentDecode(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
