export { withoutDatasync, withoutDirectorySync, withoutZeroingTails } from "./broken-promises.ts";
export type { DiskErrorCode } from "./disk-error.ts";
export type { DiskOperation, Fault } from "./faults.ts";
export { crashModes } from "./file-data.ts";
export type { CrashMode } from "./file-data.ts";
export { SimulatedDisk } from "./simulated-disk.ts";
export type { SimulatedDiskOptions } from "./simulated-disk.ts";
