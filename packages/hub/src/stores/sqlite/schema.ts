import type { DatabaseSync } from "node:sqlite";

/** Format of the documents database. Raise it with every change, and add the step that leads to it. */
export const formatVersion = 1;

/** `steps[n]` leads from version n to n + 1; version 0 is an empty file. */
const steps: readonly string[] = [
  `
  CREATE TABLE documents (
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (collection, key)
  ) STRICT;
  -- One row for every queue there ever was: sequence numbers are never used again.
  CREATE TABLE queues (
    queue TEXT PRIMARY KEY,
    next_sequence INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  -- state: 0 enqueued, 1 locked, 2 completed with feedback pending
  CREATE TABLE messages (
    queue TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    enqueued_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    json TEXT NOT NULL,
    body BLOB NOT NULL,
    state INTEGER NOT NULL,
    lock_token TEXT,
    locked_until_ms INTEGER,
    delivery_count INTEGER NOT NULL,
    PRIMARY KEY (queue, sequence)
  ) STRICT;
  -- revision: the highest ever given to a document
  CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value ANY
  ) STRICT, WITHOUT ROWID;
  INSERT INTO meta VALUES ('format_version', 1), ('revision', 0);
  `,
];

export class NewerFormat extends Error {}

/**
 * Brings the database to this version's format in one transaction.
 * @returns the version it had, when that was an older one
 * @throws NewerFormat and leaves everything as it was
 */
export function migrate(
  database: DatabaseSync,
  target = formatVersion,
  path: readonly string[] = steps,
): number | undefined {
  const found = versionOf(database);
  if (found > target) {
    throw new NewerFormat(`it has format ${found}, and this version reads up to ${target}`);
  }
  if (found === target) return undefined;
  database.exec("BEGIN IMMEDIATE");
  try {
    for (const step of path.slice(found, target)) database.exec(step);
    database.prepare("UPDATE meta SET value = ? WHERE key = 'format_version'").run(target);
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
  return found === 0 ? undefined : found;
}

function versionOf(database: DatabaseSync): number {
  const isNew = database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;
  if (isNew) return 0;
  const row = database.prepare("SELECT value FROM meta WHERE key = 'format_version'").get();
  const version = Number(row?.["value"]);
  if (!Number.isInteger(version) || version < 1) throw new Error("it names no format version");
  return version;
}
