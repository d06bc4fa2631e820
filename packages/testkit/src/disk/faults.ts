import { diskError } from "./disk-error.ts";
import type { DiskErrorCode } from "./disk-error.ts";

/** What a program asks of the disk. Reads and opens for reading change nothing and are not counted. */
export type DiskOperation = {
  kind:
    | "mkdir"
    | "create"
    | "write"
    | "datasync"
    | "rename"
    | "unlink"
    | "syncDirectory"
    | "open"
    | "read";
  path: string;
  /** Of a read or write; 0 otherwise. */
  bytes: number;
};

export type Fault = {
  operation: DiskOperation["kind"];
  code: DiskErrorCode;
  /** Only for paths that contain this. */
  path?: string;
  /** So many matching operations succeed first. Default 0. */
  after?: number;
  /** So many fail then. Default 1. */
  times?: number;
};

const changing = new Set<DiskOperation["kind"]>([
  "mkdir",
  "create",
  "write",
  "datasync",
  "rename",
  "unlink",
  "syncDirectory",
]);

export function isChanging({ kind }: DiskOperation): boolean {
  return changing.has(kind);
}

/** The errors a test asked for. */
export class Faults {
  #planned: { fault: Fault; after: number; times: number }[] = [];

  /** The function returned takes it back. */
  plan(fault: Fault): () => void {
    const planned = { fault, after: fault.after ?? 0, times: fault.times ?? 1 };
    this.#planned.push(planned);
    return () => {
      this.#planned = this.#planned.filter((other) => other !== planned);
    };
  }

  /** The error this operation meets, if any. */
  next({ kind, path }: DiskOperation): Error | undefined {
    for (const planned of this.#planned) {
      const { fault } = planned;
      if (fault.operation !== kind || !path.includes(fault.path ?? "")) continue;
      if (planned.after > 0) {
        planned.after--;
      } else if (planned.times > 0) {
        planned.times--;
        return diskError(fault.code, kind, path);
      }
    }
    return undefined;
  }
}
