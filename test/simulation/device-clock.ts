import type { Clock, Timer, VirtualClock } from "@hubwire/transport";

/**
 * One machine's clock: its wall clock may be wrong, and while it sleeps its monotonic clock stands still and none of its
 * programs run. When its power goes, nothing that was waiting ever happens.
 */
export class DeviceClock implements Clock {
  skewMs = 0;
  readonly #world: VirtualClock;
  #sleptMs = 0;
  #asleepSinceMs: number | undefined;
  #dead = false;
  #firedMs = 0;
  #held: (() => void)[] = [];

  constructor(world: VirtualClock, sleptMs = 0) {
    this.#world = world;
    this.#sleptMs = sleptMs;
  }

  get isAsleep(): boolean {
    return this.#asleepSinceMs !== undefined;
  }

  wallMs(): number {
    return this.#world.wallMs() + this.skewMs;
  }

  nowMs(): number {
    return Math.max(this.#firedMs, (this.#asleepSinceMs ?? this.#world.nowMs()) - this.#sleptMs);
  }

  at(atMs: number, callback: () => void): Timer {
    let cancelled = false;
    let timer: Timer | undefined;
    const arm = (): void => {
      timer = this.#world.at(atMs + this.#sleptMs, () =>
        this.#run(() => {
          if (cancelled) return;
          // The machine slept in between: by its own clock it is not time yet.
          if (this.nowMs() < atMs - 0.001) return arm();
          // Adding and taking away the time slept is not exact, and a timer must not come early.
          this.#firedMs = Math.max(this.#firedMs, atMs);
          callback();
        }),
      );
    };
    if (atMs !== Infinity) arm();
    return {
      cancel: () => {
        cancelled = true;
        timer?.cancel();
      },
    };
  }

  endOfTurn(callback: () => void): void {
    this.#world.endOfTurn(() => this.#run(callback));
  }

  sleep(): void {
    this.#asleepSinceMs ??= this.#world.nowMs();
  }

  wake(): void {
    if (this.#asleepSinceMs === undefined) return;
    this.#sleptMs += this.#world.nowMs() - this.#asleepSinceMs;
    this.#asleepSinceMs = undefined;
    for (const held of this.#held.splice(0)) held();
  }

  die(): void {
    this.#dead = true;
    this.#held = [];
  }

  #run(callback: () => void): void {
    if (this.#dead) return;
    if (this.isAsleep) this.#held.push(callback);
    else callback();
  }
}
