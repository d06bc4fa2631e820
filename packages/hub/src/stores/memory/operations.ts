import { IotError } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { Health } from "../health.ts";

/** One call of a store as a fault hook sees it. */
export type StoreOperation = {
  store: "documents" | "c2d" | "telemetry";
  /** `get`, `put`, `lock` …; for telemetry `commit`. */
  name: string;
  /** Document key or queue; empty where there is none. */
  key: string;
};

/**
 * `reject`: nothing happens and the caller is told so. `applyThenReject`: it happens and the answer is lost, as when a
 * machine dies between commit and reply.
 */
export type Fault = "reject" | "applyThenReject" | undefined;

/** Calls `complete` once, later. A simulation puts its virtual clock here. */
export type Schedule = (complete: () => void) => void;

type Pending = {
  operation: StoreOperation;
  apply: () => unknown;
  resolve: (value: never) => void;
  reject: (error: Error) => void;
  due: boolean;
};

/** After a fault the store asks this often whether it is over. */
const healEveryMs = 100;

/** Operations take effect in the order of the calls, whatever order the schedule completes them in, as in one file. */
export class Operations {
  readonly #schedule: Schedule;
  readonly #fault: (operation: StoreOperation) => Fault;
  readonly #clock: Clock;
  readonly #health: Health;
  readonly #pending: Pending[] = [];
  #ended: "no" | "closed" | "cut" = "no";
  #failing = false;
  #idle: (() => void)[] = [];

  constructor(parts: {
    schedule: Schedule;
    fault: (operation: StoreOperation) => Fault;
    clock: Clock;
    health: Health;
  }) {
    this.#schedule = parts.schedule;
    this.#fault = parts.fault;
    this.#clock = parts.clock;
    this.#health = parts.health;
  }

  run<T>(operation: StoreOperation, apply: () => T): Promise<T> {
    if (this.#ended === "closed") {
      return Promise.reject(new IotError("client.closed", "The store is closed"));
    }
    return new Promise<T>((resolve, reject) => {
      if (this.#ended === "cut") return;
      const pending: Pending = { operation, apply, resolve, reject, due: false };
      this.#pending.push(pending);
      this.#schedule(() => {
        pending.due = true;
        this.#drain();
      });
    });
  }

  fault(operation: StoreOperation): Fault {
    return this.#fault(operation);
  }

  /** Says that a part of the store failed, and calls `healed` when the fault hook lets it work again. */
  fail(store: StoreOperation["store"], healed: () => void): void {
    this.#health.set(store, "the last write failed");
    this.#clock.at(this.#clock.nowMs() + healEveryMs, () => {
      if (this.#ended !== "no") return;
      if (this.#fault({ store, name: "heal", key: "" }) !== undefined) {
        this.fail(store, healed);
      } else {
        this.#health.set(store, undefined);
        healed();
      }
    });
  }

  get isCut(): boolean {
    return this.#ended === "cut";
  }

  /** Finishes what was called and takes nothing more. */
  close(): Promise<void> {
    if (this.#ended === "no") this.#ended = "closed";
    if (this.#pending.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** The process dies: what is pending neither happens nor settles. */
  cut(): void {
    this.#ended = "cut";
    this.#pending.length = 0;
  }

  #failed({ operation, reject }: Pending): void {
    reject(
      new IotError("store.unavailable", `The store failed at ${operation.store}.${operation.name}`),
    );
    if (this.#failing) return;
    this.#failing = true;
    this.fail("documents", () => (this.#failing = false));
  }

  #drain(): void {
    while (this.#pending[0]?.due === true) {
      const next = this.#pending.shift()!;
      const fault = this.#fault(next.operation);
      try {
        const value = fault === "reject" ? undefined : next.apply();
        if (fault === undefined) next.resolve(value as never);
        else this.#failed(next);
      } catch (error) {
        next.reject(error as Error);
      }
    }
    if (this.#pending.length > 0) return;
    for (const wake of this.#idle.splice(0)) wake();
  }
}
