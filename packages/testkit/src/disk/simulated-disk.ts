import type { LogFile, LogFileMode, LogFileSystem } from "@hubwire/log";

import { seededRandom } from "../random.ts";
import { DirectoryData } from "./directory-data.ts";
import type { Entry } from "./directory-data.ts";
import { diskError } from "./disk-error.ts";
import { Faults, isChanging } from "./faults.ts";
import type { DiskOperation, Fault } from "./faults.ts";
import { FileData } from "./file-data.ts";
import type { CrashMode } from "./file-data.ts";

export type SimulatedDiskOptions = {
  /** Lets an operation complete: at once, later, or when a virtual clock says so. Default `setImmediate`. */
  schedule?: (complete: () => void, operation: DiskOperation) => void;
  /** What the disk writes whole or not at all. Default 512. */
  sectorBytes?: number;
  /** Sum of all file sizes; beyond it `ENOSPC`. Default unbounded. */
  capacityBytes?: number;
};

/**
 * A disk in memory that forgets what was not synced: bytes until `datasync` of their file, names until
 * `syncDirectory` of their directory. It outlives the processes that use it: give each its own
 * `forProcess()`, and `kill` or `crash` ends the one before.
 */
export class SimulatedDisk implements LogFileSystem {
  readonly #schedule: (complete: () => void, operation: DiskOperation) => void;
  readonly #sectorBytes: number;
  readonly #faults = new Faults();
  readonly #root = new DirectoryData();
  /** What files that are gone left on the disk. Only the end of it is kept. */
  #stale = new Uint8Array(0);
  #processLife = 0;
  #haltAt = Infinity;
  #operations = 0;
  /** Every operation that would change something fails with `EROFS`. */
  readOnly = false;
  capacityBytes: number;
  /** The changing operation issued last: says where a test halted the disk. */
  last: DiskOperation | undefined;

  constructor(options: SimulatedDiskOptions = {}) {
    this.#schedule = options.schedule ?? ((complete) => setImmediate(complete));
    this.#sectorBytes = options.sectorBytes ?? 512;
    this.capacityBytes = options.capacityBytes ?? Infinity;
  }

  /** Writes, syncs, creates, renames, unlinks so far: everything a crash can come in between of. */
  get operations(): number {
    return this.#operations;
  }

  get isHalted(): boolean {
    return this.#operations >= this.#haltAt;
  }

  /** The process stops when it issues the operation with this number: that one may reach the disk, but never returns. */
  haltAt(operation: number): void {
    this.#haltAt = operation;
  }

  /** Makes operations fail. The function returned takes it back. */
  fail(fault: Fault): () => void {
    return this.#faults.plan(fault);
  }

  /** The process is gone, the machine is not: what was written is still there, unsynced as it was. */
  kill(): void {
    this.#processLife++;
    this.#haltAt = Infinity;
  }

