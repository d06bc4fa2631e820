import type { Batch } from "./pending-batches.ts";
import { findLast } from "./search.ts";

export type RecentBatch = { batch: Batch; position: number; timeMs: number };

/** However small the batches are. */
const batchesMax = 1024;

/** The batches committed last, in memory: readers that keep up never touch the disk. */
export class RecentBatches {
  readonly #bytesMax: number;
  readonly #batches: RecentBatch[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(recent: RecentBatch): void {
    this.#batches.push(recent);
    this.#bytes += sizeOf(recent);
    while (this.#bytes > this.#bytesMax || this.#batches.length > batchesMax) {
      const oldest = this.#batches.shift();
      if (!oldest) break;
      this.#bytes -= sizeOf(oldest);
    }
  }

  /** The last batch with `isBefore`, which must hold for a leading part of them. */
  last(isBefore: (recent: RecentBatch) => boolean): RecentBatch | undefined {
    const at = findLast(this.#batches, isBefore);
    return at < 0 ? undefined : this.#batches[at];
  }

  at(position: number): RecentBatch | undefined {
    const found = this.last((recent) => recent.position <= position);
    return found?.position === position ? found : undefined;
  }
}

function sizeOf({ batch }: RecentBatch): number {
  return batch.end - batch.start;
}
