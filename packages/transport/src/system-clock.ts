import type { Clock, Timer } from "./clock.ts";

/** The longest delay `setTimeout` takes; beyond it Node fires at once. */
const delayMaxMs = 2 ** 31 - 1;

let shared: SystemClock | undefined;

/** The clock of the machine. One object for the whole process, so that all drivers share one end of turn. */
export function systemClock(): Clock {
  shared ??= new SystemClock();
  return shared;
}

class SystemClock implements Clock {
  #waiting: (() => void)[] = [];
  /** The array of the turn before, reused so that a busy process does not allocate one per turn. */
  #spare: (() => void)[] = [];
  readonly #endTurn = (): void => this.#runEndOfTurn();

  wallMs(): number {
    return Date.now();
  }

  nowMs(): number {
    return performance.now();
  }

  at(atMs: number, callback: () => void): Timer {
    return atMs === Infinity ? never : new SystemTimer(atMs, callback);
  }

  endOfTurn(callback: () => void): void {
    if (this.#waiting.length === 0) setImmediate(this.#endTurn);
    this.#waiting.push(callback);
  }

  #runEndOfTurn(): void {
    const batch = this.#waiting;
    this.#waiting = this.#spare;
    let done = 0;
    try {
      while (done < batch.length) batch[done++]?.();
    } finally {
      // A callback that throws must not take the others of its turn with it.
      if (done < batch.length) for (const left of batch.splice(done)) this.endOfTurn(left);
      batch.length = 0;
      this.#spare = batch;
    }
  }
}

const never: Timer = { cancel: () => undefined };

/** Node's timers may fire up to a millisecond early and take at most 24.8 days: this one looks again and goes on. */
class SystemTimer implements Timer {
  readonly #atMs: number;
  readonly #callback: () => void;
  #timeout: NodeJS.Timeout | undefined;

  constructor(atMs: number, callback: () => void) {
    this.#atMs = atMs;
    this.#callback = callback;
    this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
    this.#timeout = undefined;
  }

  #arm(): void {
    const leftMs = Math.ceil(this.#atMs - performance.now());
    this.#timeout = setTimeout(() => this.#fire(), Math.min(Math.max(leftMs, 0), delayMaxMs));
  }

  #fire(): void {
    if (performance.now() < this.#atMs) return this.#arm();
    this.#timeout = undefined;
    this.#callback();
  }
}
