/**
 * How fast a backlog may leave: so many messages per second, and at most one second's worth at once. Thousands of devices that
 * come back together would otherwise spend the hub's quota on the past.
 */
export class DrainRate {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #atMs = 0;

  /** @param perSecond messages; Infinity for no limit */
  constructor(perSecond: number) {
    this.#perMs = perSecond / 1_000;
    this.#burst = Math.max(1, perSecond);
    this.#tokens = this.#burst;
  }

  /** 0: one may leave now. Otherwise the monotonic time in milliseconds of the next. */
  nextAtMs(nowMs: number): number {
    if (this.#perMs === Infinity) return 0;
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    // Sums of fractions: at the moment that was promised there must be enough.
    return this.#tokens > 1 - 1e-6 ? 0 : nowMs + (1 - this.#tokens) / this.#perMs;
  }

  /** One left. */
  take(): void {
    if (this.#perMs !== Infinity) this.#tokens -= 1;
  }
}
