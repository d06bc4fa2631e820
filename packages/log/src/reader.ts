import type { LogFile } from "./file-system.ts";
import type { Counters } from "./counters.ts";
import { frameHeaderBytes, readFrameHeader } from "./format.ts";
import { systemCodeOf, toLogError } from "./log-error.ts";
import type { ReadFiles } from "./read-files.ts";
import { orderOf } from "./read-order.ts";
import type { Order } from "./read-order.ts";
import type { RecentBatches } from "./recent-batches.ts";
import type { LogRecord, ReadFrom, ReadLimits } from "./record.ts";
import { acceptableFrame, corrupt } from "./scan.ts";
import { findLast } from "./search.ts";
import type { Segment } from "./segment.ts";
import { Taken } from "./taken.ts";
import type { Cursor } from "./taken.ts";

/** What of a log is committed. The lists grow and shrink while a reader waits for the disk. */
export type Committed = {
  readonly salt: number;
  readonly segments: readonly Segment[];
  readonly recent: RecentBatches;
  readonly counters: Counters;
};

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
    taken.batch(cursor, recent);
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
