import fs from "node:fs";
import fsPromises from "node:fs/promises";

import type { LogFile, LogFileMode, LogFileSystem } from "./file-system.ts";

const flags: Readonly<Record<LogFileMode, string>> = { create: "w+", readWrite: "r+", read: "r" };

/** Telemetry can be private: files are for their owner only. */
const fileMode = 0o600;
const directoryMode = 0o700;

/** Undefined where the system has none (Windows). */
const durableFlags: number | undefined = fs.constants.O_DSYNC
  ? fs.constants.O_RDWR | fs.constants.O_DSYNC
  : undefined;

/** The disk, through `node:fs`. The callback API costs half of what `FileHandle` does per call. */
export const nodeFileSystem: LogFileSystem = {
  async mkdir(path) {
    await fsPromises.mkdir(path, { mode: directoryMode, recursive: true });
  },
  readdir: (path) => fsPromises.readdir(path),
  async open(path, mode) {
    const fd = await openDescriptor(path, flags[mode]);
    if (mode === "read" || durableFlags === undefined) return new NodeLogFile(fd);
    try {
      return new DurableNodeLogFile(fd, await openDescriptor(path, durableFlags));
    } catch (error) {
      await closeDescriptor(fd);
      throw error;
    }
  },
  rename: (from, to) => fsPromises.rename(from, to),
  unlink: (path) => fsPromises.unlink(path),
  async syncDirectory(path) {
    // Windows cannot open a directory for syncing; NTFS journals its names itself.
    if (process.platform === "win32") return;
    const directory = await fsPromises.open(path, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
};

const openDescriptor = (path: string, how: string | number): Promise<number> =>
  new Promise((resolve, reject) => {
    fs.open(path, how, fileMode, (error, fd) => (error ? reject(error) : resolve(fd)));
  });

const closeDescriptor = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => {
    fs.close(fd, (error) => (error ? reject(error) : resolve()));
  });

/** Writes all of it, however many calls that takes. */
const writeWhole = (
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
): Promise<void> =>
  new Promise((resolve, reject) => {
    let done = 0;
    const next = (): void => {
      fs.write(fd, buffer, offset + done, length - done, position + done, (error, bytes) => {
        done += bytes;
        if (error) reject(error);
        else if (done === length) resolve();
        else next();
      });
    };
    next();
  });

/** No file has it: an operation on a closed file fails with a range error. */
const closedFd = -1;

class NodeLogFile implements LogFile {
  #fd: number;
  constructor(fd: number) {
    this.#fd = fd;
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#fd, (error, stats) => (error ? reject(error) : resolve(stats.size)));
    });
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let done = 0;
      const next = (): void => {
        fs.read(this.#fd, buffer, offset + done, length - done, position + done, (error, bytes) => {
          done += bytes;
          if (error) reject(error);
          else if (bytes === 0 || done === length) resolve(done);
          else next();
        });
      };
      next();
    });
  }

  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<void> {
    return writeWhole(this.#fd, buffer, offset, length, position);
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Once only: the number may belong to somebody else's file by the second time. */
  close(): Promise<void> {
    const fd = this.#fd;
    if (fd === closedFd) return Promise.resolve();
    this.#fd = closedFd;
    return closeDescriptor(fd);
  }
}

/** Has a second descriptor whose writes return when the bytes are on disk; the first is for zeros, which can wait. */
class DurableNodeLogFile extends NodeLogFile {
  #durableFd: number;
  constructor(fd: number, durableFd: number) {
    super(fd);
    this.#durableFd = durableFd;
  }

  writeDurably(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<void> {
    return writeWhole(this.#durableFd, buffer, offset, length, position);
  }

  override async close(): Promise<void> {
    const fd = this.#durableFd;
    this.#durableFd = closedFd;
    await Promise.all([super.close(), fd === closedFd ? undefined : closeDescriptor(fd)]);
  }
}
