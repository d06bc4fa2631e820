const dayMs = 86_400_000;

/**
 * Messages per day as IoT Hub bills them: every message counts once per started unit of its size, and the day ends at
 * 00:00 UTC.
 *
 * The wall clock comes in with every call and may jump. A later day begins a new budget. A clock that goes back across one
 * midnight keeps the new day: were the old one resumed, a clock that trembles around midnight would hand out a budget each
 * time. One that goes back further was wrong before: its day is taken, and what was used stays used.
 * @see Azure IoT Hub docs, "Quotas and throttling": messages are metered in 4 KB blocks, on the free tier in 0.5 KB blocks
 */
export class DailyBudget {
  /** Units per day. */
  readonly limit: number;
  readonly unitBytes: number;
  #day: number;
  #used = 0;

  constructor(limit: number, unitBytes: number, wallMs: number) {
    this.limit = limit;
    this.unitBytes = unitBytes;
    this.#day = dayOf(wallMs);
  }

  /** How many units a message of this size counts; an empty one counts too. */
  units(bytes: number): number {
    return bytes <= this.unitBytes ? 1 : Math.ceil(bytes / this.unitBytes);
  }

  used(wallMs: number): number {
    this.#turnPage(wallMs);
    return this.#used;
  }

  /** Never below 0, although what is not asked for (messages from the hub) may spend more than there is. */
  left(wallMs: number): number {
    return Math.max(0, this.limit - this.used(wallMs));
  }

  /** Whether a message of so many units may still be sent today. One larger than a whole day's budget may be the first of it. */
  allows(units: number, wallMs: number): boolean {
    return this.left(wallMs) >= Math.min(units, this.limit);
  }

  spend(units: number, wallMs: number): void {
    this.#turnPage(wallMs);
    this.#used += units;
  }

  /** Unix milliseconds of the midnight that brings the next budget. */
  resetsAtMs(wallMs: number): number {
    this.#turnPage(wallMs);
    return (this.#day + 1) * dayMs;
  }

  #turnPage(wallMs: number): void {
    const today = dayOf(wallMs);
    if (today > this.#day) {
      this.#day = today;
      this.#used = 0;
    } else if (today < this.#day - 1) this.#day = today;
  }
}

const dayOf = (wallMs: number): number => Math.floor(wallMs / dayMs);
