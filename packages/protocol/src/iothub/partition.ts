import { encodeUtf8 } from "./utf8.ts";

/**
 * Which partition of the built-in endpoint a device's messages go to: the hash that Event Hubs applies to a partition
 * key, so that a consumer that computes it finds the same partition.
 * @param partitionCount 1 or more
 * @returns 0 to partitionCount - 1
 * @see Bob Jenkins' lookup3 (hashlittle2 with both seeds 0); `vectors/partition.json`
 */
export const partitionForDevice = (deviceId: string, partitionCount: number): number =>
  Math.abs(partitionKeyHash(deviceId) % partitionCount);

/** The 16-bit signed hash under `partitionForDevice`. */
export function partitionKeyHash(key: string): number {
  const bytes = encodeUtf8(key);
  const [b, c] = lookup3(bytes);
  return ((b ^ c) << 16) >> 16;
}

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/** Four bytes little-endian; bytes beyond the end are zero, which is how lookup3 pads its last block. */
const word = (bytes: Uint8Array, at: number): number =>
  (bytes[at] ?? 0) |
  ((bytes[at + 1] ?? 0) << 8) |
  ((bytes[at + 2] ?? 0) << 16) |
  ((bytes[at + 3] ?? 0) << 24);

function lookup3(bytes: Uint8Array): [b: number, c: number] {
  let a = (0xdeadbeef + bytes.length) | 0;
  let b = a;
  let c = a;
  if (bytes.length === 0) return [b, c];
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    a = (a + word(bytes, at)) | 0;
    b = (b + word(bytes, at + 4)) | 0;
    c = (c + word(bytes, at + 8)) | 0;
    a = (a - c) ^ rotate(c, 4);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 6);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 8);
    b = (b + a) | 0;
    a = (a - c) ^ rotate(c, 16);
    c = (c + b) | 0;
    b = (b - a) ^ rotate(a, 19);
    a = (a + c) | 0;
    c = (c - b) ^ rotate(b, 4);
    b = (b + a) | 0;
  }
  a = (a + word(bytes, at)) | 0;
  b = (b + word(bytes, at + 4)) | 0;
  c = (c + word(bytes, at + 8)) | 0;
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
  return [b, c];
}
