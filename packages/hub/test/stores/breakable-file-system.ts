import { type LogFile, type LogFileSystem, nodeFileSystem } from "@hubwire/log";

/** The real file system, until `break`: then no write or sync succeeds, as on a disk that went read-only. */
export function breakableFileSystem() {
  let broken = false;
  const refuse = async (): Promise<void> => {
    if (broken) throw Object.assign(new Error("EROFS: read-only file system"), { code: "EROFS" });
  };
  const wrap = (file: LogFile): LogFile => ({
    size: () => file.size(),
    read: (...where) => file.read(...where),
    write: (...what) => refuse().then(() => file.write(...what)),
    datasync: () => refuse().then(() => file.datasync()),
    close: () => file.close(),
  });
  const fileSystem: LogFileSystem = {
    ...nodeFileSystem,
    open: async (path, mode) => {
      if (mode === "create") await refuse();
      return wrap(await nodeFileSystem.open(path, mode));
    },
  };
  return { fileSystem, break: () => (broken = true), mend: () => (broken = false) };
}
