import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "@hubwire/transport";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSqliteStores } from "../../src/stores/sqlite/index.ts";
import { formatVersion, migrate } from "../../src/stores/sqlite/schema.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const queue = "thermostat-1@638990000000000001";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "hubwire-format-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function load(file: string): void {
  const database = new DatabaseSync(join(directory, "hub.db"));
  database.exec(readFileSync(join(fixtures, file), "utf8"));
  database.close();
}
const open = () => openSqliteStores({ directory, clock: systemClock(), segmentBytes: 1024 * 1024 });

test("there is a fixture of every format there ever was", () => {
  const wanted = Array.from({ length: formatVersion }, (_, n) => `format-${n + 1}.sql`);
  expect(readdirSync(fixtures).toSorted()).toEqual(wanted);
});

test.each(readdirSync(fixtures))("%s opens with everything in it", async (file) => {
  load(file);
  await using stores = await open();
  const identity = await stores.documents.get("identities", "thermostat-1");
  expect(identity?.revision).toBe(3);
  expect(JSON.stringify(identity?.value)).toContain('"__proto__":{"kept":true}');
  const twin = await stores.documents.get("twins", queue);
  expect(twin?.value).toEqual({ desired: { intervalS: 5 }, version: 7 });
  const put = await stores.documents.put("twins", queue, {}, 7);
  expect(put).toEqual({ ok: true, revision: 8 });

  const { c2d } = stores;
  expect(await c2d.count(queue)).toBe(2);
  expect(await c2d.complete(queue, 2, "lock-2", false)).toEqual({ ok: true });
  const nowMs = 1_767_225_603_000;
  const [message] = await c2d.lock(queue, { limit: 9, nowMs, lockedUntilMs: nowMs + 60_000 });
  expect(message).toMatchObject({
    sequence: 3,
    properties: { system: { messageId: "m-3" }, application: { k: "v" } },
    deliveryCount: 1,
  });
  const row = {
    enqueuedAtMs: nowMs,
    expiresAtMs: nowMs + 1,
    properties: {},
    body: new Uint8Array(1),
  };
  expect(await c2d.enqueue(queue, row, 50)).toEqual({ ok: true, sequence: 5 });
  expect(stores.telemetry.partitionCount).toBe(4);
});

test("the schema made today is the one of the newest fixture", async () => {
  const schemaOf = (path: string): unknown[] => {
    const database = new DatabaseSync(path);
    const rows = database
      .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
      .all();
    database.close();
    return rows.map(({ name, sql }) => [
      name,
      String(sql)
        .replaceAll(/--.*$|\s+/gmu, " ")
        .replaceAll(/ +/gu, " "),
    ]);
  };
  load(`format-${formatVersion}.sql`);
  const fixture = schemaOf(join(directory, "hub.db"));
  rmSync(directory, { recursive: true });
  directory = mkdtempSync(join(tmpdir(), "hubwire-format-"));
  await (await open())[Symbol.asyncDispose]();
  expect(schemaOf(join(directory, "hub.db"))).toEqual(fixture);
});

const oneStep = [
  "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT; INSERT INTO meta VALUES ('format_version', 1)",
];
const twoSteps = [...oneStep, "CREATE TABLE more (a) STRICT_NOT_YET"];

test("an older format is brought forward step by step, and says which it was", () => {
  const database = new DatabaseSync(":memory:");
  expect(migrate(database, 1, oneStep)).toBeUndefined();
  const steps = [...oneStep, "CREATE TABLE two (a INTEGER)", "CREATE TABLE three (a INTEGER)"];
  expect(migrate(database, 3, steps)).toBe(1);
  expect(migrate(database, 3, steps)).toBeUndefined();
  const version = database.prepare("SELECT value FROM meta").get();
  expect(version).toMatchObject({ value: 3 });
  database.exec("INSERT INTO two VALUES (1); INSERT INTO three VALUES (1)");
  database.close();
});

test("an upgrade that fails leaves the older format as it was", () => {
  const database = new DatabaseSync(":memory:");
  migrate(database, 1, oneStep);
  expect(() => migrate(database, 2, twoSteps)).toThrow();
  expect(database.prepare("SELECT value FROM meta").get()).toMatchObject({ value: 1 });
  expect(() => database.exec("SELECT * FROM more")).toThrow();
  expect(migrate(database, 1, oneStep)).toBeUndefined();
  database.close();
});
