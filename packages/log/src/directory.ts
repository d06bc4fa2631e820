import { dirname, join } from "node:path";

import type { LogFileSystem } from "./file-system.ts";
import { systemCodeOf } from "./log-error.ts";
import { segmentNumberOf } from "./segment.ts";
import { unfinishedSuffix } from "./spare-segment.ts";

/** Makes a directory and the ones above it that are missing, each with its name synced. */
export async function makeDirectory(fileSystem: LogFileSystem, path: string): Promise<void> {
  const parent = dirname(path);
  try {
    await fileSystem.readdir(path);
  } catch (error) {
    if (systemCodeOf(error) !== "ENOENT" || parent === path) throw error;
    await makeDirectory(fileSystem, parent);
    await fileSystem.mkdir(path);
    await fileSystem.syncDirectory(parent);
    return;
  }
  // Whoever made it may have been killed before syncing it. A parent that is not ours may not let us open it.
  await fileSystem.syncDirectory(parent).catch(() => {});
}

/** Numbers of the segment files, ascending. Files that a crash left half made are deleted. */
export async function listSegments(
  fileSystem: LogFileSystem,
  directory: string,
): Promise<number[]> {
  const numbers: number[] = [];
  for (const name of await fileSystem.readdir(directory)) {
    if (name.endsWith(`.seg${unfinishedSuffix}`)) {
      // oxlint-disable-next-line no-await-in-loop -- there is one at most
      await fileSystem.unlink(join(directory, name));
    }
    const number = segmentNumberOf(name);
    if (number !== undefined) numbers.push(number);
  }
  return numbers.toSorted((a, b) => a - b);
}

const pieceBytes = 1024 * 1024;

/** Into `memory` when it is large enough: what an earlier call returned is gone then. */
export async function readWhole(
  fileSystem: LogFileSystem,
  path: string,
  memory: Buffer,
): Promise<Buffer> {
  const file = await fileSystem.open(path, "read");
  try {
    const size = await file.size();
    const bytes = size <= memory.length ? memory.subarray(0, size) : Buffer.allocUnsafeSlow(size);
    let done = 0;
    while (done < bytes.length) {
      const piece = Math.min(pieceBytes, bytes.length - done);
      // oxlint-disable-next-line no-await-in-loop -- in bounded pieces, one after the other
      const read = await file.read(bytes, done, piece, done);
      if (read === 0) break;
      done += read;
    }
    return bytes.subarray(0, done);
  } finally {
    await file.close();
  }
}
