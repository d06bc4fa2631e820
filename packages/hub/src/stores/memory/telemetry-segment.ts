import type { TelemetryStart } from "../../domain/ports.ts";

/** A stretch of the log: bytes of many records of all partitions, and where each record lies. */
export class TelemetrySegment {
  readonly firstOrdinal: number;
  /** Logical byte position of `bytes[0]` since the log was made. */
  readonly firstOffset: number;
  readonly bytes: Uint8Array;
  readonly #starts: number[] = [];
  readonly #times: number[] = [];
  /** Per partition: sequence number of its first record here, and the indexes of its records. */
  readonly #firstSequence: readonly number[];
  readonly #indexes: number[][];
  #used = 0;

  /** `bytes` may hold anything: nothing is read that was not appended. */
  constructor(
    firstOrdinal: number,
    firstOffset: number,
    bytes: Uint8Array,
    nextSequence: readonly number[],
  ) {
    this.firstOrdinal = firstOrdinal;
    this.firstOffset = firstOffset;
    this.bytes = bytes;
    this.#firstSequence = nextSequence;
    this.#indexes = nextSequence.map(() => []);
  }

  get count(): number {
    return this.#starts.length;
  }
  get used(): number {
    return this.#used;
  }
  get free(): number {
    return this.bytes.length - this.#used;
  }

  append(
    partition: number,
    timeMs: number,
    head: Uint8Array,
    chunk: Uint8Array,
    start: number,
    end: number,
  ): void {
    const at = this.#used;
    this.bytes.set(head, at);
    // Buffer's copy takes any Uint8Array and spares the view that set(subarray()) would make.
    if (end > start) {
      Buffer.prototype.copy.call(chunk, this.bytes, at + head.length, start, end);
    }
    this.#used = at + head.length + (end - start);
    this.#indexes[partition]!.push(this.#starts.length);
    this.#starts.push(at);
    this.#times.push(timeMs);
  }

  /** Forgets every record from `ordinal` on. */
  truncate(ordinal: number): void {
    const keep = Math.max(0, ordinal - this.firstOrdinal);
    if (keep >= this.#starts.length) return;
    this.#used = this.#starts[keep]!;
    this.#starts.length = keep;
    this.#times.length = keep;
    for (const indexes of this.#indexes) {
      while (indexes.length > 0 && indexes.at(-1)! >= keep) indexes.pop();
    }
  }

  firstSequence(partition: number): number {
    return this.#firstSequence[partition]!;
  }
  nextSequence(partition: number): number {
    return this.#firstSequence[partition]! + this.#indexes[partition]!.length;
  }

  /** The record of a sequence number this segment holds. */
  record(partition: number, sequenceNumber: number) {
    const index = this.#indexes[partition]![sequenceNumber - this.#firstSequence[partition]!]!;
    const start = this.#starts[index]!;
    return {
      ordinal: this.firstOrdinal + index,
      offset: this.firstOffset + start,
      enqueuedTimeMs: this.#times[index]!,
      start,
      end: this.#starts[index + 1] ?? this.#used,
    };
  }

  /** Sequence number of the partition's first record at or after `from`; `nextSequence` when there is none here. */
  seek(partition: number, from: Exclude<TelemetryStart, string>): number {
    let low = this.firstSequence(partition);
    let high = this.nextSequence(partition);
    if ("sequenceNumber" in from) return Math.min(Math.max(low, from.sequenceNumber), high);
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const record = this.record(partition, middle);
      const before =
        "offset" in from
          ? record.offset < from.offset
          : record.enqueuedTimeMs < from.enqueuedTimeMs;
      if (before) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
