import type { LogFile, LogFileSystem } from "./file-system.ts";
import type { Segment } from "./segment.ts";

type Shared = { file: Promise<LogFile>; users: number; dropped: boolean };

/** Open files that nobody reads at the moment: so many are kept for the next reader. */
const idleMax = 8;

/** Segment files open for reading, shared by all readers. */
export class ReadFiles {
  readonly #fileSystem: LogFileSystem;
  /** In order of last use. */
  readonly #files = new Map<number, Shared>();
  /** Resolves what waits for the last reader. */
  #idle: (() => void) | undefined;

  constructor(fileSystem: LogFileSystem) {
    this.#fileSystem = fileSystem;
  }

  async use<T>(segment: Segment, read: (file: LogFile) => Promise<T>): Promise<T> {
    const shared = this.#files.get(segment.number) ?? this.#open(segment);
    this.#files.delete(segment.number);
    this.#files.set(segment.number, shared);
    shared.users++;
    try {
      return await read(await shared.file);
    } catch (error) {
      shared.dropped = true;
      throw error;
    } finally {
      shared.users--;
      this.#closeIdle();
      if (!this.#isRead()) this.#idle?.();
    }
  }

  /** The segment is deleted: its file is closed as soon as nobody reads it. */
  drop(number: number): void {
    const shared = this.#files.get(number);
    if (shared) shared.dropped = true;
    this.#closeIdle();
  }

  /** Waits for readers that are under way: the number of a closed file may be another's at once. */
  async close(): Promise<void> {
    if (this.#isRead()) await new Promise<void>((resolve) => (this.#idle = resolve));
    const all = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(all.map(({ file }) => closeQuietly(file)));
  }

  #isRead(): boolean {
    return [...this.#files.values()].some(({ users }) => users > 0);
  }

  #open(segment: Segment): Shared {
    return { file: this.#fileSystem.open(segment.path, "read"), users: 0, dropped: false };
  }

  #closeIdle(): void {
    let idle = 0;
    for (const shared of this.#files.values()) if (shared.users === 0) idle++;
    for (const [number, shared] of this.#files) {
      if (shared.users > 0) continue;
      if (!shared.dropped && idle <= idleMax) continue;
      idle--;
      this.#files.delete(number);
      void closeQuietly(shared.file);
    }
  }
}

async function closeQuietly(file: Promise<LogFile>): Promise<void> {
  try {
    await (await file).close();
  } catch {
    // It never opened, or its error was the reader's to see.
  }
}
