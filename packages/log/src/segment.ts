import type { Counters } from "./counters.ts";
import type { Opening } from "./opening-frame.ts";
import { openingBytes } from "./opening-frame.ts";

/** A frame boundary readers can start from, and where the partitions stand there. */
export type IndexPoint = {
  fileOffset: number;
  /** No frame before it was enqueued later, and none from it on earlier. */
  timeMs: number;
  counters: Counters;
};

/** Points are this much of a segment apart: at most 256 of them, whatever its size. */
const pointsMax = 256;

export function segmentFileName(number: number): string {
  return `${String(number).padStart(10, "0")}.seg`;
}

/** The number in a segment's file name; undefined for any other file. */
export function segmentNumberOf(fileName: string): number | undefined {
  const digits = /^(\d{10})\.seg$/.exec(fileName)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** One segment file as far as it is committed, with its sparse index. */
export class Segment {
  readonly number: number;
  readonly path: string;
  readonly sizeBytes: number;
  /** Logical position of its first byte. */
  readonly basePosition: number;
  /** Committed bytes end here: offset in the file. */
  endOffset: number;
  /** Enqueued time of its last record; of the log when it was opened while it has none. */
  lastTimeMs: number;
  /** Sorted by all of file offset, time and counters; the first is behind the opening frame. */
  readonly points: IndexPoint[];
  readonly #spacingBytes: number;

  constructor(path: string, opening: Opening) {
    this.number = opening.number;
    this.path = path;
    this.sizeBytes = opening.sizeBytes;
    this.basePosition = opening.position;
    this.endOffset = openingBytes(opening.counters.partitions);
    this.lastTimeMs = opening.timeMs;
    const { timeMs, counters } = opening;
    this.points = [{ fileOffset: this.endOffset, timeMs, counters }];
    this.#spacingBytes = opening.sizeBytes / pointsMax;
  }

  /** Where the partitions stood when it was opened. */
  get opening(): IndexPoint {
    const first = this.points[0];
    if (!first) throw new Error("a segment always has its first point");
    return first;
  }

  /** Logical position behind its last committed byte. */
  get endPosition(): number {
    return this.basePosition + this.endOffset;
  }

  get isEmpty(): boolean {
    return this.endOffset === this.opening.fileOffset;
  }

  /** A frame was committed at the end. `before` must not change any more. */
  extend(lengthBytes: number, timeMs: number, before: Counters): void {
    const last = this.points.at(-1);
    if (last && this.endOffset - last.fileOffset >= this.#spacingBytes) {
      this.points.push({ fileOffset: this.endOffset, timeMs, counters: before });
    }
    this.endOffset += lengthBytes;
    this.lastTimeMs = timeMs;
  }
}
