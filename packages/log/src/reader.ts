import type { LogFile } from "./file-system.ts";
import type { Counters } from "./counters.ts";
import { frameHeaderBytes, readFrameHeader, recordHeaderBytes } from "./format.ts";
import type { FrameHeader } from "./format.ts";
import { systemCodeOf, toLogError } from "./log-error.ts";
import type { ReadFiles } from "./read-files.ts";
import type { RecentBatches } from "./recent-batches.ts";
import { acceptableFrame, corrupt, eachRecord } from "./scan.ts";
import { findLast } from "./search.ts";
import type { Segment } from "./segment.ts";

export type LogRecord = {
  partition: number;
  /** From 0, without gap or repeat within the partition. */
  sequenceNumber: number;
  /** Logical byte position in the partition since the log was created. */
  offset: number;
  /** Unix ms; never smaller than that of an earlier record. */
  enqueuedTimeMs: number;
  bytes: Uint8Array;
};

/** Where to begin: at the first record that is not before it. */
export type ReadFrom =
  | { sequenceNumber: number }
  | { offset: number }
  | { enqueuedTimeMs: number }
  | "first"
  | "end";

/** A read ends at whichever comes first; one record is returned even if it alone is past `bytesMax`. */
export type ReadLimits = { recordsMax: number; bytesMax: number };

/** What of a log is committed. The lists grow and shrink while a reader waits for the disk. */
export type Committed = {
  readonly salt: number;
  readonly segments: readonly Segment[];
  readonly recent: RecentBatches;
  readonly counters: Counters;
};

/** One read's way through the frames. `sequenceNumber` and `offset` are those of the next record met. */
type Cursor = { segment: Segment; fileOffset: number; sequenceNumber: number; offset: number };

const windowBytesMin = 16 * 1024;
const windowBytesMax = 1024 * 1024;

/** Reads one partition's committed records, from memory where they are recent, else frame by frame from disk. */
export class Reader {
  readonly #log: Committed;
  readonly #files: ReadFiles;

  constructor(log: Committed, files: ReadFiles) {
    this.#log = log;
    this.#files = files;
  }

  async read(partition: number, from: ReadFrom, limits: ReadLimits): Promise<LogRecord[]> {
    if (from === "end") return [];
    const order = orderOf(partition, from === "first" ? { sequenceNumber: 0 } : from);
    if (order.isBehind(this.#log.counters)) return [];
    const taken = new Taken(partition, order, limits);
    let cursor = this.#locate(partition, order);
    while (!taken.isFull) {
      const { segment } = cursor;
      if (cursor.fileOffset >= segment.endOffset) {
        const next = this.#after(segment);
        if (!next) break;
        cursor = startOf(next, partition);
        continue;
      }
      if (this.#takeRecent(cursor, taken)) continue;
      try {
        // oxlint-disable-next-line no-await-in-loop -- one window after the other
        await this.#files.use(segment, (file) => this.#takeFromDisk(file, cursor, taken, limits));
      } catch (error) {
        if (this.#log.segments.includes(segment) || systemCodeOf(error) !== "ENOENT") {
          throw toLogError(error, `reading ${segment.path}`);
        }
        // Retention deleted it meanwhile: what is first now comes next.
        if (taken.records.length > 0) break;
        cursor = this.#locate(partition, order);
      }
    }
    return taken.records;
  }

  #locate(partition: number, order: Order): Cursor {
    const { segments, recent } = this.#log;
    const at = Math.max(
      0,
      findLast(segments, ({ opening }) => order.isBefore(opening.counters, opening.timeMs)),
    );
    const cached = recent.last(({ batch, timeMs }) => order.isBefore(batch.before, timeMs));
    if (cached) {
      const segment = segments[findLast(segments, (s) => s.basePosition <= cached.position)];
      // Retention may have deleted what is still in memory.
      if (segment) {
        const fileOffset = cached.position - segment.basePosition;
        return cursorAt(segment, fileOffset, cached.batch.before, partition);
      }
    }
    const segment = segments[at];
    if (!segment) throw new Error("a log always has a segment");
    const { points } = segment;
    const point =
      points[findLast(points, (p) => order.isBefore(p.counters, p.timeMs))] ?? segment.opening;
    return cursorAt(segment, point.fileOffset, point.counters, partition);
  }

  #after(segment: Segment): Segment | undefined {
    const { segments } = this.#log;
    return segments[findLast(segments, ({ number }) => number <= segment.number) + 1];
  }

  #takeRecent(cursor: Cursor, taken: Taken): boolean {
    const position = cursor.segment.basePosition + cursor.fileOffset;
    const recent = this.#log.recent.at(position);
    if (!recent) return false;
    const { buffer, start, end, records } = recent.batch;
    const { timeMs } = recent;
    taken.frame(cursor, buffer, start, { lengthBytes: end - start, records, timeMs });
    return true;
  }

