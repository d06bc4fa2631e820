import { IotError } from "@hubwire/protocol";
import type { Clock, Timer } from "@hubwire/transport";
import type { Health } from "../health.ts";
import type { Failure, Operation, Outcome, WorkerSettings } from "./operations.ts";
import { sqliteCodes } from "./sqlite-codes.ts";
import { type Spawn, WorkerThread } from "./worker-thread.ts";

type Waiting = {
  operation: Operation;
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
};

/** Operations in one transaction. */
const batchMax = 1000;
/** Operations waiting for the worker; past it they are refused. */
const waitingMax = 20_000;
const retryMs = { first: 100, max: 5_000 };

/**
 * The main thread's end of the documents database. Operations are collected for one turn of the event loop and posted as
 * one message; while a batch is with the worker, what arrives joins the next, so that one commit serves many.
 */
export class OperationQueue {
  readonly #settings: WorkerSettings;
  readonly #clock: Clock;
  readonly #health: Health;
  readonly #spawn: Spawn;
  #thread: WorkerThread | undefined;
  #waiting: Waiting[] = [];
  #inFlight: Waiting[] = [];
  #turnPending = false;
  #retryTimer: Timer | undefined;
  #retryDelayMs: number = retryMs.first;
  #restarting: Promise<void> | undefined;
  #closed = false;
  #idle: (() => void)[] = [];

  private constructor(
    settings: WorkerSettings,
    parts: { clock: Clock; health: Health; spawn: Spawn },
  ) {
    this.#settings = settings;
    this.#clock = parts.clock;
    this.#health = parts.health;
    this.#spawn = parts.spawn;
  }

  static async open(
    settings: WorkerSettings,
    parts: { clock: Clock; health: Health; spawn: Spawn },
  ): Promise<OperationQueue> {
    const queue = new OperationQueue(settings, parts);
    await queue.#start();
    return queue;
  }

  /** The format version the data had when this version is newer. */
  get upgradedFrom(): number | undefined {
    return this.#thread?.upgradedFrom;
  }

  run(operation: Operation): Promise<unknown> {
    if (this.#closed) return Promise.reject(new IotError("client.closed", "The store is closed"));
    if (this.#thread === undefined) {
      return Promise.reject(unavailable("the database is being opened again"));
    }
    if (this.#waiting.length >= waitingMax) {
      return Promise.reject(unavailable(`${waitingMax} operations wait already`));
    }
    return this.#add(operation);
  }

  /** Finishes what was called, takes nothing more, closes the database. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#retryTimer?.cancel();
    await this.#restarting;
    if (this.#waiting.length > 0 || this.#inFlight.length > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
    await this.#thread?.close();
    this.#thread = undefined;
  }

  #add(operation: Operation): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, resolve, reject });
      if (this.#turnPending || this.#inFlight.length > 0) return;
      this.#turnPending = true;
      this.#clock.endOfTurn(() => {
        this.#turnPending = false;
        this.#post();
      });
    });
  }

  #post(): void {
    if (this.#thread === undefined || this.#inFlight.length > 0) return;
    if (this.#waiting.length === 0) {
      for (const wake of this.#idle.splice(0)) wake();
      return;
    }
    const all = this.#waiting.length <= batchMax;
    this.#inFlight = all ? this.#waiting : this.#waiting.splice(0, batchMax);
    if (all) this.#waiting = [];
    const batch = this.#inFlight.map(({ operation }) => operation);
    this.#thread.run(batch, (outcomes) => this.#answered(outcomes));
  }

  #answered(outcomes: readonly Outcome[]): void {
    const answered = this.#inFlight;
    this.#inFlight = [];
    // The worker works on while this thread hands out the answers.
    this.#post();
    let broken: Failure | undefined;
    for (const [index, { resolve, reject, operation }] of answered.entries()) {
      const outcome = outcomes[index]!;
      if ("value" in outcome) resolve(outcome.value);
      else {
        const { failure } = outcome;
        const isDisk = failure.code in sqliteCodes;
        if (isDisk) broken = failure;
        reject(isDisk ? unavailable(failure.message) : unforeseen(operation, failure));
      }
    }
    if (broken) this.#unhealthy(broken.message);
  }

  #unhealthy(why: string): void {
    this.#health.set("documents", why);
    if (this.#retryTimer !== undefined || this.#closed) return;
    this.#retryTimer = this.#clock.at(this.#clock.nowMs() + this.#retryDelayMs, () => {
      this.#retryTimer = undefined;
      this.#retryDelayMs = Math.min(this.#retryDelayMs * 2, retryMs.max);
      if (this.#thread === undefined) this.#restarting = this.#restart();
      else this.#add({ name: "probe" }).then(this.#healed, () => {});
    });
  }

  readonly #healed = (): void => {
    this.#retryDelayMs = retryMs.first;
    this.#health.set("documents", undefined);
  };

  async #start(): Promise<void> {
    this.#thread = await WorkerThread.start(this.#settings, this.#spawn, (why) => this.#died(why));
  }

  async #restart(): Promise<void> {
    try {
      await this.#start();
      this.#healed();
    } catch (error) {
      this.#unhealthy((error as Error).message);
    }
  }

  /** Whether the batch under way was committed nobody knows: its callers are told that it failed. */
  #died(why: string): void {
    this.#thread = undefined;
    const lost = [...this.#inFlight, ...this.#waiting];
    this.#inFlight = [];
    this.#waiting = [];
    for (const { reject } of lost) reject(unavailable(`the database thread died: ${why}`));
    for (const wake of this.#idle.splice(0)) wake();
    this.#unhealthy(why);
  }
}

const unavailable = (why: string): IotError =>
  new IotError("store.unavailable", `The documents store failed: ${why}`);

const unforeseen = ({ name }: Operation, { message }: Failure): IotError =>
  new IotError("hub.internal", `The documents store refused ${name}: ${message}`);
