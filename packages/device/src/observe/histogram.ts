/** Upper edges in milliseconds, each bucket up to and including its edge; what is above the last falls into one without. */
export const roundTripEdgesMs = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000,
] as const;

/** What a histogram has counted so far. */
export type HistogramSnapshot = {
  count: number;
  /** Of all values; `sumMs / count` is the mean. */
  sumMs: number;
  /** undefined while nothing was counted. */
  minMs: number | undefined;
  maxMs: number | undefined;
  /** Not cumulative; `upToMs` of the last is `Infinity`. */
  buckets: readonly { upToMs: number; count: number }[];
};

/** Counts durations in buckets that never change, so that recording costs a few comparisons and no memory. */
export class Histogram {
  readonly #counts: number[] = Array.from({ length: roundTripEdgesMs.length + 1 }, () => 0);
  #count = 0;
  #sumMs = 0;
  #minMs = Infinity;
  #maxMs = 0;

  /** Below zero (a clock that went back) counts as zero. */
  record(ms: number): void {
    const value = ms > 0 ? ms : 0;
    let at = 0;
    while (at < roundTripEdgesMs.length && value > (roundTripEdgesMs[at] as number)) at += 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#count += 1;
    this.#sumMs += value;
    if (value < this.#minMs) this.#minMs = value;
    if (value > this.#maxMs) this.#maxMs = value;
  }

  snapshot(): HistogramSnapshot {
    const none = this.#count === 0;
    return {
      count: this.#count,
      sumMs: this.#sumMs,
      minMs: none ? undefined : this.#minMs,
      maxMs: none ? undefined : this.#maxMs,
      buckets: this.#counts.map((count, i) => ({ upToMs: roundTripEdgesMs[i] ?? Infinity, count })),
    };
  }
}
