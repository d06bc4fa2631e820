import type { Lane } from "../telemetry/lane.ts";

/**
 * How far the hub has acknowledged, as it is kept on disk beside the messages: for each priority the number of the first that
 * is not settled, and the ranges behind it that are. Format version 1, numbers little-endian:
 *
 *     0 u8 format version of the whole outbox, 1 u8 priorities; then for each priority
 *     f64 before, u32 ranges, and for each range f64 start, f64 end (exclusive)
 *
 * Every outbox has such a record from its birth on; without one it was not finished being made.
 */
export const outboxFormatVersion = 1;

/** More ranges than this are not saved: what is in them is sent again after a crash. */
const rangesMax = 64;

export type Cursor = { before: number; ranges: number[] }[];

export function encodeCursor(lanes: readonly Lane[]): Uint8Array {
  let length = 2;
  for (const { settled } of lanes)
    length += 12 + 8 * Math.min(settled.ranges.length, 2 * rangesMax);
  const bytes = Buffer.alloc(length);
  bytes[0] = outboxFormatVersion;
  bytes[1] = lanes.length;
  let at = 2;
  for (const { settled } of lanes) {
    const ranges = settled.ranges.slice(0, 2 * rangesMax);
    at = bytes.writeDoubleLE(settled.before, at);
    at = bytes.writeUInt32LE(ranges.length / 2, at);
    for (const edge of ranges) at = bytes.writeDoubleLE(edge, at);
  }
  return bytes;
}

/** Of the outbox that wrote it. */
export const versionOf = (cursor: Uint8Array): number => cursor[0] ?? 0;

/** Of this version; the log has seen to it that the bytes are those that were written. */
export function decodeCursor(from: Uint8Array): Cursor {
  const bytes = Buffer.from(from.buffer, from.byteOffset, from.byteLength);
  const cursor: Cursor = [];
  let at = 2;
  for (let lane = 0; lane < (bytes[1] ?? 0); lane++) {
    const before = bytes.readDoubleLE(at);
    const ranges: number[] = [];
    const edges = 2 * bytes.readUInt32LE(at + 8);
    at += 12;
    for (let edge = 0; edge < edges; edge++, at += 8) ranges.push(bytes.readDoubleLE(at));
    cursor.push({ before, ranges });
  }
  return cursor;
}
