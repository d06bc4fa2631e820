import { Counters } from "./counters.ts";
import {
  frameHeaderBytes,
  frameKinds,
  isBodyIntact,
  readFrameHeader,
  readUint64,
  sealFrame,
  writeUint64,
} from "./format.ts";

/**
 * The first frame of a segment: everything needed to read on when all older segments are gone.
 *
 *     after the frame header: 0 u32 salt, 4 u32 partitions, 8 u64 segment number, 16 u64 file size;
 *     then for each partition u64 next sequence number, u64 next offset, u64 offset of the last
 *     record, u64 its enqueued time
 */
export type Opening = {
  salt: number;
  number: number;
  /** The segment file's full size. A shorter file was cut by somebody. */
  sizeBytes: number;
  /** Logical position of this frame: where the segment before ended. */
  position: number;
  /** The enqueued time the log had reached. */
  timeMs: number;
  counters: Counters;
};

const fixedBytes = frameHeaderBytes + 24;
const partitionBytes = 32;
/** The salt is inside, so its own checksums start from a fixed number. */
const seed = 0;

export function openingBytes(partitions: number): number {
  return fixedBytes + partitions * partitionBytes;
}

export function encodeOpening(opening: Opening): Buffer {
  const { counters } = opening;
  const frame = Buffer.alloc(openingBytes(counters.partitions));
  frame.writeUInt32LE(opening.salt, frameHeaderBytes);
  frame.writeUInt32LE(counters.partitions, frameHeaderBytes + 4);
  writeUint64(frame, opening.number, frameHeaderBytes + 8);
  writeUint64(frame, opening.sizeBytes, frameHeaderBytes + 16);
  for (let p = 0; p < counters.partitions; p++) {
    const at = fixedBytes + p * partitionBytes;
    writeUint64(frame, counters.sequenceNumber[p] ?? 0, at);
    writeUint64(frame, counters.offset[p] ?? 0, at + 8);
    writeUint64(frame, counters.lastOffset[p] ?? 0, at + 16);
    writeUint64(frame, counters.timeMs[p] ?? 0, at + 24);
  }
  const { position, timeMs } = opening;
  sealFrame(
    frame,
    0,
    frame.length,
    { kind: frameKinds.opening, records: 0, position, timeMs },
    seed,
  );
  return frame;
}

/** Undefined when the segment does not begin with an intact opening frame. */
export function decodeOpening(segment: Buffer): Opening | undefined {
  const frame = readFrameHeader(segment, 0, seed);
  if (frame?.kind !== frameKinds.opening || !isBodyIntact(segment, 0, frame, seed))
    return undefined;
  const partitions = segment.readUInt32LE(frameHeaderBytes + 4);
  if (frame.lengthBytes !== openingBytes(partitions)) return undefined;
  const counters = new Counters(partitions);
  for (let p = 0; p < partitions; p++) {
    const at = fixedBytes + p * partitionBytes;
    counters.sequenceNumber[p] = readUint64(segment, at);
    counters.offset[p] = readUint64(segment, at + 8);
    counters.lastOffset[p] = readUint64(segment, at + 16);
    counters.timeMs[p] = readUint64(segment, at + 24);
  }
  return {
    salt: segment.readUInt32LE(frameHeaderBytes),
    number: readUint64(segment, frameHeaderBytes + 8),
    sizeBytes: readUint64(segment, frameHeaderBytes + 16),
    position: frame.position,
    timeMs: frame.timeMs,
    counters,
  };
}
