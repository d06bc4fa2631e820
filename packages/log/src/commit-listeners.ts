import type { LogError } from "./log-error.ts";

export type CommitListener = (durableOrdinal: number) => void;
export type FailureListener = (
  firstLostOrdinal: number,
  lastLostOrdinal: number,
  error: LogError,
) => void;

type Waiter = { ordinal: number; resolve: () => void; reject: (error: LogError) => void };

/** Everyone who waits for commits: listeners for as long as they like, `flush` for one. */
export class CommitListeners {
  readonly #commit = new Set<CommitListener>();
  readonly #failure = new Set<FailureListener>();
  /** In order of their ordinals. */
  #waiters: Waiter[] = [];

  onCommit(listener: CommitListener): () => void {
    this.#commit.add(listener);
    return () => this.#commit.delete(listener);
  }

  onFailure(listener: FailureListener): () => void {
    this.#failure.add(listener);
    return () => this.#failure.delete(listener);
  }

  whenDurable(ordinal: number, durableOrdinal: number): Promise<void> {
    if (ordinal <= durableOrdinal) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ ordinal, resolve, reject });
    });
  }

  committed(durableOrdinal: number): void {
    for (const listener of this.#commit) guarded(() => listener(durableOrdinal));
    while (this.#waiters[0] && this.#waiters[0].ordinal <= durableOrdinal) {
      this.#waiters.shift()?.resolve();
    }
  }

  failed(firstLost: number, lastLost: number, error: LogError): void {
    for (const listener of this.#failure) guarded(() => listener(firstLost, lastLost, error));
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { reject } of waiters) reject(error);
  }
}

/** A listener's mistake is the process's to see, and no reason to stop committing. */
function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
