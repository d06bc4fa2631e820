/** The system errors a disk can answer with, as Node reports them. */
export type DiskErrorCode = "EACCES" | "EEXIST" | "EIO" | "ENOENT" | "ENOSPC" | "EROFS";

/** Looks like Node's own: callers branch on `code`. */
export function diskError(code: DiskErrorCode, operation: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${operation} '${path}'`), { code, path });
}
