/**
 * A rate with a burst: tokens come in steadily up to `burst`, and whatever is let through takes some. Time comes in as an
 * argument, monotonic; time that goes back adds nothing.
 */
export class TokenBucket {
  #perS: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;

  /**
   * @param perS tokens per second, above 0
   * @param burst most tokens that gather, at least 1; default one second's worth. Full at the beginning.
   */
  constructor(perS: number, nowMs: number, burst = Math.max(1, perS)) {
    this.#perS = perS;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  get perS(): number {
    return this.#perS;
  }

  /** Changes the rate from now on; what has gathered stays. */
  setRate(perS: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#perS = perS;
  }

  /** Empties it: from `atMs` on, which may lie ahead, tokens gather from nothing. */
  drain(atMs: number): void {
    this.#fill(atMs);
    this.#tokens = Math.min(this.#tokens, 0);
  }

  /**
   * What costs more than the whole burst may go when the bucket is full; it leaves a debt that later ones wait for.
   * @returns 0 when `cost` may be taken now, else the time in milliseconds when it may
   */
  readyAtMs(cost: number, nowMs: number): number {
    this.#fill(nowMs);
    const needed = Math.min(cost, this.#burst);
    if (this.#tokens >= needed - tolerance) return 0;
    const fromMs = Math.max(nowMs, this.#atMs);
    // Strictly later than now, whatever floating point makes of it, so that nobody spins.
    return Math.max(nowMs + 1, Math.ceil(fromMs + ((needed - this.#tokens) / this.#perS) * 1000));
  }

  /** Only after `readyAtMs` said 0. */
  take(cost: number): void {
    this.#tokens -= cost;
  }

  #fill(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    const gained = ((nowMs - this.#atMs) / 1000) * this.#perS;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#atMs = nowMs;
  }
}

/** A billionth of a token is not worth another wait. */
const tolerance = 1e-9;
