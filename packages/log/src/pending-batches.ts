import type { Counters } from "./counters.ts";
import { frameHeaderBytes, recordHeaderBytes, writeRecordHeader } from "./format.ts";

/** One frame in the making, or made: `buffer[start, end)`, its header filled in when it is written. */
export type Batch = {
  buffer: Buffer;
  start: number;
  end: number;
  records: number;
  lastOrdinal: number;
  /** Where the partitions stood before the first and after the last record. Never changed. */
  before: Counters;
  after: Counters;
};

/** Small, so that a quiet log holds little; a busy one goes through larger chunks. */
const chunkBytes = 64 * 1024;
const chunkBytesMax = 1024 * 1024;

/**
 * Records accepted and not yet durable. They are copied into a chunk of memory, frame behind frame, and
 * written and cached from there: the bytes move once. A chunk lives as long as a batch in it does.
 */
export class PendingBatches {
  readonly #frameBytesMax: number;
  #chunk = Buffer.allocUnsafeSlow(chunkBytes);
  #start = 0;
  #tail = frameHeaderBytes;
  #records = 0;
  /** Full frames that wait for the commit in flight, oldest first. */
  #full: Batch[] = [];
  /** Grows with every record. */
  #counters: Counters;
  /** Where the open batch started. */
  #before: Counters;
  #pendingBytes = 0;
  #lastOrdinal = 0;

  constructor(frameBytesMax: number, counters: Counters) {
    this.#frameBytesMax = frameBytesMax;
    this.#before = counters.copy();
    this.#counters = counters.copy();
  }

  /** Bytes of records accepted and neither durable nor lost, with their headers. */
  get bytes(): number {
    return this.#pendingBytes;
  }

  /** Of the record accepted last; the first one got 1. */
  get lastOrdinal(): number {
    return this.#lastOrdinal;
  }

  get isEmpty(): boolean {
    return this.#records === 0 && this.#full.length === 0;
  }

  nextSequenceNumber(partition: number): number {
    return this.#counters.sequenceNumber[partition] ?? 0;
  }

  /** The caller has checked the partition and the bounds. */
  append(
    partition: number,
    head: Uint8Array,
    chunk: Uint8Array,
    start: number,
    end: number,
  ): number {
    const bytes = head.length + end - start;
    const recordBytes = recordHeaderBytes + bytes;
    if (this.#tail - this.#start + recordBytes > this.#frameBytesMax) this.#closeOpen();
    if (this.#tail + recordBytes > this.#chunk.length) this.#moveToNewChunk(recordBytes);
    const at = this.#tail;
    const counters = this.#counters;
    const sequenceNumber = counters.sequenceNumber[partition] ?? 0;
    writeRecordHeader(this.#chunk, at, bytes, partition, sequenceNumber);
    const bodyAt = at + recordHeaderBytes;
    this.#chunk.set(head, bodyAt);
    copyRange(chunk, start, end, this.#chunk, bodyAt + head.length);
    counters.count(partition, recordBytes);
    this.#tail = at + recordBytes;
    this.#records++;
    this.#pendingBytes += recordBytes;
    return ++this.#lastOrdinal;
  }

  /** The next frame to write, oldest first: everything accepted so far, unless that is more than one frame. */
  take(): Batch | undefined {
    const full = this.#full.shift();
    if (full) return full;
    return this.#records > 0 ? this.#endOpen(this.#lastOrdinal) : undefined;
  }

  /** A batch taken is durable. */
  settled(batch: Batch): void {
    this.#pendingBytes -= batch.end - batch.start - frameHeaderBytes;
  }

  /** Everything pending is lost, the batch in flight included; the numbers go back to `counters`. */
  clear(counters: Counters): void {
    this.#full = [];
    this.#records = 0;
    this.#tail = this.#start + frameHeaderBytes;
    this.#pendingBytes = 0;
    this.#before = counters.copy();
    this.#counters.assign(counters);
  }

  #closeOpen(): void {
    // No record of the next batch has its ordinal yet.
    this.#full.push(this.#endOpen(this.#lastOrdinal));
  }

  #endOpen(lastOrdinal: number): Batch {
    const after = this.#counters.copy();
    const batch: Batch = {
      buffer: this.#chunk,
      start: this.#start,
      end: this.#tail,
      records: this.#records,
      lastOrdinal,
      before: this.#before,
      after,
    };
    this.#before = after;
    this.#records = 0;
    this.#start = this.#tail;
    this.#tail = this.#start + frameHeaderBytes;
    return batch;
  }

  /** Frames stay in one piece: the open one moves along when its chunk is too short for it. */
  #moveToNewChunk(moreBytes: number): void {
    const openBytes = this.#tail - this.#start;
    const usual = Math.min(this.#chunk.length * 2, chunkBytesMax);
    const size = Math.max(usual, (openBytes + moreBytes) * 2);
    const next = Buffer.allocUnsafeSlow(size);
    if (this.#records > 0) this.#chunk.copy(next, 0, this.#start, this.#tail);
    this.#chunk = next;
    this.#start = 0;
    this.#tail = openBytes;
  }
}

/** `Buffer`'s copy takes any Uint8Array and spares the view that `set(subarray())` would make. */
function copyRange(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  toStart: number,
): void {
  if (end > start) Buffer.prototype.copy.call(from, to, toStart, start, end);
}
