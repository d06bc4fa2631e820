/** The few things the rules need to know about UTF-8. */

/** The part of the WHATWG classes used here; every runtime has them and no type library of one runtime is needed. */
declare const TextEncoder: new () => { encode(text: string): Uint8Array };
declare const TextDecoder: new (
  label: "utf-8",
  options: { fatal: boolean; ignoreBOM?: boolean },
) => { decode(bytes: Uint8Array): string };

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true });
const looseDecoder = new TextDecoder("utf-8", { fatal: false });

export const encodeUtf8 = (text: string): Uint8Array => encoder.encode(text);

/** A leading byte order mark is dropped. @throws TypeError when the bytes are not UTF-8 */
export const decodeUtf8 = (bytes: Uint8Array): string => strictDecoder.decode(bytes);

/** For showing only: what is not UTF-8 becomes U+FFFD. */
export const decodeUtf8Loose = (bytes: Uint8Array): string => looseDecoder.decode(bytes);

/** Length of `text` in UTF-8 bytes, without encoding it. A lone surrogate counts 3, as its replacement does. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (isPairAt(text, i, unit)) {
      bytes += 2;
      i++;
    } else bytes += 2;
  }
  return bytes;
}

function isPairAt(text: string, index: number, unit: number): boolean {
  if (unit < 0xd800 || unit > 0xdbff) return false;
  const next = text.charCodeAt(index + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}
