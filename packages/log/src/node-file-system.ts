import fs from "node:fs";
import fsPromises from "node:fs/promises";

import type { LogFile, LogFileMode, LogFileSystem } from "./file-system.ts";

const flags: Readonly<Record<LogFileMode, string>> = { create: "w+", readWrite: "r+", read: "r" };

/** Telemetry can be private: files are for their owner only. */
const fileMode = 0o600;
const directoryMode = 0o700;

/**
 * Up to here a write is done on the spot. It copies into the page cache, over bytes that are allocated already, which
 * takes microseconds; the thread pool and back takes as long as a tenth of the sync that follows.
 */
const syncWriteBytesMax = 64 * 1024;

/** The disk, through `node:fs`. The callback API costs half of what `FileHandle` does per call. */
export const nodeFileSystem: LogFileSystem = {
  async mkdir(path) {
    await fsPromises.mkdir(path, { mode: directoryMode, recursive: true });
  },
  readdir: (path) => fsPromises.readdir(path),
  open: (path, mode) =>
    new Promise((resolve, reject) => {
      fs.open(path, flags[mode], fileMode, (error, fd) => {
        if (error) reject(error);
        else resolve(new NodeLogFile(fd));
      });
    }),
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
    return new Promise((resolve, reject) => {
      let done = 0;
      if (length <= syncWriteBytesMax) {
        while (done < length) {
          done += fs.writeSync(this.#fd, buffer, offset + done, length - done, position + done);
        }
        return resolve();
      }
      const next = (): void => {
        fs.write(
          this.#fd,
          buffer,
          offset + done,
          length - done,
          position + done,
          (error, bytes) => {
            done += bytes;
            if (error) reject(error);
            else if (done === length) resolve();
            else next();
          },
        );
      };
      next();
    });
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
    return new Promise((resolve, reject) => {
      fs.close(fd, (error) => (error ? reject(error) : resolve()));
    });
  }
}
