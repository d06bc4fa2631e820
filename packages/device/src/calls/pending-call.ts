import { aborted } from "./errors.ts";

export type CallOptions = {
  /** Ends the call early with `call.aborted`. */
  signal?: AbortSignal | undefined;
  /** Overrides the client's `callTimeoutMs`. */
  timeoutMs?: number | undefined;
};

/**
 * One call that waits for the hub: settles exactly once, with a value, with an error, by its deadline or by its signal.
 * It owns no timer: whoever keeps it looks at `deadlineMs`.
 */
export class PendingCall<T> {
  readonly promise: Promise<T>;
  /** For messages, such as "getTwin". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly #signal: AbortSignal | undefined;
  #resolve!: (value: T) => void;
  #reject!: (error: Error) => void;
  #settled = false;
  readonly #onAbort = (): void => {
    if (this.#signal !== undefined) this.reject(aborted(this.what, this.#signal));
  };

  constructor(what: string, nowMs: number, timeoutMs: number, signal: AbortSignal | undefined) {
    this.what = what;
    this.timeoutMs = timeoutMs;
    this.deadlineMs = nowMs + timeoutMs;
    this.#signal = signal;
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal === undefined) return;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  get settled(): boolean {
    return this.#settled;
  }

  resolve(value: T): void {
    if (this.#finish()) this.#resolve(value);
  }

  reject(error: Error): void {
    if (this.#finish()) this.#reject(error);
  }

  #finish(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    return true;
  }
}