  /** The power went: decides what of the unsynced survives. */
  crash(mode: CrashMode, seed = 0): void {
    this.kill();
    const random = seededRandom(seed);
    const crash = { mode, random, stale: this.#stale };
    const walk = (directory: DirectoryData): void => {
      directory.crash(mode, random);
      for (const entry of directory.entries) {
        if (entry instanceof DirectoryData) walk(entry);
        else entry.crash(crash);
      }
    };
    walk(this.#root);
  }

  /**
   * The disk as a process that starts now sees it. Once that process is gone nothing it still does has an effect, and
   * none of its calls returns.
   */
  forProcess(): LogFileSystem {
    const life = this.#processLife;
    const alive = <T>(operation: () => Promise<T>): Promise<T> =>
      life === this.#processLife ? operation() : new Promise(() => {});
    return {
      mkdir: (path) => alive(() => this.mkdir(path)),
      readdir: (path) => alive(() => this.readdir(path)),
      open: (path, mode) => alive(() => this.open(path, mode)),
      rename: (from, to) => alive(() => this.rename(from, to)),
      unlink: (path) => alive(() => this.unlink(path)),
      syncDirectory: (path) => alive(() => this.syncDirectory(path)),
    };
  }

  /** Paths of all files, sorted. */
  get paths(): string[] {
    const paths: string[] = [];
    const walk = (directory: DirectoryData, prefix: string): void => {
      for (const name of directory.names) {
        const entry = directory.get(name);
        if (entry instanceof DirectoryData) walk(entry, `${prefix}${name}/`);
        else paths.push(prefix + name);
      }
    };
    walk(this.#root, "/");
    return paths.toSorted();
  }

  /** A file's bytes as programs see them; a copy. */
  contents(path: string): Uint8Array {
    return this.#file(path, "read").contents();
  }

  /** Puts bytes on the disk for good, directories included: damage, or a fixture. */
  place(path: string, bytes: Uint8Array): void {
    let directory = this.#root;
    const names = path.split("/").filter(Boolean);
    const last = names.pop() ?? "";
    const set = (name: string, entry: Entry): void => {
      directory.change([[name, entry]]);
      directory.beginSync()();
    };
    for (const name of names) {
      const known = directory.get(name);
      const next = known instanceof DirectoryData ? known : new DirectoryData();
      if (next !== known) set(name, next);
      directory = next;
    }
    const known = directory.get(last);
    const file = known instanceof FileData ? known : new FileData(this.#sectorBytes);
    file.replace(bytes);
    if (file !== known) set(last, file);
  }

  mkdir(path: string): Promise<void> {
    return this.#run({ kind: "mkdir", path, bytes: 0 }, () => {
      const { directory, name } = this.#split(path, "mkdir");
      if (!directory.get(name)) directory.change([[name, new DirectoryData()]]);
    });
  }

  readdir(path: string): Promise<string[]> {
    return this.#run(
      { kind: "read", path, bytes: 0 },
      () => this.#directory(path, "readdir").names,
    );
  }

  open(path: string, mode: LogFileMode): Promise<LogFile> {
    const kind = mode === "create" ? "create" : "open";
    return this.#run({ kind, path, bytes: 0 }, () => {
      if (mode === "create") return this.#openFile(path, this.#create(path));
      if (mode === "readWrite" && this.readOnly) throw diskError("EROFS", "open", path);
      return this.#openFile(path, this.#file(path, "open"));
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run({ kind: "rename", path: from, bytes: 0 }, () => {
      const source = this.#split(from, "rename");
      const target = this.#split(to, "rename");
      const file = this.#file(from, "rename");
      if (source.directory !== target.directory) {
        throw new Error("the simulated disk renames within one directory only");
      }
      this.#leave(target.directory.get(target.name));
      source.directory.change([
        [source.name, undefined],
        [target.name, file],
      ]);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#run({ kind: "unlink", path, bytes: 0 }, () => {
      const { directory, name } = this.#split(path, "unlink");
      this.#leave(this.#file(path, "unlink"));
      directory.change([[name, undefined]]);
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#run(
      { kind: "syncDirectory", path, bytes: 0 },
      () => new Completion(undefined, this.#directory(path, "syncDirectory").beginSync()),
    );
  }

  /**
   * `issue` does at once what programs can see, and throws what the disk refuses; a `Completion` holds what
   * becomes true only when the operation completes. One that never completes may have had its first part.
   */
  #run<T>(
    operation: DiskOperation,
    issue: () => T | Completion<T>,
    failed: () => void = () => {},
  ): Promise<T> {
    const life = this.#processLife;
    return new Promise((resolve, reject) => {
      if (this.isHalted) return;
      let settle: () => void;
      try {
        if (isChanging(operation)) this.#count(operation, failed);
        const result = issue();
        settle = () => {
          if (!(result instanceof Completion)) return resolve(result);
          result.complete();
          resolve(result.value);
        };
      } catch (error) {
        settle = () => reject(error as Error);
      }
      this.#schedule(() => {
        if (life === this.#processLife && !this.isHalted) settle();
      }, operation);
    });
  }

  #count(operation: DiskOperation, failed: () => void): void {
    this.#operations++;
    this.last = operation;
    const error = this.#faults.next(operation);
    if (!error && !this.readOnly) return;
    failed();
    throw error ?? diskError("EROFS", operation.kind, operation.path);
  }

