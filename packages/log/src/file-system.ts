/**
 * The file operations a log needs, as a port: `nodeFileSystem` is the real one, the simulated disk of
 * the test kit another. What the log relies on, and a file system has to give:
 *
 * - written data survives a power loss once `datasync` resolved, a name once `syncDirectory` did, and
 *   not before;
 * - a 512-byte sector is written whole or not at all.
 */
export interface LogFileSystem {
  /** Makes one directory; its parent exists. Resolves when it is there already. */
  mkdir(path: string): Promise<void>;
  /** Names in a directory, in any order; rejects with code `ENOENT` when there is none. */
  readdir(path: string): Promise<string[]>;
  /** `create` makes an empty file for reading and writing, emptying one that exists. */
  open(path: string, mode: LogFileMode): Promise<LogFile>;
  /** Replaces `to` when it exists. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Makes earlier creates, renames and unlinks in this directory survive a power loss. */
  syncDirectory(path: string): Promise<void>;
}

export type LogFileMode = "create" | "readWrite" | "read";

export interface LogFile {
  size(): Promise<number>;
  /** Resolves to the bytes read: fewer than `length` at the end of the file only. */
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>;
  /** Writes all of it or rejects. The buffer's bytes must not change meanwhile. */
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<void>;
  datasync(): Promise<void>;
  /**
   * `write` and `datasync` in one operation, where the system has one (`O_DSYNC`): a trip to the thread pool less per
   * commit. Left out, the log does one after the other.
   */
  writeDurably?(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<void>;
  close(): Promise<void>;
}
