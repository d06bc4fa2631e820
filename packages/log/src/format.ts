/**
 * Bytes on disk, format version 1; all numbers little-endian.
 *
 * A segment file is an opening frame, then batch frames back to back, then zeros to its full size.
 *
 *     frame header (40)                     record in a batch frame (16 + bytes)
 *      0 u32 magic                           0 u32 length of the bytes
 *      4 u8  format version                  4 u16 partition
 *      5 u8  kind (1 opening, 2 batch)       6 u16 zero
 *      6 u16 zero                            8 u64 sequence number
 *      8 u32 length, header included        16 the bytes
 *     12 u32 record count
 *     16 u64 first position: logical byte position in the commit log since its creation
 *     24 u64 time, Unix ms: the enqueued time of all its records
 *     32 u32 CRC-32 of the body
 *     36 u32 CRC-32 of the 36 bytes before
 *
 * Both checksums of a batch frame start from the log's salt, a random number kept in the opening
 * frames: record bytes come from devices, and a device that cannot know the salt cannot send bytes
 * that would pass for a frame if a crash left them where one is expected.
 */
import { crc32 } from "node:zlib";

export const formatVersion = 1;
export const frameHeaderBytes = 40;
export const recordHeaderBytes = 16;
export const frameKinds = { opening: 1, batch: 2 } as const;

const magic = 0x4c574248;
const magicBytes = Buffer.from("HBWL", "latin1");

export type FrameHeader = {
  kind: number;
  /** Of the whole frame, header included. */
  lengthBytes: number;
  records: number;
  position: number;
  timeMs: number;
};

/** Fills in the header of the frame whose body is at `start + frameHeaderBytes` … `end`. */
export function sealFrame(
  buffer: Buffer,
  start: number,
  end: number,
  frame: Omit<FrameHeader, "lengthBytes">,
  salt: number,
): void {
  buffer.writeUInt32LE(magic, start);
  buffer.writeUInt8(formatVersion, start + 4);
  buffer.writeUInt8(frame.kind, start + 5);
  buffer.writeUInt16LE(0, start + 6);
  buffer.writeUInt32LE(end - start, start + 8);
  buffer.writeUInt32LE(frame.records, start + 12);
  writeUint64(buffer, frame.position, start + 16);
  writeUint64(buffer, frame.timeMs, start + 24);
  buffer.writeUInt32LE(crc32(buffer.subarray(start + frameHeaderBytes, end), salt), start + 32);
  buffer.writeUInt32LE(crc32(buffer.subarray(start, start + 36), salt), start + 36);
}

/** The header at `at`, or undefined when those bytes are not one: magic, version or checksum differ. */
export function readFrameHeader(buffer: Buffer, at: number, salt: number): FrameHeader | undefined {
  if (at + frameHeaderBytes > buffer.length) return undefined;
  if (buffer.readUInt32LE(at) !== magic || buffer.readUInt8(at + 4) !== formatVersion) {
    return undefined;
  }
  const checksum = crc32(buffer.subarray(at, at + 36), salt);
  if (checksum !== buffer.readUInt32LE(at + 36)) return undefined;
  const lengthBytes = buffer.readUInt32LE(at + 8);
  if (lengthBytes < frameHeaderBytes) return undefined;
  return {
    kind: buffer.readUInt8(at + 5),
    lengthBytes,
    records: buffer.readUInt32LE(at + 12),
    position: readUint64(buffer, at + 16),
    timeMs: readUint64(buffer, at + 24),
  };
}

/** Whether the frame's body, all of which must be in `buffer`, is as it was sealed. */
export function isBodyIntact(
  buffer: Buffer,
  at: number,
  frame: FrameHeader,
  salt: number,
): boolean {
  const end = at + frame.lengthBytes;
  if (end > buffer.length) return false;
  const checksum = crc32(buffer.subarray(at + frameHeaderBytes, end), salt);
  return checksum === buffer.readUInt32LE(at + 32);
}

/** The version a frame at `at` claims; undefined when there is no magic. Not covered by a checksum. */
export function claimedVersion(buffer: Buffer, at: number): number | undefined {
  if (at + frameHeaderBytes > buffer.length || buffer.readUInt32LE(at) !== magic) return undefined;
  return buffer.readUInt8(at + 4);
}

/** Where the next thing that looks like a frame begins; -1 when none does. */
export function findMagic(buffer: Buffer, from: number): number {
  return buffer.indexOf(magicBytes, from);
}

/** Writes a record's header at `at`; its bytes follow at `at + recordHeaderBytes`. */
export function writeRecordHeader(
  buffer: Buffer,
  at: number,
  lengthBytes: number,
  partition: number,
  sequenceNumber: number,
): void {
  buffer.writeUInt32LE(lengthBytes, at);
  buffer.writeUInt32LE(partition, at + 4);
  writeUint64(buffer, sequenceNumber, at + 8);
}

const twoTo32 = 0x1_0000_0000;

export function writeUint64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32LE(value >>> 0, at);
  buffer.writeUInt32LE((value / twoTo32) >>> 0, at + 4);
}

export function readUint64(buffer: Buffer, at: number): number {
  return buffer.readUInt32LE(at + 4) * twoTo32 + buffer.readUInt32LE(at);
}
