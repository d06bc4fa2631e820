import { VirtualClock } from "@hubwire/transport";
import type { Clock, RunLimits, Timer, VirtualClockOptions } from "@hubwire/transport";

/**
 * Time for tests of an application. What needs no time happens by itself, as with a real hub that is very fast; time
 * passes only with `advance` and `until`. What becomes due on the way happens in one fixed order, so a test gives the same
 * result each time.
 *
 * It uses `setImmediate`: a test runner that fakes timers must leave that one alone.
 */
export class TestClock implements Clock {
  readonly #inner: VirtualClock;
  #tail: Promise<unknown> = Promise.resolve();
  #isMoving = false;
  #isWoken = false;
  /** Ends of turn asked for and not run. */
  #open = 0;

  /** @param options `wallMs`: Unix time at the start, default 2025-01-01T00:00:00Z */
  constructor(options: VirtualClockOptions = {}) {
    this.#inner = new VirtualClock(options);
  }

  wallMs(): number {
    return this.#inner.wallMs();
  }

  nowMs(): number {
    return this.#inner.nowMs();
  }

  at(atMs: number, callback: () => void): Timer {
    const timer = this.#inner.at(atMs, callback);
    this.#wake();
    return timer;
  }

  endOfTurn(callback: () => void): void {
    this.#open += 1;
    this.#inner.endOfTurn(() => {
      this.#open -= 1;
      callback();
    });
    this.#wake();
  }

  /** Lets time pass, and everything happen that becomes due. Rejects with what a callback throws. */
  advance(ms: number): Promise<void> {
    return this.#move(() => this.#inner.advance(ms));
  }

  /**
   * Lets time pass until `predicate` holds, from one event to the next.
   * @throws Error after an hour of virtual time (`limits.withinMs`), or when nothing is left to happen
   */
  until(predicate: () => boolean, limits: RunLimits = {}): Promise<void> {
    return this.#move(() => this.#inner.runUntil(predicate, limits));
  }

  /** Moves the wall clock only, either way, as NTP or a person does. */
  jumpWall(byMs: number): void {
    this.#inner.jumpWall(byMs);
  }

  #move(work: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(async () => {
      this.#isMoving = true;
      try {
        await work();
      } finally {
        this.#isMoving = false;
        this.#wake();
      }
    });
    this.#tail = done.catch(() => undefined);
    return done;
  }

  /** Something is ready that nobody's call of `advance` will run. */
  #wake(): void {
    if (this.#isMoving || this.#isWoken) return;
    if (this.#open === 0 && this.#inner.nextMs > this.#inner.nowMs()) return;
    this.#isWoken = true;
    this.#move(() => {
      this.#isWoken = false;
      return this.#inner.advance(0);
    }).catch((error: unknown) => {
      // Nobody waits for it: it must fail the test all the same.
      setImmediate(() => {
        throw error;
      });
    });
  }
}
