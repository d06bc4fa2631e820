/** Back-off with full jitter, as a machine: time and randomness come in, the time of the next try goes out. */
export type BackoffOptions = {
  /** Shortest wait before another try. Default 1000. */
  minMs?: number | undefined;
  /** Longest wait. Default 30,000. */
  maxMs?: number | undefined;
  /** How long a success must last before the waits start from the beginning. Default 60,000. */
  stableMs?: number | undefined;
};

/**
 * Waits between `minMs` and a ceiling that doubles with each failure up to `maxMs`, anywhere in between at random, so that
 * devices cut off together do not come back together. A success counts only once it lasted: a server that accepts and
 * drops at once is still backed off from.
 */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #stableMs: number;
  #failures = 0;
  #succeededAtMs: number | undefined;
  #deadlineMs = Infinity;

  constructor(options: BackoffOptions = {}) {
    this.#minMs = options.minMs ?? 1000;
    this.#maxMs = Math.max(options.maxMs ?? 30_000, this.#minMs);
    this.#stableMs = options.stableMs ?? 60_000;
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
  failed(nowMs: number, random: number): number {
    if (this.#wasStable(nowMs)) this.#failures = 0;
    this.#succeededAtMs = undefined;
    this.#failures += 1;
    // Beyond 2^30 doublings the product is far above any maximum; the cap keeps it finite.
    const ceilingMs = Math.min(this.#maxMs, this.#minMs * 2 ** Math.min(this.#failures, 30));
    const waitMs = Math.round(this.#minMs + random * (ceilingMs - this.#minMs));
    this.#deadlineMs = nowMs + waitMs;
    return waitMs;
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
