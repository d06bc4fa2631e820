import { IotError } from "@hubwire/protocol";

/**
 * One operation at a time per key, in the order they were asked for. Whatever an operation does before its promise
 * settles (sending an answer, a notification) therefore happens in that order too. A key that is idle costs nothing.
 */
export class Serial {
  readonly #waitingMax: number;
  readonly #lanes = new Map<string, (() => void)[]>();

  /** `waitingMax`: operations that may wait behind the running one, per key. */
  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** Keys with an operation running or waiting. */
  get busyKeys(): number {
    return this.#lanes.size;
  }

  /** @throws IotError `quota.throttled` when too many operations wait for this key. */
  async run<T>(key: string, operation: () => Promise<T>): Promise<T> {
    const waiting = this.#lanes.get(key);
    if (waiting === undefined) this.#lanes.set(key, []);
    else if (waiting.length >= this.#waitingMax) {
      throw new IotError(
        "quota.throttled",
        `More than ${this.#waitingMax} operations wait for "${key}"`,
      );
    } else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await operation();
    } finally {
      const next = this.#lanes.get(key)?.shift();
      if (next === undefined) this.#lanes.delete(key);
      else next();
    }
  }
}
