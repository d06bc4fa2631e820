/** Back-off with full jitter, as a machine: time and randomness come in, the time of the next try goes out. */
export type BackoffOptions = {
  /** Shortest wait before another try. Default 1000. */
  minMs?: number | undefined;
  /** Longest wait. Default 30,000. */
  maxMs?: number | undefined;
  /** Longest wait at the slow pace. Default four times `maxMs`. */
  slowMaxMs?: number | undefined;
  /** How long a success must last before the waits start from the beginning. Default 60,000. */
  stableMs?: number | undefined;
  /** Ceiling of the first wait after a success that lasted, at most `maxMs`. Default 0: like any first wait. */
  spreadMs?: number | undefined;
};

/** "slow": the other side asked for patience, or trying soon makes things worse. */
export type BackoffPace = "usual" | "slow";

/** The slow pace begins as if two tries had failed already: 4 s instead of 1 s. */
const slowFactor = 4;

/**
 * Waits between `minMs` and a ceiling that doubles with each failure up to `maxMs`, anywhere in between at random, so that
 * devices cut off together do not come back together. A success counts only once it lasted: a server that accepts and
 * drops at once is still backed off from. What worked for long and ends, ends for everybody at once: then the first wait is
 * spread wider. At the slow pace floor and ceiling are four times as high, up to `slowMaxMs`, and a
 * success before it counts for nothing.
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #slowMaxMs: number;
  readonly #stableMs: number;
  readonly #spreadMs: number;
  #failures = 0;
  #succeededAtMs: number | undefined;
  #deadlineMs = Infinity;

  constructor(options: BackoffOptions = {}) {
    this.#minMs = options.minMs ?? 1000;
    this.#maxMs = Math.max(options.maxMs ?? 30_000, this.#minMs);
    this.#slowMaxMs = Math.max(options.slowMaxMs ?? slowFactor * this.#maxMs, this.#maxMs);
    this.#stableMs = options.stableMs ?? 60_000;
    this.#spreadMs = Math.min(options.spreadMs ?? 0, this.#maxMs);
  }

  /** When the next try is due; `Infinity` while none is waiting. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** Failures since the last success that lasted. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * A try failed, or a connection was lost.
   * @param random at least 0, below 1
   * @returns how long to wait, milliseconds
   */
  failed(nowMs: number, random: number, pace: BackoffPace = "usual"): number {
    const slow = pace === "slow";
    const wasStable = !slow && this.#wasStable(nowMs);
    if (wasStable) this.#failures = 0;
    this.#succeededAtMs = undefined;
    this.#failures += 1;
    const maxMs = slow ? this.#slowMaxMs : this.#maxMs;
    const floorMs = slow ? Math.min(this.#minMs * slowFactor, maxMs) : this.#minMs;
    // Beyond 2^30 doublings the product is far above any maximum; the cap keeps it finite.
    const doubledMs = Math.min(maxMs, floorMs * 2 ** Math.min(this.#failures, 30));
    const ceilingMs = wasStable ? Math.max(doubledMs, this.#spreadMs) : doubledMs;
    const waitMs = Math.round(floorMs + random * (ceilingMs - floorMs));
    this.#deadlineMs = nowMs + waitMs;
    return waitMs;
  }

  /** The waiting try comes at this time instead, if that is sooner. */
  hasten(atMs: number): void {
    if (this.#deadlineMs !== Infinity) this.#deadlineMs = Math.min(this.#deadlineMs, atMs);
  }

  /** A try succeeded. The waits start anew once it has lasted `stableMs`. */
  succeeded(nowMs: number): void {
    this.#succeededAtMs = nowMs;
    this.#deadlineMs = Infinity;
  }

  /** The waiting try is being made now, whether due or forced. */
  started(): void {
    this.#deadlineMs = Infinity;
  }

  /** Forgets everything: for a deliberate reconnect. */
  reset(): void {
    this.#failures = 0;
    this.#succeededAtMs = undefined;
    this.#deadlineMs = Infinity;
  }

  #wasStable(nowMs: number): boolean {
    return this.#succeededAtMs !== undefined && nowMs - this.#succeededAtMs >= this.#stableMs;
  }
}
