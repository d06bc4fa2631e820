import type { Counters } from "./counters.ts";
import {
  claimedVersion,
  findMagic,
  formatVersion,
  frameHeaderBytes,
  frameKinds,
  isBodyIntact,
  readFrameHeader,
  readUint64,
  recordHeaderBytes,
} from "./format.ts";
import type { FrameHeader } from "./format.ts";
import { LogError } from "./log-error.ts";
import { decodeOpening } from "./opening-frame.ts";
import type { Opening } from "./opening-frame.ts";
import { Segment } from "./segment.ts";

export type Scan = {
  segment: Segment;
  opening: Opening;
  /** Where the partitions stand at its end. */
  counters: Counters;
  /** File offset of its last batch frame; undefined while it has none. */
  lastFrameOffset: number | undefined;
};

/**
 * Reads a whole segment file: accepts frames while each is intact and its first position is the expected
 * one, and builds the index. Undefined when the file does not begin with an opening frame.
 * @throws LogError `log.format_newer`
 */
export function scanSegment(bytes: Buffer, path: string): Scan | undefined {
  const version = claimedVersion(bytes, 0);
  if (version !== undefined && version > formatVersion) throw newerFormat(path, version);
  const opening = decodeOpening(bytes);
  if (!opening) return undefined;
  const counters = opening.counters.copy();
  const segment = new Segment(path, opening);
  let lastFrameOffset: number | undefined;
  for (;;) {
    const at = segment.endOffset;
    const frame = acceptableFrame(bytes, at, opening);
    if (!frame) break;
    const before = counters.copy();
    if (!countRecords(bytes, at, frame, counters)) {
      throw corrupt(path, at, "a frame's records do not follow the ones before");
    }
    segment.extend(frame.lengthBytes, frame.timeMs, before);
    lastFrameOffset = at;
  }
  return { segment, opening, counters, lastFrameOffset };
}

/** The intact batch frame that belongs exactly at this place of this segment, if one is there. */
export function acceptableFrame(
  bytes: Buffer,
  at: number,
  opening: Pick<Opening, "salt" | "position">,
): FrameHeader | undefined {
  const frame = readFrameHeader(bytes, at, opening.salt);
  if (frame?.kind !== frameKinds.batch || frame.position !== opening.position + at) {
    return undefined;
  }
  return isBodyIntact(bytes, at, frame, opening.salt) ? frame : undefined;
}

/**
 * Every frame is written only after all bytes before it were synced. So an intact frame behind a broken
 * place says that the broken place is no torn tail, but that committed bytes changed.
 */
export function frameBehind(
  bytes: Buffer,
  from: number,
  opening: Pick<Opening, "salt" | "position">,
): number | undefined {
  for (let at = findMagic(bytes, from); at !== -1; at = findMagic(bytes, at + 1)) {
    if (acceptableFrame(bytes, at, opening)) return at;
  }
  return undefined;
}

/** Calls back for each record of an intact frame; false when they do not fill it exactly. */
export function eachRecord(
  bytes: Buffer,
  at: number,
  frame: Pick<FrameHeader, "lengthBytes" | "records">,
  visit: (partition: number, sequenceNumber: number, start: number, end: number) => void,
): boolean {
  const frameEnd = at + frame.lengthBytes;
  let next = at + frameHeaderBytes;
  for (let i = 0; i < frame.records; i++) {
    const start = next + recordHeaderBytes;
    if (start > frameEnd) return false;
    const end = start + bytes.readUInt32LE(next);
    if (end > frameEnd) return false;
    visit(bytes.readUInt16LE(next + 4), readUint64(bytes, next + 8), start, end);
    next = end;
  }
  return next === frameEnd;
}

function countRecords(bytes: Buffer, at: number, frame: FrameHeader, counters: Counters): boolean {
  let inOrder = true;
  const whole = eachRecord(bytes, at, frame, (partition, sequenceNumber, start, end) => {
    if (counters.sequenceNumber[partition] !== sequenceNumber) inOrder = false;
    counters.count(partition, recordHeaderBytes + end - start);
    counters.timeMs[partition] = frame.timeMs;
  });
  return whole && inOrder;
}

export function corrupt(path: string, at: number, what: string): LogError {
  return new LogError("log.corrupt", `${path}, byte ${at}: ${what}`);
}

function newerFormat(path: string, version: number): LogError {
  return new LogError(
    "log.format_newer",
    `${path} has log format ${version}; this release reads up to format ${formatVersion}`,
  );
}
