import type { ReaderLog } from "../../../domain/telemetry/index.ts";

/**
 * Readers that have read everything, by partition. One listener on the log for all of them; a commit that brought a
 * partition nothing wakes nobody, and nothing is done while nobody waits.
 */
export class Waiters {
  readonly #log: Pick<ReaderLog, "partition" | "onCommit">;
  readonly #waiting = new Map<number, Map<() => void, number>>();
  readonly #unsubscribe: () => void;

  constructor(log: Pick<ReaderLog, "partition" | "onCommit">) {
    this.#log = log;
    this.#unsubscribe = log.onCommit(() => {
      if (this.#waiting.size > 0) this.#look();
    });
  }

  /** Calls back once, when the partition has the sequence number. */
  wait(partition: number, sequenceNumber: number, wake: () => void): void {
    const waiting = this.#waiting.get(partition) ?? new Map<() => void, number>();
    waiting.set(wake, sequenceNumber);
    this.#waiting.set(partition, waiting);
  }

  forget(partition: number, wake: () => void): void {
    const waiting = this.#waiting.get(partition);
    waiting?.delete(wake);
    if (waiting?.size === 0) this.#waiting.delete(partition);
  }

  close(): void {
    this.#unsubscribe();
  }

  #look(): void {
    for (const [partition, waiting] of this.#waiting) {
      const { nextSequenceNumber } = this.#log.partition(partition);
      for (const [wake, sequenceNumber] of waiting) {
        if (sequenceNumber >= nextSequenceNumber) continue;
        this.forget(partition, wake);
        wake();
      }
    }
  }
}
