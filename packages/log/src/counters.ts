/** Where each partition stands: what its next record gets, and when its last one was enqueued. */
export class Counters {
  readonly sequenceNumber: Float64Array;
  readonly offset: Float64Array;
  readonly timeMs: Float64Array;

  constructor(partitions: number) {
    this.sequenceNumber = new Float64Array(partitions);
    this.offset = new Float64Array(partitions);
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
    this.timeMs.set(other.timeMs);
  }

  /** Takes over a batch's end; partitions that grew in it were last enqueued to at `timeMs`. */
  advance(end: Counters, timeMs: number): void {
    for (let p = 0; p < this.partitions; p++) {
      if (end.sequenceNumber[p] !== this.sequenceNumber[p]) this.timeMs[p] = timeMs;
    }
    this.sequenceNumber.set(end.sequenceNumber);
    this.offset.set(end.offset);
  }
}
