import { DatabaseSync } from "node:sqlite";
import type { Failure, Operation, Outcome, StoredPut, WorkerSettings } from "./operations.ts";
import { migrate } from "./schema.ts";
import { SqlDocuments } from "./sql-documents.ts";
import { SqlMembers } from "./sql-members.ts";
import { SqlQueues } from "./sql-queues.ts";

const pageBytes = 4096;
const probeBytes = 16 * pageBytes;

/** The documents database of one data directory. Synchronous: it lives in a worker thread. */
export class SqliteEngine {
  readonly upgradedFrom: number | undefined;
  readonly #database: DatabaseSync;
  readonly #documents: SqlDocuments;
  readonly #members: SqlMembers;
  readonly #queues: SqlQueues;
  /** The highest revision given out; stored with the batch that gave it. */
  #revision: number;
  #storedRevision: number;

  constructor({ path, bytesMax }: WorkerSettings) {
    this.#database = new DatabaseSync(path);
    try {
      this.#database.exec(`
        PRAGMA page_size = ${pageBytes};
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA journal_size_limit = ${64 * 1024 * 1024};
        PRAGMA max_page_count = ${Math.max(1, Math.floor(bytesMax / pageBytes))};
      `);
      this.upgradedFrom = migrate(this.#database);
      this.#documents = new SqlDocuments(this.#database);
      this.#members = new SqlMembers(this.#database);
      this.#queues = new SqlQueues(this.#database);
      const stored = this.#database.prepare("SELECT value FROM meta WHERE key = 'revision'").get();
      this.#revision = Number(stored?.["value"]);
      this.#storedRevision = this.#revision;
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** One transaction for all; when SQLite refuses it, one for each, so that one bad operation fails alone. */
  run(batch: readonly Operation[]): Outcome[] {
    try {
      return this.#transaction(() => batch.map((operation) => ({ value: this.#apply(operation) })));
    } catch (error) {
      if (batch.length === 1) return [{ failure: toFailure(error) }];
      return batch.flatMap((operation) => this.run([operation]));
    }
  }

  close(): void {
    this.#database.close();
  }

  #transaction<T>(work: () => T): T {
    this.#database.exec("BEGIN");
    try {
      const result = work();
      if (this.#revision !== this.#storedRevision) {
        this.#database
          .prepare("UPDATE meta SET value = ? WHERE key = 'revision'")
          .run(this.#revision);
      }
      this.#database.exec("COMMIT");
      this.#storedRevision = this.#revision;
      return result;
    } catch (error) {
      this.#revision = this.#storedRevision;
      try {
        this.#database.exec("ROLLBACK");
      } catch {
        // Some errors end the transaction by themselves; then there is nothing to roll back.
      }
      throw error;
    }
  }

  #apply(operation: Operation): unknown {
    switch (operation.name) {
      case "get":
        return this.#documents.get(operation.collection, operation.key);
      case "getMany":
        return operation.keys.map((key) => this.#documents.get(operation.collection, key));
      case "put":
        return this.#put(operation);
      case "delete":
        return this.#documents.delete(operation);
      case "list":
        return this.#documents.list(operation);
      case "lookup":
        return this.#members.lookup(operation);
      case "enqueue":
        return this.#queues.enqueue(operation);
      case "lock":
        return this.#queues.lock(operation);
      case "extend":
        return this.#queues.extend(operation);
      case "complete":
        return this.#queues.complete(operation);
      case "release":
        return this.#queues.release(operation);
      case "expire":
        return this.#queues.expire(operation);
      case "count":
        return this.#queues.count(operation.queue);
      case "purge":
        return this.#queues.purge(operation);
      case "feedbackQueues":
        return this.#queues.feedbackQueues();
      case "pendingFeedback":
        return this.#queues.pendingFeedback(operation.queue);
      case "removeFeedback":
        return this.#queues.removeFeedback(operation);
      case "queues":
        return this.#queues.queues();
      case "releaseEverything":
        return this.#queues.releaseEverything();
      case "probe":
        return this.#probe();
    }
  }

  #put(operation: Extract<Operation, { name: "put" }>): StoredPut {
    const put = this.#documents.put(operation, () => ++this.#revision);
    if (put.ok) this.#members.written(operation.collection);
    return put;
  }

  #probe(): void {
    this.#database.exec(
      `INSERT OR REPLACE INTO meta VALUES ('probe', zeroblob(${probeBytes}));
       DELETE FROM meta WHERE key = 'probe'`,
    );
  }
}

/** SQLite's primary result code, out of the extended one that `node:sqlite` puts on its errors. */
export function toFailure(error: unknown): Failure {
  const message = error instanceof Error ? error.message : String(error);
  const extended = (error as { errcode?: unknown }).errcode;
  return { code: typeof extended === "number" ? extended & 0xff : 0, message };
}
