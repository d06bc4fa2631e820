import { PacketType, packetName } from "./packet-type.ts";
import { Violation } from "./violation.ts";

const EMPTY = new Uint8Array(0);
/** Room a partial frame gets at once; beyond it the room doubles, so that a length prefix alone reserves no memory. */
const CARRY_BYTES = 4096;

/** 0: fine; 1: reserved type; 2: reserved flags; 3: QoS 3. By first byte. */
const headerVerdict = Uint8Array.from({ length: 256 }, (_, header) => {
  const type = header >> 4;
  const flags = header & 0x0f;
  if (type === 0 || type === 15) return 1;
  if (type === PacketType.publish) return (flags & 6) === 6 ? 3 : 0;
  const two =
    type === PacketType.pubrel || type === PacketType.subscribe || type === PacketType.unsubscribe;
  return flags === (two ? 2 : 0) ? 0 : 2;
});

function badHeader(header: number): Violation {
  const name = packetName(header);
  if (headerVerdict[header] === 1) return new Violation("mqtt.packet_type_reserved", name);
  if (headerVerdict[header] === 3) return new Violation("mqtt.qos_reserved", "PUBLISH with QoS 3");
  return new Violation("mqtt.flags_reserved", `${name} with flags ${header & 0x0f}`);
}

/**
 * Splits a byte stream, arriving in chunks cut anywhere, into control packets. A frame that lies within one chunk is
 * shown where it lies; only a frame across chunks is copied, into memory of its own that is never used again. The first
 * byte and the length are judged as soon as they are there, so that a frame above the bound is never buffered.
 *
 * `push` a chunk, then call `next` until it returns false; then look at `violation`.
 */
export class FrameReader {
  /** The frame `next` found: its body is `bytes[bodyStart, bodyEnd)`. */
  bytes: Uint8Array = EMPTY;
  header = 0;
  bodyStart = 0;
  bodyEnd = 0;
  /** Set once; afterwards `next` returns false for ever. */
  violation: Violation | undefined;

  readonly #frameBytesMax: number;
  #chunk: Uint8Array = EMPTY;
  #position = 0;
  /** The beginning of a frame that the chunks so far did not complete. */
  #carry: Uint8Array = EMPTY;
  #carryLength = 0;
  /** Of the carried frame, once its length is known; else 0. */
  #carryFrameBytes = 0;
  /** Set by `#measure`. */
  #prefixBytes = 0;

  /** @param packetBytesMax bound for a whole packet, fixed header included */
  constructor(packetBytesMax: number) {
    this.#frameBytesMax = packetBytesMax;
  }

  /** The chunk before must have been read to its end. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#position = 0;
  }

  /** Takes the bytes not read yet out of the reader. Only between frames. */
  takeRest(): Uint8Array {
    const rest = this.#chunk.subarray(this.#position);
    this.release();
    return rest;
  }

  /** Lets go of all memory. */
  release(): void {
    this.#chunk = EMPTY;
    this.#position = 0;
    this.#carry = EMPTY;
    this.#carryLength = 0;
    this.#carryFrameBytes = 0;
    this.bytes = EMPTY;
  }

  next(): boolean {
    if (this.#carryLength > 0) return this.#nextCarried();
    const chunk = this.#chunk;
    const start = this.#position;
    if (start >= chunk.length || this.violation !== undefined) return this.#done();
    const total = this.#measure(chunk, start, chunk.length);
    if (total < 0) return this.#done();
    if (total > 0 && start + total <= chunk.length) {
      this.header = chunk[start]!;
      this.bytes = chunk;
      this.bodyStart = start + this.#prefixBytes;
      this.bodyEnd = this.#position = start + total;
      return true;
    }
    this.#beginCarry(chunk, start, total);
    return this.#done();
  }

  /** Nothing whole is left: a quiet connection must not keep a chunk alive. */
  #done(): boolean {
    this.#chunk = EMPTY;
    this.#position = 0;
    this.bytes = EMPTY;
    return false;
  }

  /** Bytes of the frame at `start`, 0 if its length is not there yet, -1 after a violation. */
  #measure(bytes: Uint8Array, start: number, end: number): number {
    const header = bytes[start]!;
    if (headerVerdict[header] !== 0) {
      this.violation = badHeader(header);
      return -1;
    }
    let p = start + 1;
    if (p >= end) return 0;
    let byte = bytes[p++]!;
    let remaining = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      if (shift > 21) {
        this.violation = new Violation(
          "mqtt.remaining_length_malformed",
          `${packetName(header)} with a remaining length of more than four bytes`,
        );
        return -1;
      }
      if (p >= end) return 0;
      byte = bytes[p++]!;
      remaining |= (byte & 0x7f) << shift;
    }
    this.#prefixBytes = p - start;
    const total = this.#prefixBytes + remaining;
    if (total > this.#frameBytesMax) {
      this.violation = new Violation(
        "mqtt.packet_too_large",
        `${packetName(header)} of ${total} bytes, the limit is ${this.#frameBytesMax}`,
      );
      return -1;
    }
    return total;
  }

  #beginCarry(chunk: Uint8Array, start: number, total: number): void {
    const have = chunk.length - start;
    this.#carry = new Uint8Array(
      total === 0 ? 8 : Math.min(total, Math.max(CARRY_BYTES, 2 * have)),
    );
    this.#carry.set(start === 0 ? chunk : chunk.subarray(start));
    this.#carryLength = have;
    this.#carryFrameBytes = total;
  }

  #nextCarried(): boolean {
    const chunk = this.#chunk;
    while (this.#carryFrameBytes === 0) {
      if (this.#position >= chunk.length) return this.#done();
      this.#carry[this.#carryLength++] = chunk[this.#position++]!;
      const total = this.#measure(this.#carry, 0, this.#carryLength);
      if (total < 0) {
        this.release();
        return false;
      }
      this.#carryFrameBytes = total;
    }
    const total = this.#carryFrameBytes;
    const take = Math.min(total - this.#carryLength, chunk.length - this.#position);
    this.#fillCarry(chunk.subarray(this.#position, this.#position + take), total);
    this.#position += take;
    if (this.#carryLength < total) return this.#done();

    const carry = this.#carry;
    this.header = carry[0]!;
    this.bytes = carry;
    this.bodyStart = 1;
    while (carry[this.bodyStart++]! >= 0x80);
    this.bodyEnd = total;
    this.#carry = EMPTY;
    this.#carryLength = 0;
    this.#carryFrameBytes = 0;
    return true;
  }

  #fillCarry(bytes: Uint8Array, total: number): void {
    const length = this.#carryLength + bytes.length;
    if (length > this.#carry.length) {
      const roomier = new Uint8Array(Math.min(total, Math.max(CARRY_BYTES, 2 * length)));
      roomier.set(this.#carry.subarray(0, this.#carryLength));
      this.#carry = roomier;
    }
    this.#carry.set(bytes, this.#carryLength);
    this.#carryLength = length;
  }
}
