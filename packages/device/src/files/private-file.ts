import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import type { Stats } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** File systems and platforms (Windows) that cannot sync a directory say one of these. */
const noSuchSync = new Set(["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP"]);

/**
 * Writes a file that only this user may read (0600): beside its place first, synced, renamed, the directory synced. A power cut
 * leaves the old file or the new one.
 * @throws what the file system throws; the old file is then still there, or the new one
 */
export async function replacePrivateFile(
  path: string,
  content: string | Uint8Array,
): Promise<void> {
  const beside = `${path}.${randomUUID()}.tmp`;
  try {
    // "wx": a name somebody else prepared, a symbolic link perhaps, is not written through.
    const file = await open(beside, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Brings names that were added, changed or removed to the disk, where the platform can. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    const directory = await open(path, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    if (!noSuchSync.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/**
 * All of a small regular file. It is opened first and looked at then, so that what is checked is what is read.
 * @param check throws when the file may not be used
 * @throws Error also when it is larger, or no regular file; what the file system and `check` throw
 */
export async function readSmallFile(
  path: string,
  bytesMax: number,
  check?: (stats: Stats) => void,
): Promise<Buffer> {
  // Without O_NONBLOCK, opening a pipe in the place of the file would wait for ever.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error("it is no regular file");
    check?.(stats);
    if (stats.size > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    const bytes = Buffer.alloc(bytesMax + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    if (bytesRead > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

export const isMissing = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === "ENOENT";
