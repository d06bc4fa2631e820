import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { lookupKeysMax } from "../../domain/ports.ts";
import type { MemberValues } from "../../domain/ports.ts";
import { indexesMax, unindexedDocumentsMax } from "../members.ts";
import type { Operation } from "./operations.ts";

type Lookup = Extract<Operation, { name: "lookup" }>;
type Condition = { sql: string; values: SQLInputValue[] };

const namePrefix = "member ";
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/**
 * Finds documents by a member, over indexes on the JSON text that are made when they are first wanted: SQLite keeps them up
 * in the same transaction as the documents, and a database that has them is read by versions that know nothing of them.
 */
export class SqlMembers {
  readonly #database: DatabaseSync;
  /** When each index was last asked for, by name; those of an earlier run count as oldest. */
  readonly #asked = new Map<string, number>();
  #clock = 0;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  lookup(lookup: Lookup): string[] | undefined {
    const { collection, path, values, after, limit } = lookup;
    const member = memberSql(path);
    const index = this.#indexFor(collection, path, member);
    const source = `FROM documents ${index} WHERE collection = ${literal(collection)} AND`;
    const keys = new Set<string>();
    const collect = ({ sql, values: bound }: Condition): void => {
      const rows = this.#database
        .prepare(`SELECT key ${source} ${sql} AND key > ? ORDER BY key LIMIT ?`)
        .all(...bound, after, limit) as { key: string }[];
      for (const { key } of rows) keys.add(key);
    };
    for (const one of values) {
      const condition = conditionOf(member, one);
      if (!("equals" in one)) {
        const counted = this.#database
          .prepare(`SELECT COUNT(*) AS n FROM (SELECT 1 ${source} ${condition.sql} LIMIT ?)`)
          .get(...condition.values, lookupKeysMax + 1) as { n: number };
        if (counted.n > lookupKeysMax) return undefined;
      }
      collect(condition);
    }
    // Keys are ASCII: code units are in SQLite's order.
    return [...keys].sort().slice(0, limit);
  }

  /** The clause that names the index; empty where the collection is too small to want one. */
  #indexFor(collection: string, path: string, member: string): string {
    const name = `${namePrefix}${collection} ${path}`;
    const clause = `INDEXED BY ${quoted(name)}`;
    this.#asked.set(name, ++this.#clock);
    const exists = this.#database.prepare(
      "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?",
    );
    if (exists.get(name) !== undefined) return clause;
    const { n } = this.#database
      .prepare("SELECT COUNT(*) AS n FROM (SELECT 1 FROM documents WHERE collection = ? LIMIT ?)")
      .get(collection, unindexedDocumentsMax + 1) as { n: number };
    if (n <= unindexedDocumentsMax) return "";
    this.#makeRoom(collection);
    this.#database.exec(
      `CREATE INDEX ${quoted(name)} ON documents (${member}, key)
       WHERE collection = ${literal(collection)} AND (${member}) IS NOT NULL`,
    );
    return clause;
  }

  #makeRoom(collection: string): void {
    const rows = this.#database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND name GLOB ?")
      .all(`${namePrefix}${collection} *`) as { name: string }[];
    const age = (name: string): number => this.#asked.get(name) ?? 0;
    const oldestFirst = rows.map(({ name }) => name).sort((a, b) => age(a) - age(b));
    for (const name of oldestFirst.slice(0, Math.max(0, rows.length - indexesMax + 1))) {
      this.#database.exec(`DROP INDEX ${quoted(name)}`);
      this.#asked.delete(name);
    }
  }
}

/** Scalars as SQLite's own values (true and false are 1 and 0); objects and arrays are not looked up, and may be large. */
function memberSql(path: string): string {
  const at = literal(path);
  return `CASE WHEN json_type(json, ${at}) IN ('object', 'array') THEN NULL ELSE json_extract(json, ${at}) END`;
}

/** In SQLite's order every number is below every text. */
function conditionOf(member: string, values: MemberValues): Condition {
  const at = `(${member})`;
  if ("equals" in values) {
    const { equals } = values;
    return {
      sql: `${at} = ?`,
      values: [typeof equals === "boolean" ? Number(equals) : equals],
    };
  }
  const { type, from, to } = values;
  const lowest = type === "number" ? -Infinity : "";
  const below: Condition =
    to === undefined && type === "string"
      ? { sql: "", values: [] }
      : { sql: ` AND ${at} <= ?`, values: [to ?? Infinity] };
  return { sql: `${at} >= ?${below.sql}`, values: [from ?? lowest, ...below.values] };
}
