import { randomBytes } from "node:crypto";
import { VirtualClock } from "@hubwire/transport";
import { connect } from "@hubwire/device";
import type { ConnectOptions, DeviceClient, DeviceOptions } from "@hubwire/device";
import { FakeHub, hostName, identity } from "./fake-hub.ts";
import type { HubScript } from "./script.ts";

/** Numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A device, a fake hub and virtual time. */
export class World {
  readonly clock = new VirtualClock({ wallMs: Date.UTC(2026, 0, 1) });
  readonly hub: FakeHub;
  readonly key = randomBytes(32).toString("base64");

  constructor(script: HubScript = {}) {
    this.hub = new FakeHub(this.clock, script);
  }

  options(options: DeviceOptions = {}): ConnectOptions {
    return {
      credentials: { hostName, ...identity, sharedAccessKey: this.key },
      clock: this.clock,
      openStream: this.hub.open,
      random: seeded(1),
      onError: (error) => {
        throw error;
      },
      ...options,
    };
  }

  /** Starts to connect; time stands still until the test moves it. */
  connecting(options: DeviceOptions = {}): Outcome<DeviceClient> {
    return new Outcome(connect(this.options(options)));
  }

  /** A connected client. */
  async connect(options: DeviceOptions = {}): Promise<DeviceClient> {
    const opening = this.connecting(options);
    await this.clock.runUntil(() => opening.isSettled);
    return opening.value;
  }

  /** Moves time until a promise is settled, and gives its value or throws its error. */
  async settle<T>(promise: Promise<T>, withinMs = 3_600_000): Promise<T> {
    const outcome = new Outcome(promise);
    await this.clock.runUntil(() => outcome.isSettled, { withinMs });
    return outcome.value;
  }
}

/** A promise whose state can be looked at without waiting. */
export class Outcome<T> {
  #state: { value: T } | { error: unknown } | undefined;

  constructor(promise: Promise<T>) {
    promise.then(
      (value) => (this.#state = { value }),
      (error: unknown) => (this.#state = { error }),
    );
  }

  get isSettled(): boolean {
    return this.#state !== undefined;
  }

  /** "pending", "value" or the error's code. */
  get code(): string {
    if (this.#state === undefined) return "pending";
    if ("value" in this.#state) return "value";
    return (this.#state.error as { code?: string }).code ?? String(this.#state.error);
  }

  get error(): Error & { code: string; remedy: string; retryable: boolean } {
    if (this.#state === undefined || "value" in this.#state) throw new Error(`it is ${this.code}`);
    return this.#state.error as Error & { code: string; remedy: string; retryable: boolean };
  }

  get value(): T {
    if (this.#state === undefined) throw new Error("it is still pending");
    if ("error" in this.#state) throw this.#state.error;
    return this.#state.value;
  }
}
