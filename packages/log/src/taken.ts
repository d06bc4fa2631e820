import { indexOf, readUint32 } from "./batch-index.ts";
import { recordHeaderBytes } from "./format.ts";
import type { FrameHeader } from "./format.ts";
import type { Order } from "./read-order.ts";
import type { RecentBatch } from "./recent-batches.ts";
import type { LogRecord, ReadLimits } from "./record.ts";
import { corrupt, eachRecord } from "./scan.ts";
import type { Segment } from "./segment.ts";

/** One read's way through the frames. `sequenceNumber` and `offset` are those of the next record met. */
export type Cursor = {
  segment: Segment;
  fileOffset: number;
  sequenceNumber: number;
  offset: number;
};

const nothing = new Uint8Array(0);

/** The records a read will return, and whether it has enough. */
export class Taken {
  readonly records: LogRecord[] = [];
  isFull: boolean;
  readonly #partition: number;
  readonly #order: Order;
  readonly #limits: ReadLimits;
  #bytes = 0;
  /** Start and end in turn, of the records taken from the frame at hand. */
  readonly #spans: number[] = [];

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
      if (sequenceNumber !== cursor.sequenceNumber) {
        throw corrupt(cursor.segment.path, cursor.fileOffset, "records do not follow each other");
      }
      this.#consider(cursor, frame.timeMs, start, end);
    });
    this.#copyOut(bytes);
    cursor.fileOffset += frame.lengthBytes;
  }

  /** The same for a batch in memory, whose records need not be searched. */
  batch(cursor: Cursor, recent: RecentBatch): void {
    const { batch, timeMs } = recent;
    const { starts, firsts } = indexOf(recent);
    const { buffer } = batch;
    const last = firsts[this.#partition + 1] ?? 0;
    for (let i = firsts[this.#partition] ?? 0; i < last; i++) {
      const start = starts[i] ?? 0;
      this.#consider(cursor, timeMs, start, start + readUint32(buffer, start - recordHeaderBytes));
    }
    this.#copyOut(buffer);
    cursor.fileOffset += batch.end - batch.start;
  }

  #consider(cursor: Cursor, timeMs: number, start: number, end: number): void {
    const { sequenceNumber, offset } = cursor;
    cursor.sequenceNumber = sequenceNumber + 1;
    cursor.offset = offset + recordHeaderBytes + end - start;
    if (this.isFull || !this.#order.isWanted(sequenceNumber, offset, timeMs)) return;
    const { records } = this;
    if (records.length > 0 && this.#bytes + end - start > this.#limits.bytesMax) {
      this.isFull = true;
      return;
    }
    records.push({
      partition: this.#partition,
      sequenceNumber,
      offset,
      enqueuedTimeMs: timeMs,
      bytes: nothing,
    });
    this.#spans.push(start, end);
    this.#bytes += end - start;
    if (records.length >= this.#limits.recordsMax) this.isFull = true;
  }

  /**
   * Gives the records of one frame bytes of their own: whoever changes them must not change what the next reader sees. One
   * piece of memory for all of them, copied run by run, because a device's records mostly lie side by side.
   */
  #copyOut(from: Buffer): void {
    const spans = this.#spans;
    if (spans.length === 0) return;
    let total = 0;
    for (let i = 0; i < spans.length; i += 2) total += spans[i + 1]! - spans[i]!;
    const gaps = (spans.length / 2) * recordHeaderBytes;
    const own = Buffer.allocUnsafeSlow(total + gaps);
    const { records } = this;
    let record = records.length - spans.length / 2;
    let to = 0;
    let runStart = spans[0]!;
    let runEnd = runStart - recordHeaderBytes;
    for (let i = 0; i < spans.length; i += 2) {
      const start = spans[i]!;
      if (start - recordHeaderBytes !== runEnd) {
        from.copy(own, to, runStart, runEnd);
        to += runEnd - runStart;
        runStart = start;
      }
      runEnd = spans[i + 1]!;
      records[record++]!.bytes = own.subarray(start - runStart + to, runEnd - runStart + to);
    }
    from.copy(own, to, runStart, runEnd);
    spans.length = 0;
  }
}