  async #takeFromDisk(
    file: LogFile,
    cursor: Cursor,
    taken: Taken,
    limits: ReadLimits,
  ): Promise<void> {
    const { segment } = cursor;
    const { salt } = this.#log;
    const opening = { salt, position: segment.basePosition };
    const usual = Math.min(Math.max(limits.bytesMax, windowBytesMin), windowBytesMax);
    let bytes = await readWindow(file, cursor.fileOffset, Math.min(usual, left(cursor)));
    const first = readFrameHeader(bytes, 0, salt);
    if (first && first.lengthBytes > bytes.length && first.lengthBytes <= left(cursor)) {
      bytes = await readWindow(file, cursor.fileOffset, first.lengthBytes);
    }
    const base = cursor.fileOffset;
    while (!taken.isFull && cursor.fileOffset < segment.endOffset) {
      const at = cursor.fileOffset - base;
      const position = opening.position + base;
      const frame = acceptableFrame(bytes, at, { salt, position });
      if (!frame) {
        if (at > 0 && isCutOff(bytes, at, salt)) return;
        throw corrupt(segment.path, cursor.fileOffset, "a committed frame is damaged");
      }
      taken.frame(cursor, bytes, at, frame);
    }
  }
}

/** The records a read will return, and whether it has enough. */
class Taken {
  readonly records: LogRecord[] = [];
  isFull: boolean;
  readonly #partition: number;
  readonly #order: Order;
  readonly #limits: ReadLimits;
  #bytes = 0;

  constructor(partition: number, order: Order, limits: ReadLimits) {
    this.#partition = partition;
    this.#order = order;
    this.#limits = limits;
    this.isFull = limits.recordsMax <= 0;
  }

  /** Takes what is wanted of a frame and moves the cursor behind it. */
  frame(
    cursor: Cursor,
    bytes: Buffer,
    at: number,
    frame: Pick<FrameHeader, "lengthBytes" | "records" | "timeMs">,
  ): void {
    eachRecord(bytes, at, frame, (partition, sequenceNumber, start, end) => {
      if (partition !== this.#partition) return;
      const { offset } = cursor;
      if (sequenceNumber !== cursor.sequenceNumber) {
        throw corrupt(cursor.segment.path, cursor.fileOffset, "records do not follow each other");
      }
      cursor.sequenceNumber++;
      cursor.offset += recordHeaderBytes + end - start;
      if (this.isFull || !this.#order.isWanted(sequenceNumber, offset, frame.timeMs)) return;
      this.#take(sequenceNumber, offset, frame.timeMs, bytes, start, end);
    });
    cursor.fileOffset += frame.lengthBytes;
  }

  #take(
    sequenceNumber: number,
    offset: number,
    enqueuedTimeMs: number,
    from: Buffer,
    start: number,
    end: number,
  ): void {
    if (this.records.length > 0 && this.#bytes + end - start > this.#limits.bytesMax) {
      this.isFull = true;
      return;
    }
    // A copy: a record kept for long must not keep a whole window or batch with it.
    const bytes = Buffer.allocUnsafe(end - start);
    from.copy(bytes, 0, start, end);
    this.records.push({
      partition: this.#partition,
      sequenceNumber,
      offset,
      enqueuedTimeMs,
      bytes,
    });
    this.#bytes += bytes.length;
    if (this.records.length >= this.#limits.recordsMax) this.isFull = true;
  }
}

/** The one question in three currencies. */
type Order = {
  /** Nothing wanted comes before a frame boundary like this. */
  isBefore(counters: Counters, timeMs: number): boolean;
  isWanted(sequenceNumber: number, offset: number, timeMs: number): boolean;
  /** The wanted place is behind everything committed. */
  isBehind(counters: Counters): boolean;
};

function orderOf(p: number, from: Exclude<ReadFrom, string>): Order {
  if ("sequenceNumber" in from) {
    const { sequenceNumber: wanted } = from;
    return {
      isBefore: ({ sequenceNumber }) => (sequenceNumber[p] ?? 0) <= wanted,
      isWanted: (sequenceNumber) => sequenceNumber >= wanted,
      isBehind: ({ sequenceNumber }) => (sequenceNumber[p] ?? 0) <= wanted,
    };
  }
  if ("offset" in from) {
    const { offset: wanted } = from;
    return {
      isBefore: ({ offset }) => (offset[p] ?? 0) <= wanted,
      isWanted: (_, offset) => offset >= wanted,
      isBehind: ({ offset }) => (offset[p] ?? 0) <= wanted,
    };
  }
  const { enqueuedTimeMs: wanted } = from;
  return {
    isBefore: (_, timeMs) => timeMs < wanted,
    isWanted: (_sequenceNumber, _offset, timeMs) => timeMs >= wanted,
    isBehind: ({ timeMs }) => (timeMs[p] ?? 0) < wanted,
  };
}

function startOf(segment: Segment, partition: number): Cursor {
  const { fileOffset, counters } = segment.opening;
  return cursorAt(segment, fileOffset, counters, partition);
}

function cursorAt(
  segment: Segment,
  fileOffset: number,
  counters: Counters,
  partition: number,
): Cursor {
  const sequenceNumber = counters.sequenceNumber[partition] ?? 0;
  return { segment, fileOffset, sequenceNumber, offset: counters.offset[partition] ?? 0 };
}

function left({ segment, fileOffset }: Cursor): number {
  return segment.endOffset - fileOffset;
}

async function readWindow(file: LogFile, position: number, lengthBytes: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(lengthBytes);
  return bytes.subarray(0, await file.read(bytes, 0, lengthBytes, position));
}

/** The window ends within this frame: it is read again from here. */
function isCutOff(bytes: Buffer, at: number, salt: number): boolean {
  if (at + frameHeaderBytes > bytes.length) return true;
  const frame = readFrameHeader(bytes, at, salt);
  return frame !== undefined && at + frame.lengthBytes > bytes.length;
}
