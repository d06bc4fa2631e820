import { aborted } from "./errors.ts";

export type EventStreamOptions<T> = {
  /** For messages, such as "messages()". */
  what: string;
  signal: AbortSignal | undefined;
  /** Events held for a slow reader. */
  bufferMax: number;
  /** Called instead of a push into a full buffer; may change what is there. */
  onOverflow: (buffer: T[], event: T) => void;
  /** Called when a reader begins to wait, for streams that share one source. */
  onRead?: () => void;
  /** Called once, when nobody will read again. */
  onDone?: () => void;
};

/**
 * Events for one `for await` loop, in order. Ends quietly with `end`, throws with `fail` or when its signal is aborted;
 * what was pushed before an end is still read.
 */
export class EventStream<T> implements AsyncIterableIterator<T, undefined> {
  readonly #options: EventStreamOptions<T>;
  #buffer: T[] = [];
  #readers: {
    resolve: (result: IteratorResult<T, undefined>) => void;
    reject: (error: Error) => void;
  }[] = [];
  #state: "open" | "ended" | "failed" = "open";
  #error: Error | undefined;
  readonly #onAbort = (): void => {
    const { signal, what } = this.#options;
    if (signal !== undefined) this.fail(aborted(what, signal));
  };

  constructor(options: EventStreamOptions<T>) {
    this.#options = options;
    const { signal } = options;
    if (signal?.aborted) {
      this.#state = "failed";
      this.#error = aborted(options.what, signal);
    } else signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Whether a push would go to a waiting reader at once. */
  get hasReader(): boolean {
    return this.#readers.length > 0;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  push(event: T): void {
    if (this.#state !== "open") return;
    const reader = this.#readers.shift();
    if (reader !== undefined) reader.resolve({ value: event, done: false });
    else if (this.#buffer.length < this.#options.bufferMax) this.#buffer.push(event);
    else this.#options.onOverflow(this.#buffer, event);
  }

  end(): void {
    if (!this.#finish("ended")) return;
    for (const reader of this.#readers.splice(0)) reader.resolve({ value: undefined, done: true });
  }

  fail(error: Error): void {
    if (!this.#finish("failed")) return;
    const [first, ...others] = this.#readers.splice(0);
    if (first === undefined) this.#error = error;
    else first.reject(error);
    for (const reader of others) reader.resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#buffer.length > 0 && this.#state !== "failed") {
      return Promise.resolve({ value: this.#buffer.shift() as T, done: false });
    }
    const error = this.#error;
    if (error !== undefined) {
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#state !== "open") return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      this.#options.onRead?.();
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#buffer = [];
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #finish(state: "ended" | "failed"): boolean {
    if (this.#state !== "open") return false;
    this.#state = state;
    if (state === "failed") this.#buffer = [];
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#options.onDone?.();
    return true;
  }
}
