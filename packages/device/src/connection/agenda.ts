import type { Clock, Timer } from "@hubwire/transport";

/** Something with a deadline: a small machine that is ticked. */
export interface Machine {
  /** When `tick` is next worth calling, monotonic milliseconds; `Infinity` when never. */
  readonly deadlineMs: number;
  /** Harmless when early or repeated. */
  tick(nowMs: number): void;
}

/**
 * One timer for all machines of a client. A deadline that comes nearer is announced with `expect`; one that moves away is
 * found when the timer fires early, so that the common case, a deadline met in time, costs nothing.
 */
export class Agenda {
  readonly #clock: Clock;
  readonly #machines: Machine[] = [];
  #timer: Timer | undefined;
  #armedMs = Infinity;
  #stopped = false;
  readonly #fire = (): void => this.#fired();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(machine: Machine): void {
    this.#machines.push(machine);
  }

  /** A machine now has this deadline. */
  expect(deadlineMs: number): void {
    if (deadlineMs >= this.#armedMs || this.#stopped) return;
    this.#timer?.cancel();
    this.#armedMs = deadlineMs;
    this.#timer = this.#clock.at(deadlineMs, this.#fire);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #fired(): void {
    this.#armedMs = Infinity;
    this.#timer = undefined;
    const nowMs = this.#clock.nowMs();
    for (const machine of this.#machines) {
      if (nowMs >= machine.deadlineMs) machine.tick(nowMs);
    }
    let nextMs = Infinity;
    for (const machine of this.#machines) nextMs = Math.min(nextMs, machine.deadlineMs);
    // A machine that is due but did not move its deadline must not spin the loop.
    this.expect(Math.max(nextMs, nowMs + 1));
  }
}
