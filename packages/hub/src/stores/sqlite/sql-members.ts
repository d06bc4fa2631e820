import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import { lookupKeysMax } from "../../domain/ports.ts";
import type { MemberValues } from "../../domain/ports.ts";
import { indexesMax, unaskedWritesMax, unindexedDocumentsMax } from "../members.ts";
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
  readonly #writes = new Map<string, number>();
  /** How many writes its collection had seen when an index was last asked for. */
  readonly #writesWhenAsked = new Map<string, number>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Call after each write: indexes that only cost are dropped in time. */
  written(collection: string): void {
    const writes = (this.#writes.get(collection) ?? 0) + 1;
    this.#writes.set(collection, writes);
    if (writes % (unaskedWritesMax / 10) !== 0) return;
    for (const name of this.#namesOf(collection)) {
      if (writes - (this.#writesWhenAsked.get(name) ?? 0) > unaskedWritesMax) this.#drop(name);
    }
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
    this.#writesWhenAsked.set(name, this.#writes.get(collection) ?? 0);
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
    const names = this.#namesOf(collection);
    const age = (name: string): number => this.#asked.get(name) ?? 0;
    const oldestFirst = names.toSorted((a, b) => age(a) - age(b));
    const tooMany = Math.max(0, names.length - indexesMax + 1);
    for (const name of oldestFirst.slice(0, tooMany)) this.#drop(name);
  }

  #namesOf(collection: string): string[] {
    const rows = this.#database
      .prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND name GLOB ?")
      .all(`${namePrefix}${collection} *`) as { name: string }[];
    return rows.map(({ name }) => name);
  }

  #drop(name: string): void {
    this.#database.exec(`DROP INDEX ${quoted(name)}`);
    this.#asked.delete(name);
    this.#writesWhenAsked.delete(name);
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
