/**
 * As much of DER (ITU-T X.690) as a certificate request needs, written only. Every function gives one whole element.
 */

const element = (tag: number, ...contents: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
};

/** Short form below 128, else the count of bytes and the bytes, as few as it takes (§8.1.3). */
function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

export const sequence = (...elements: readonly Uint8Array[]): Buffer => element(0x30, ...elements);
/** Of one element: a set of several would have to be sorted. */
export const setOf = (only: Uint8Array): Buffer => element(0x31, only);
/** 0 to 127. */
export const smallInteger = (value: number): Buffer => element(0x02, Buffer.from([value]));
export const utf8String = (text: string): Buffer => element(0x0c, Buffer.from(text, "utf8"));
/** Whole bytes: no bit is unused. */
export const bitString = (bytes: Uint8Array): Buffer => element(0x03, Buffer.from([0]), bytes);
/** `[0] IMPLICIT` around nothing. */
export const emptyContext0 = (): Buffer => element(0xa0);

/** @param dotted such as `1.2.840.10045.4.3.3` */
export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** Seven bits a byte, all but the last with the top bit (§8.19.2). */
function base128(arc: number): number[] {
  const bytes = [arc & 0x7f];
  for (let left = arc >>> 7; left > 0; left >>>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}
