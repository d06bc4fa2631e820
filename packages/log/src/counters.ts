/** Where each partition stands: what its next record gets, and when its last one was enqueued. */
export class Counters {
  readonly sequenceNumber: Float64Array;
  readonly offset: Float64Array;
  /** Of the last record there was; 0 before the first. */
  readonly lastOffset: Float64Array;
  readonly timeMs: Float64Array;

  constructor(partitions: number) {
    this.sequenceNumber = new Float64Array(partitions);
    this.offset = new Float64Array(partitions);
    this.lastOffset = new Float64Array(partitions);
    this.timeMs = new Float64Array(partitions);
  }

  get partitions(): number {
    return this.sequenceNumber.length;
  }

  copy(): Counters {
    const copy = new Counters(this.partitions);
    copy.assign(this);
    return copy;
  }

  assign(other: Counters): void {
    this.sequenceNumber.set(other.sequenceNumber);
    this.offset.set(other.offset);
    this.lastOffset.set(other.lastOffset);
    this.timeMs.set(other.timeMs);
  }

  /** Counts one record of the partition that takes so many bytes, header included. */
  count(partition: number, recordBytes: number): void {
    const offset = this.offset[partition] ?? 0;
    this.sequenceNumber[partition] = (this.sequenceNumber[partition] ?? 0) + 1;
    this.lastOffset[partition] = offset;
    this.offset[partition] = offset + recordBytes;
  }

  /** Takes over a batch's end; partitions that grew in it were last enqueued to at `timeMs`. */
  advance(end: Counters, timeMs: number): void {
    for (let p = 0; p < this.partitions; p++) {
      if (end.sequenceNumber[p] !== this.sequenceNumber[p]) this.timeMs[p] = timeMs;
    }
    this.sequenceNumber.set(end.sequenceNumber);
    this.offset.set(end.offset);
    this.lastOffset.set(end.lastOffset);
  }
}
