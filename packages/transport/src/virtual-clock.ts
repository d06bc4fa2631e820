import type { Clock, Timer } from "./clock.ts";
import { TimerQueue } from "./timer-queue.ts";
import type { Due } from "./timer-queue.ts";

export type VirtualClockOptions = {
  /** Unix time at the start; default 2025-01-01T00:00:00Z. */
  wallMs?: number;
  /** Monotonic time at the start; default 0. */
  nowMs?: number;
};

export type RunLimits = {
  /** Virtual time after which `runUntil` gives up; default one hour. */
  withinMs?: number;
  /** Timers fired after which `runUntil` gives up; default a million. */
  eventsMax?: number;
};

/** Turns of the loop at one moment of virtual time after which something is going in circles. */
const turnsAtOneMomentMax = 100_000;

/**
 * Time for tests: it moves only when told to, and everything that becomes due on the way happens in one fixed order
 * (by time, then by order of `at`). After every timer all promise callbacks run and then the ends of turn, as in a real
 * event loop, so code under test cannot tell the difference. What waits for real I/O is not waited for.
 */
export class VirtualClock implements Clock {
  readonly #timers = new TimerQueue();
  #endOfTurn: (() => void)[] = [];
  #nowMs: number;
  #wallOffsetMs: number;
  #order = 0;
  #moving = false;

  constructor(options: VirtualClockOptions = {}) {
    this.#nowMs = options.nowMs ?? 0;
    this.#wallOffsetMs = (options.wallMs ?? Date.UTC(2025, 0, 1)) - this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, callback: () => void): Timer {
    const due: Due = { atMs, order: this.#order++, callback };
    if (atMs !== Infinity) this.#timers.push(due);
    return {
      cancel: () => {
        due.callback = undefined;
      },
    };
  }

  endOfTurn(callback: () => void): void {
    this.#endOfTurn.push(callback);
  }

  /** When the next timer is due; `Infinity` when none is. */
  get nextMs(): number {
    return this.#timers.peek()?.atMs ?? Infinity;
  }

  /** Moves the wall clock only, either way, as NTP or a person does. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /** Resolves when virtual time has passed; somebody else must move it. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.#nowMs + ms, resolve));
  }

  /** Runs everything that is ready now, without moving time. */
  async settle(): Promise<void> {
    await this.#move(() => this.#settle());
  }

  /** Moves time forward, running on the way what becomes due. Rejects with what a callback throws. */
  async advance(ms: number): Promise<void> {
    await this.advanceTo(this.#nowMs + ms);
  }

  /** As `advance`, to a moment of the monotonic clock. */
  async advanceTo(targetMs: number): Promise<void> {
    await this.#move(async () => {
      await this.#settle();
      while (await this.#step(targetMs));
      this.#nowMs = Math.max(this.#nowMs, targetMs);
    });
  }

  /**
   * Moves from timer to timer until `predicate` holds.
   * @throws Error when a limit is reached, or when nothing is left that could ever make it true
   */
  async runUntil(predicate: () => boolean, limits: RunLimits = {}): Promise<void> {
    const untilMs = this.#nowMs + (limits.withinMs ?? 3_600_000);
    let eventsLeft = limits.eventsMax ?? 1_000_000;
    await this.#move(async () => {
      await this.#settle();
      while (!predicate()) {
        if (eventsLeft-- === 0)
          throw new Error(`still not true after ${limits.eventsMax ?? 1_000_000} events`);
        if (await this.#step(untilMs)) continue;
        const why =
          this.nextMs === Infinity
            ? "nothing is left to happen"
            : `${limits.withinMs ?? 3_600_000} ms passed`;
        throw new Error(`still not true at ${this.#nowMs} ms: ${why}`);
      }
    });
  }

  /** Fires one timer, if one is due by `untilMs`, and everything that follows from it at that moment. */
  async #step(untilMs: number): Promise<boolean> {
    const due = this.#timers.peek();
    if (due === undefined || due.atMs > untilMs) return false;
    this.#timers.pop();
    this.#nowMs = Math.max(this.#nowMs, due.atMs);
    const callback = due.callback;
    due.callback = undefined;
    callback?.();
    await this.#settle();
    return true;
  }

  async #settle(): Promise<void> {
    for (let turns = 0; turns < turnsAtOneMomentMax; turns++) {
      await nextImmediate();
      if (this.#endOfTurn.length === 0) return;
      const batch = this.#endOfTurn;
      this.#endOfTurn = [];
      let done = 0;
      try {
        while (done < batch.length) batch[done++]?.();
      } finally {
        if (done < batch.length) this.#endOfTurn.unshift(...batch.slice(done));
      }
    }
    throw new Error(
      `end of turn called for ${turnsAtOneMomentMax} times at ${this.#nowMs} ms: time stands still`,
    );
  }

  async #move(work: () => Promise<void>): Promise<void> {
    if (this.#moving)
      throw new Error("virtual time is already being moved: await the first call, or use sleep");
    this.#moving = true;
    try {
      await work();
    } finally {
      this.#moving = false;
    }
  }
}

/** By the time an immediate runs, every promise callback that was ready has run. */
function nextImmediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
