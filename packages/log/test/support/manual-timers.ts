import type { Schedule } from "@hubwire/log";

/** Timers that fire when a test says so. */
export class ManualTimers {
  #timers: { atMs: number; callback: () => void }[] = [];
  nowMs = 0;

  readonly schedule: Schedule = (delayMs, callback) => {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** How long until the next one; undefined when none waits. */
  get nextDelayMs(): number | undefined {
    const [first] = this.#timers.toSorted((a, b) => a.atMs - b.atMs);
    return first && first.atMs - this.nowMs;
  }

  advance(byMs: number): void {
    this.nowMs += byMs;
    const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
    this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
    for (const { callback } of due) callback();
  }
}
