import type { Outgoing } from "../telemetry/outgoing.ts";
import type { StoredMessage } from "./store.ts";

/**
 * A message on disk, format version 1, numbers little-endian:
 *
 *      0 u8  format version         8 f64 accepted at, wall clock, Unix ms
 *      1 u8  flags: 1 = QoS 1      16 f64 time to live in ms, 0 = for ever
 *      2 u16 length of the bag     24 the property bag, as it stands in a topic
 *      4 u32 size the hub counts      the payload, to the end
 *
 * The topic is made when the message is sent: the device may belong to another hub by then.
 */
export const recordVersion = 1;
const headBytes = 24;
const qos1Flag = 1;

export const recordBytes = (bagLength: number, payloadLength: number): number =>
  headBytes + bagLength + payloadLength;

/** Writes records one at a time into a memory of its own, from where the log copies them. */
export class RecordEncoder {
  #bytes = Buffer.allocUnsafeSlow(2_048);

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The record is `bytes` up to what is returned, until the next call. */
  encode(message: Outgoing): number {
    const { topic, prefix, payload, qos, sizeBytes, acceptedAtMs, ttlMs } = message;
    const bag = prefix.length === topic.length ? "" : topic.slice(prefix.length);
    const end = recordBytes(bag.length, payload.length);
    if (end > this.#bytes.length) this.#bytes = Buffer.allocUnsafeSlow(2 * end);
    const bytes = this.#bytes;
    bytes[0] = recordVersion;
    bytes[1] = qos === 1 ? qos1Flag : 0;
    bytes.writeUInt16LE(bag.length, 2);
    bytes.writeUInt32LE(sizeBytes, 4);
    bytes.writeDoubleLE(acceptedAtMs, 8);
    bytes.writeDoubleLE(ttlMs, 16);
    // A bag is ASCII: everything else in it is percent-encoded.
    if (bag !== "") bytes.write(bag, headBytes, "latin1");
    bytes.set(payload, headBytes + bag.length);
    return end;
  }
}

/** Undefined when these bytes are no record of this version. The payload is a view of them. */
export function decodeRecord(
  sequenceNumber: number,
  from: Uint8Array,
  overheadBytes: number,
): StoredMessage | undefined {
  const bytes = Buffer.from(from.buffer, from.byteOffset, from.byteLength);
  if (bytes.length < headBytes || bytes[0] !== recordVersion) return undefined;
  const bagLength = bytes.readUInt16LE(2);
  if (headBytes + bagLength > bytes.length) return undefined;
  return {
    sequenceNumber,
    bag: bytes.toString("latin1", headBytes, headBytes + bagLength),
    payload: bytes.subarray(headBytes + bagLength),
    qos: ((bytes[1] ?? 0) & qos1Flag) === 0 ? 0 : 1,
    sizeBytes: bytes.readUInt32LE(4),
    acceptedAtMs: bytes.readDoubleLE(8),
    ttlMs: bytes.readDoubleLE(16),
    bytes: bytes.length + overheadBytes,
  };
}
