import type { LogFile, LogFileMode, LogFileSystem } from "@hubwire/log";

/**
 * File systems that say they did what they did not: mutations. A crash test that still passes on one of them
 * would not have noticed if the program had left the call out.
 */

/** `datasync` resolves and does nothing. */
export function withoutDatasync(fileSystem: LogFileSystem): LogFileSystem {
  return withFiles(fileSystem, (file) => ({
    ...passedOnFile(file),
    datasync: () => Promise.resolve(),
  }));
}

/** `syncDirectory` resolves and does nothing. */
export function withoutDirectorySync(fileSystem: LogFileSystem): LogFileSystem {
  return { ...passedOn(fileSystem), syncDirectory: () => Promise.resolve() };
}

/** Zeros written over a file that was there before go nowhere: recovery clears no tail. New files are filled. */
export function withoutZeroingTails(fileSystem: LogFileSystem): LogFileSystem {
  return withFiles(fileSystem, (file, mode) => {
    if (mode === "create") return file;
    return {
      ...passedOnFile(file),
      write: (buffer, offset, length, position) =>
        buffer.subarray(offset, offset + length).every((byte) => byte === 0)
          ? Promise.resolve()
          : file.write(buffer, offset, length, position),
    };
  });
}

function withFiles(
  fileSystem: LogFileSystem,
  wrap: (file: LogFile, mode: LogFileMode) => LogFile,
): LogFileSystem {
  return {
    ...passedOn(fileSystem),
    open: async (path, mode) => wrap(await fileSystem.open(path, mode), mode),
  };
}

function passedOn(fileSystem: LogFileSystem): LogFileSystem {
  return {
    mkdir: (path) => fileSystem.mkdir(path),
    readdir: (path) => fileSystem.readdir(path),
    open: (path, mode) => fileSystem.open(path, mode),
    rename: (from, to) => fileSystem.rename(from, to),
    unlink: (path) => fileSystem.unlink(path),
    syncDirectory: (path) => fileSystem.syncDirectory(path),
  };
}

function passedOnFile(file: LogFile): LogFile {
  return {
    size: () => file.size(),
    read: (buffer, offset, length, position) => file.read(buffer, offset, length, position),
    write: (buffer, offset, length, position) => file.write(buffer, offset, length, position),
    datasync: () => file.datasync(),
    close: () => file.close(),
  };
}
