import { join } from "node:path";

import type { LogFile, LogFileSystem } from "./file-system.ts";
import { toLogError } from "./log-error.ts";
import type { LogError } from "./log-error.ts";
import { segmentFileName } from "./segment.ts";
import { zeroFill } from "./zeros.ts";

/** A segment file full of zeros: data and name are synced. */
export type PreparedFile = { file: LogFile; path: string; number: number; sizeBytes: number };

/** Of a file in the making: whatever a crash leaves under such a name is deleted. */
export const unfinishedSuffix = ".new";

/** One sync of a whole large file would hold up the commits beside it: this halves the rate at 50 in flight. */
const syncEveryBytes = 4 * 1024 * 1024;

/**
 * Makes a segment file by writing zeros: Node has no fallocate, and a commit that overwrites allocated
 * bytes spares the file system its journal. It gets its name only when it is whole.
 */
async function prepareFile(
  fileSystem: LogFileSystem,
  directory: string,
  number: number,
  sizeBytes: number,
  stop: { aborted: boolean },
): Promise<PreparedFile> {
  const path = join(directory, segmentFileName(number));
  const unfinished = path + unfinishedSuffix;
  const file = await fileSystem.open(unfinished, "create");
  try {
    for (let at = 0; at < sizeBytes; at += syncEveryBytes) {
      if (stop.aborted) throw new Error("the log was closed");
      // oxlint-disable-next-line no-await-in-loop -- one part after the other
      await zeroFill(file, at, Math.min(at + syncEveryBytes, sizeBytes));
      // oxlint-disable-next-line no-await-in-loop -- one part after the other
      await file.datasync();
    }
    await fileSystem.rename(unfinished, path);
    await fileSystem.syncDirectory(directory);
  } catch (error) {
    await file.close().catch(() => {});
    await fileSystem.unlink(unfinished).catch(() => {});
    throw error;
  }
  return { file, path, number, sizeBytes };
}

/** The next segment, prepared in the background while the one before fills up. */
export class SpareSegment {
  readonly #fileSystem: LogFileSystem;
  readonly #directory: string;
  readonly #stop = { aborted: false };
  #number: number;
  #sizeBytes: number;
  #ready: PreparedFile | undefined;
  #preparing: Promise<void> | undefined;
  /** Why the last attempt failed; undefined when it did not. */
  error: LogError | undefined;

  constructor(
    fileSystem: LogFileSystem,
    directory: string,
    number: number,
    sizeBytes: number,
    ready?: PreparedFile,
  ) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#number = number;
    this.#sizeBytes = sizeBytes;
    this.#ready = ready;
  }

  /** On disk: now, or as soon as it is prepared. */
  get sizeBytes(): number {
    return this.#ready?.sizeBytes ?? this.#sizeBytes;
  }

  get isReady(): boolean {
    return this.#ready !== undefined;
  }

  /** Resolves when it is ready. Concurrent calls share one attempt. */
  prepare(): Promise<void> {
    if (this.#ready) return Promise.resolve();
    this.#preparing ??= this.#prepare().finally(() => {
      this.#preparing = undefined;
    });
    return this.#preparing;
  }

  async #prepare(): Promise<void> {
    try {
      this.#ready = await prepareFile(
        this.#fileSystem,
        this.#directory,
        this.#number,
        this.#sizeBytes,
        this.#stop,
      );
      this.error = undefined;
    } catch (error) {
      this.error = toLogError(error, "preparing the next segment");
      throw this.error;
    }
  }

  /** The file to open as a segment. It stays the spare until `used`, so that a failed opening can be undone. */
  async next(): Promise<PreparedFile> {
    await this.prepare();
    if (!this.#ready) throw new Error("a prepared spare is ready");
    return this.#ready;
  }

  /** The file is a segment now; the one after it is next. */
  used(nextSizeBytes: number): void {
    this.#ready = undefined;
    this.#number++;
    this.#sizeBytes = nextSizeBytes;
  }

  /** Undoes an opening frame that may have been written. */
  async clean(bytes: number): Promise<void> {
    if (!this.#ready) return;
    await zeroFill(this.#ready.file, 0, bytes);
    await this.#ready.file.datasync();
  }

  async close(): Promise<void> {
    this.#stop.aborted = true;
    await this.#preparing?.catch(() => {});
    await this.#ready?.file.close().catch(() => {});
    this.#ready = undefined;
  }
}
