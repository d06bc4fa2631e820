import { chmod, mkdir, open, readdir, stat } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { IotError } from "@hubwire/protocol";
import { namingDiskErrors } from "./disk-error.ts";
import { syncDirectory } from "./durable-file.ts";
import { toFailure } from "./stores/sqlite/engine.ts";

const lockFile = "lock.db";
const databaseFile = "hub.db";

/** A directory that no other hub can open until `release`, or until this process is gone however it goes. */
export type DataDirectory = { readonly path: string; release(): void };

/**
 * Makes the directory if need be (mode 0700) and takes its lock.
 * @throws IotError `hub.data_locked`, `hub.disk_read_only`, `hub.disk_full`, `argument.invalid` when it is no directory
 */
export async function openDataDirectory(directory: string): Promise<DataDirectory> {
  const path = resolve(directory);
  await namingDiskErrors(path, () => prepare(path));
  return { path, release: lock(path) };
}

/** Whether a hub is running on this directory. Asks the lock itself, which dies with its holder. */
export async function isDataDirectoryLocked(directory: string): Promise<boolean> {
  const path = resolve(directory);
  if (!existsSync(join(path, lockFile))) return false;
  try {
    lock(path)();
    return false;
  } catch (error) {
    if (error instanceof IotError && error.code === "hub.data_locked") return true;
    throw error;
  }
}

async function prepare(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 });
  // A directory that was there keeps its mode unless it is empty: it may be somebody's home. What is secret is 0600 anyway.
  if (made === undefined && (await isOpenAndEmpty(path))) await chmod(path, 0o700);
  for (const name of [lockFile, databaseFile]) {
    // SQLite gives its own files the mode of the database, and would make that one readable to all.
    await (await open(join(path, name), "a", 0o600)).close();
  }
  await syncDirectory(path);
}

async function isOpenAndEmpty(path: string): Promise<boolean> {
  const { mode } = await stat(path);
  return (mode & 0o077) !== 0 && (await readdir(path)).length === 0;
}

/** An exclusive transaction on a database of its own: the system drops it with the process. */
function lock(path: string): () => void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(path, lockFile));
    // Nothing is ever written, so nothing needs a journal file.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database?.close();
    const { code, message } = toFailure(error);
    const isHeld = code === 5 || code === 6;
    throw isHeld
      ? new IotError("hub.data_locked", `Another hub is using ${path}`, { cause: error })
      : new IotError("hub.disk_read_only", `${path} cannot be locked: ${message}`, {
          cause: error,
        });
  }
  const held = database;
  return () => held.close();
}
