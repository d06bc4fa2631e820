export type { CommitListener, FailureListener } from "./commit-listeners.ts";
export type { LogFile, LogFileMode, LogFileSystem } from "./file-system.ts";
export { Log } from "./log.ts";
export type { LogStats, PartitionView } from "./log.ts";
export { LogError } from "./log-error.ts";
export type { LogErrorCode } from "./log-error.ts";
export { nodeFileSystem } from "./node-file-system.ts";
export type { LogHealth, LogOptions, Schedule } from "./options.ts";
export type { LogRecord, ReadFrom, ReadLimits } from "./reader.ts";
