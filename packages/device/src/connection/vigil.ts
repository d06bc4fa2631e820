import type { Settings } from "../options/settings.ts";
import type { Agenda, Machine } from "./agenda.ts";

/** While connected: often enough that a device that was asleep finds out before its user does. */
const lookConnectedMs = 15_000;
/** While waiting: reading the list of interfaces takes some tens of microseconds. */
const lookWaitingMs = 3_000;
/** Smaller jumps of the wall clock are NTP at work. */
const jumpMs = 5_000;
/** A timer that fires so late was held up by more than a busy program. */
const lateMs = 10_000;

/** What happened while nobody looked. */
export interface VigilHost {
  /** Time passed that this process did not see: the computer slept, or the wall clock was set forward. */
  lostTime(byMs: number): void;
  /** The wall clock was set back. */
  setBack(byMs: number): void;
  /** Another set of network addresses; told only while waiting. */
  networkChanged(): void;
}

/**
 * Looks at the clocks against each other, and while there is no connection at the network. Sleep shows in one of two ways,
 * by operating system: the monotonic clock stands still and the wall clock jumps ahead of it (Linux), or both go on and a
 * timer fires very late (Windows, macOS).
 */
export class Vigil implements Machine {
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  readonly #host: VigilHost;
  #everyMs = Infinity;
  #nextMs = Infinity;
  /** Wall clock minus monotonic clock at the last look. */
  #offsetMs = 0;
  #network: string | undefined;

  constructor(settings: Settings, agenda: Agenda, host: VigilHost) {
    this.#settings = settings;
    this.#agenda = agenda;
    this.#host = host;
    this.#offsetMs = settings.clock.wallMs() - settings.clock.nowMs();
    agenda.add(this);
  }

  get deadlineMs(): number {
    return this.#nextMs;
  }

  /** @param what undefined: nothing to watch, such as during an attempt, which has a deadline of its own */
  watch(what: "connected" | "waiting" | undefined, nowMs: number): void {
    if (what === undefined) {
      this.#nextMs = Infinity;
      return;
    }
    const waiting = what === "waiting";
    this.#everyMs = waiting ? lookWaitingMs : lookConnectedMs;
    this.#network = waiting ? this.#settings.networkSignature?.() : undefined;
    this.#nextMs = nowMs + this.#everyMs;
    this.#agenda.expect(this.#nextMs);
  }

  tick(nowMs: number): void {
    if (nowMs < this.#nextMs) return;
    const lateByMs = nowMs - this.#nextMs;
    const before = this.#offsetMs;
    const { clock, networkSignature } = this.#settings;
    this.#offsetMs = clock.wallMs() - nowMs;
    this.#nextMs = nowMs + this.#everyMs;
    const jumpedMs = this.#offsetMs - before;
    if (this.#everyMs === lookWaitingMs && networkSignature !== undefined) {
      const network = networkSignature();
      const changed = network !== this.#network && network !== "";
      this.#network = network;
      if (changed) this.#host.networkChanged();
    }
    if (jumpedMs > jumpMs || lateByMs > lateMs) this.#host.lostTime(Math.max(jumpedMs, lateByMs));
    else if (jumpedMs < -jumpMs) this.#host.setBack(-jumpedMs);
  }
}

/** The addresses this computer can be reached by, in a fixed order; empty when it has none but loopback. */
export function systemNetwork(): string {
  const addresses = Object.entries(process.getBuiltinModule("node:os").networkInterfaces()).flatMap(
    ([name, list]) =>
      (list ?? []).filter(({ internal }) => !internal).map(({ address }) => `${name} ${address}`),
  );
  return addresses.toSorted().join(", ");
}
