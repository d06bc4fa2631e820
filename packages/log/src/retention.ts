import { join } from "node:path";

import { systemCodeOf, toLogError } from "./log-error.ts";
import type { LogError } from "./log-error.ts";
import type { LogSettings } from "./options.ts";
import type { ReadFiles } from "./read-files.ts";
import type { Segment } from "./segment.ts";
import { segmentFileName } from "./segment.ts";

/** Deletes whole segments, oldest first, never the one that is appended to. */
export class Retention {
  readonly #settings: LogSettings;
  readonly #segments: Segment[];
  readonly #files: ReadFiles;
  /** Records before it were given up by the caller, for each partition. */
  readonly #trimmed: Float64Array;
  /** Out of the readers' view, not yet deleted. */
  readonly #doomed: number[] = [];
  #deleting: Promise<void> | undefined;
  /** Why the last deletion failed; undefined when it did not. */
  error: LogError | undefined;

  constructor(settings: LogSettings, segments: Segment[], files: ReadFiles, partitions: number) {
    this.#settings = settings;
    this.#segments = segments;
    this.#files = files;
    this.#trimmed = new Float64Array(partitions);
  }

  trimBefore(partition: number, sequenceNumber: number): void {
    this.#trimmed[partition] = Math.max(this.#trimmed[partition] ?? 0, sequenceNumber);
  }

  /** Whether the active segment is due as well, and so a new one. */
  isActiveExpired(): boolean {
    const active = this.#segments.at(-1);
    return active !== undefined && !active.isEmpty && this.#isExpired(active);
  }

  /** Takes out of view what is due, and deletes it in the background. */
  run(spareBytes: number): void {
    let bytes = spareBytes;
    for (const { sizeBytes } of this.#segments) bytes += sizeBytes;
    for (;;) {
      const [oldest, next] = this.#segments;
      if (!oldest || !next) break;
      const tooMuch = bytes > this.#settings.retentionBytes;
      if (!tooMuch && !this.#isExpired(oldest) && !this.#isTrimmed(oldest, next)) break;
      bytes -= oldest.sizeBytes;
      this.#segments.shift();
      this.#doomed.push(oldest.number);
      this.#files.drop(oldest.number);
    }
    if (this.#doomed.length === 0) return;
    this.#deleting ??= this.#delete().finally(() => {
      this.#deleting = undefined;
    });
  }

  /** Resolves when no deletion is under way. */
  async settled(): Promise<void> {
    await this.#deleting;
  }

  /** One at a time, each synced: a crash must not bring back an older segment without the ones behind it. */
  async #delete(): Promise<void> {
    const { fileSystem, directory } = this.#settings;
    try {
      for (let number = this.#doomed[0]; number !== undefined; number = this.#doomed[0]) {
        // oxlint-disable-next-line no-await-in-loop -- in this order
        await fileSystem.unlink(join(directory, segmentFileName(number))).catch(ignoreMissing);
        // oxlint-disable-next-line no-await-in-loop -- in this order
        await fileSystem.syncDirectory(directory);
        this.#doomed.shift();
      }
      this.error = undefined;
    } catch (error) {
      // Tried again with the next run.
      this.error = toLogError(error, "deleting a segment");
    }
  }

  #isExpired(segment: Segment): boolean {
    return segment.lastTimeMs < this.#settings.nowMs() - this.#settings.retentionMs;
  }

  #isTrimmed(segment: Segment, next: Segment): boolean {
    const from = segment.opening.counters.sequenceNumber;
    const to = next.opening.counters.sequenceNumber;
    return to.every((end, p) => end <= Math.max(from[p] ?? 0, this.#trimmed[p] ?? 0));
  }
}

function ignoreMissing(error: unknown): void {
  if (systemCodeOf(error) !== "ENOENT") throw error;
}