  #openFile(path: string, data: FileData): LogFile {
    const life = this.#processLife;
    let isOpen = true;
    const run = <T>(
      kind: DiskOperation["kind"],
      bytes: number,
      issue: () => T | Completion<T>,
      failed?: () => void,
    ): Promise<T> => {
      if (life !== this.#processLife) return new Promise(() => {});
      if (!isOpen) return Promise.reject(new Error(`${path} is closed`));
      return this.#run({ kind, path, bytes }, issue, failed);
    };
    return {
      size: () => run("read", 0, () => data.size),
      read: (buffer, offset, length, position) =>
        run("read", length, () => data.read(buffer.subarray(offset, offset + length), position)),
      write: (buffer, offset, length, position) => {
        const bytes = buffer.subarray(offset, offset + length);
        const half = bytes.subarray(0, length >> 1);
        return run(
          "write",
          length,
          () => this.#write(path, data, bytes, position),
          () => data.write(half, position),
        );
      },
      datasync: () =>
        run(
          "datasync",
          0,
          () => new Completion(undefined, data.beginSync()),
          () => data.failSync(),
        ),
      close: () => {
        isOpen = false;
        return Promise.resolve();
      },
    };
  }

  #write(path: string, data: FileData, bytes: Uint8Array, position: number): void {
    const growth = Math.max(0, position + bytes.length - data.size);
    const free = this.capacityBytes - this.#usedBytes();
    if (growth === 0 || growth <= free) return data.write(bytes, position);
    const fits = bytes.length - growth + Math.max(0, free);
    if (fits > 0) data.write(bytes.subarray(0, fits), position);
    throw diskError("ENOSPC", "write", path);
  }

  #usedBytes(): number {
    const sum = (directory: DirectoryData): number =>
      directory.entries.reduce(
        (bytes, entry) => bytes + (entry instanceof DirectoryData ? sum(entry) : entry.size),
        0,
      );
    return sum(this.#root);
  }

  #create(path: string): FileData {
    const { directory, name } = this.#split(path, "open");
    this.#leave(directory.get(name));
    if (this.#usedBytes() >= this.capacityBytes) throw diskError("ENOSPC", "open", path);
    const file = new FileData(this.#sectorBytes);
    directory.change([[name, file]]);
    return file;
  }

  #leave(entry: Entry | undefined): void {
    if (!(entry instanceof FileData)) return;
    const left = Buffer.concat([this.#stale, entry.contents()]);
    this.#stale = new Uint8Array(left.subarray(-staleBytesMax));
  }

  #file(path: string, operation: string): FileData {
    const { directory, name } = this.#split(path, operation);
    const entry = directory.get(name);
    if (!(entry instanceof FileData)) throw diskError("ENOENT", operation, path);
    return entry;
  }

  #directory(path: string, operation: string): DirectoryData {
    let directory = this.#root;
    for (const name of path.split("/").filter(Boolean)) {
      const entry = directory.get(name);
      if (!(entry instanceof DirectoryData)) throw diskError("ENOENT", operation, path);
      directory = entry;
    }
    return directory;
  }

  #split(path: string, operation: string): { directory: DirectoryData; name: string } {
    const slash = path.lastIndexOf("/");
    const directory = this.#directory(path.slice(0, slash), operation);
    return { directory, name: path.slice(slash + 1) };
  }
}

/** What deleted files left: enough for every kind of surprise. */
const staleBytesMax = 64 * 1024;

class Completion<T> {
  readonly value: T;
  readonly complete: () => void;
  constructor(value: T, complete: () => void) {
    this.value = value;
    this.complete = complete;
  }
}
