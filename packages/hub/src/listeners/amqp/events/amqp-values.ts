/** The few AMQP encodings (§1.6) an event needs, as bytes. Everything here runs once per record head, not per event. */

const sized = (small: number, large: number, bytes: Buffer): Buffer => {
  if (bytes.length < 256) return Buffer.concat([Buffer.of(small, bytes.length), bytes]);
  const head = Buffer.alloc(5);
  head[0] = large;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
};

export const nothing = Buffer.of(0x40);
export const string = (text: string): Buffer => sized(0xa1, 0xb1, Buffer.from(text, "utf8"));
export const symbol = (text: string): Buffer => sized(0xa3, 0xb3, Buffer.from(text, "latin1"));
export const binary = (bytes: Uint8Array): Buffer => sized(0xa0, 0xb0, Buffer.from(bytes));

export function int64(code: 0x81 | 0x83, value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = code;
  bytes.writeBigInt64BE(BigInt(Math.trunc(value)), 1);
  return bytes;
}
export const long = (value: number): Buffer => int64(0x81, value);
export const timestamp = (ms: number): Buffer => int64(0x83, ms);

/** A described list or map: `0x00 0x53 descriptor`, then the 32-bit form. */
export function section(descriptor: number, code: 0xd0 | 0xd1, items: readonly Buffer[]): Buffer {
  const body = Buffer.concat(items);
  const head = Buffer.alloc(12);
  head.set([0x00, 0x53, descriptor, code]);
  head.writeUInt32BE(body.length + 4, 4);
  head.writeUInt32BE(items.length, 8);
  return Buffer.concat([head, body]);
}
