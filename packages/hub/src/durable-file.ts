import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { namingDiskErrors } from "./disk-error.ts";

/** The text of a file; undefined when there is none. */
export function readOptional(path: string): Promise<string | undefined> {
  return namingDiskErrors(path, async () => {
    try {
      return await readFile(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  });
}

/** Replaces a file whole: whoever reads it, also after a power cut, finds the old text or the new one. */
export function writeDurably(path: string, text: string, mode: number): Promise<void> {
  return namingDiskErrors(path, () => replace(path, text, mode));
}

async function replace(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  // A leftover of a crash may have another mode, which opening it would keep.
  await rm(temporary, { force: true });
  const file = await open(temporary, "wx", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/** Makes names in a directory survive a power cut. Windows cannot and need not. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
