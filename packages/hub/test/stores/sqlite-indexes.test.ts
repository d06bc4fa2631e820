import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { indexesMax, unaskedWritesMax } from "../../src/stores/members.ts";
import { SqliteEngine } from "../../src/stores/sqlite/engine.ts";
import type { Operation } from "../../src/stores/sqlite/operations.ts";

let directory = "";
let path = "";
let engine: SqliteEngine;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "hubwire-indexes-"));
  path = join(directory, "hub.db");
  engine = new SqliteEngine({ path, bytesMax: 1024 ** 3 });
});
afterEach(() => {
  engine.close();
  rmSync(directory, { recursive: true });
});

const put = (n: number): Operation => ({
  name: "put",
  collection: "twins",
  key: `k${n}`,
  json: JSON.stringify({ n, m: n }),
  expected: "any",
});
const puts = (count: number, from = 0): Operation[] =>
  Array.from({ length: count }, (_, n) => put(from + n));
const lookup = (member: string): Operation => ({
  name: "lookup",
  collection: "twins",
  path: `$."${member}"`,
  values: [{ equals: 7 }],
  after: "",
  limit: 9,
});

/** Names of the indexes that lookups made, as a second connection sees them. */
function indexes(): string[] {
  const database = new DatabaseSync(path, { readOnly: true });
  const rows = database.prepare("SELECT name FROM sqlite_schema WHERE name GLOB 'member *'").all();
  database.close();
  return rows.map(({ name }) => String(name)).toSorted();
}

test("a small collection gets no index, a large one gets one for each member asked for", () => {
  engine.run(puts(1_000));
  expect(engine.run([lookup("n")])).toEqual([{ value: ["k7"] }]);
  expect(indexes()).toEqual([]);
  engine.run([put(1_000), lookup("n"), lookup("m"), lookup("n")]);
  expect(indexes()).toEqual(['member twins $."m"', 'member twins $."n"']);
});

test("past the bound the index that was not asked for longest goes", () => {
  engine.run(puts(1_001));
  const members = Array.from({ length: indexesMax }, (_, n) => `x${n}`);
  for (const member of members) engine.run([lookup(member)]);
  engine.run([lookup("x0"), lookup("new")]);
  const left = [...members.filter((member) => member !== "x1"), "new"];
  expect(indexes()).toEqual(left.map((member) => `member twins $."${member}"`).toSorted());
});

test("an index that nobody asks for is dropped, one that is asked for stays", () => {
  engine.run([...puts(1_001), lookup("n"), lookup("m")]);
  const step = unaskedWritesMax / 10;
  for (let done = 0; done <= unaskedWritesMax + step; done += step) {
    engine.run(Array.from({ length: step }, () => put(7)));
    engine.run([lookup("n")]);
  }
  expect(indexes()).toEqual(['member twins $."n"']);
  expect(engine.run([lookup("m"), lookup("n")])).toEqual([{ value: ["k7"] }, { value: ["k7"] }]);
});

test("a batch that fails takes its new index with it, and the next one makes it again", () => {
  engine.run(puts(1_001));
  const broken = { ...put(1), json: null } as unknown as Operation;
  const outcomes = engine.run([lookup("n"), broken]);
  expect(outcomes[0]).toEqual({ value: ["k7"] });
  expect(outcomes[1]).toHaveProperty("failure");
  expect(engine.run([lookup("n")])).toEqual([{ value: ["k7"] }]);
});
