import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Expected } from "../../domain/ports.ts";
import type { Operation, StoredDocument, StoredPut } from "./operations.ts";

type Of<Name> = Extract<Operation, { name: Name }>;

/** Larger than any key: keys are printable ASCII. */
const afterAllKeys = "\u007f";

/** Documents in SQL. Every method runs inside a transaction of the caller's. */
export class SqlDocuments {
  readonly #get: StatementSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #listAfter: StatementSync;
  readonly #listFrom: StatementSync;

  constructor(database: DatabaseSync) {
    const columns = "SELECT key, json, revision FROM documents WHERE collection = ?";
    this.#get = database.prepare(`${columns} AND key = ?`);
    this.#put = database.prepare(
      `INSERT INTO documents (collection, key, revision, json) VALUES (?, ?, ?, ?)
       ON CONFLICT (collection, key) DO UPDATE SET revision = excluded.revision, json = excluded.json`,
    );
    this.#delete = database.prepare("DELETE FROM documents WHERE collection = ? AND key = ?");
    const order = "AND key < ? ORDER BY key LIMIT ?";
    this.#listAfter = database.prepare(`${columns} AND key > ? ${order}`);
    this.#listFrom = database.prepare(`${columns} AND key >= ? ${order}`);
  }

  get(collection: string, key: string): StoredDocument | undefined {
    return this.#get.get(collection, key) as StoredDocument | undefined;
  }

  put({ collection, key, json, expected }: Of<"put">, nextRevision: () => number): StoredPut {
    // The write that expects nothing needs no read, and is most of the traffic of sessions.
    if (expected !== "any") {
      const current = this.get(collection, key);
      if (!asExpected(current, expected)) return { ok: false, current };
    }
    const revision = nextRevision();
    this.#put.run(collection, key, revision, json);
    return { ok: true, revision };
  }

  delete({ collection, key, expected }: Of<"delete">): { ok: boolean } {
    const ok = expected === "any" || asExpected(this.get(collection, key), expected);
    if (ok) this.#delete.run(collection, key);
    return { ok };
  }

  list({ collection, prefix, after, limit }: Of<"list">): StoredDocument[] {
    const end = prefix === "" ? afterAllKeys : successor(prefix);
    const rows =
      after >= prefix && after !== ""
        ? this.#listAfter.all(collection, after, end, limit)
        : this.#listFrom.all(collection, prefix, end, limit);
    return rows as StoredDocument[];
  }
}

const asExpected = (current: StoredDocument | undefined, expected: Expected): boolean =>
  expected === "absent" ? current === undefined : current?.revision === expected;

/** The smallest text that is larger than everything beginning with `prefix`. */
const successor = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
