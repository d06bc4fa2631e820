import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import { systemClock } from "@hubwire/transport";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Health } from "../../src/stores/health.ts";
import { SqliteEngine } from "../../src/stores/sqlite/engine.ts";
import { openSqliteStores } from "../../src/stores/sqlite/index.ts";
import { OperationQueue } from "../../src/stores/sqlite/operation-queue.ts";
import type { Operation } from "../../src/stores/sqlite/operations.ts";
import { spawnWorker } from "../../src/stores/sqlite/worker-thread.ts";

const clock = systemClock();
const roomy = 1024 ** 3;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "hubwire-trouble-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
const put = (key: string, json: string): Operation => ({
  name: "put",
  collection: "twins",
  key,
  json,
  expected: "any",
});

test("an operation that SQLite refuses fails alone; the rest of its batch happens, in order", () => {
  const engine = new SqliteEngine({ path: join(directory, "a.db"), bytesMax: roomy });
  const outcomes = engine.run([
    put("a", "1"),
    // A document without text breaks a rule of the schema: a mistake of ours, stood in for here.
    put("b", null as unknown as string),
    { ...put("a", "2"), expected: 1 } as Operation,
    { name: "get", collection: "twins", key: "a" },
  ]);
  expect(outcomes[0]).toEqual({ value: { ok: true, revision: 1 } });
  expect(outcomes[1]).toMatchObject({ failure: { code: 19 } });
  expect(outcomes[2]).toEqual({ value: { ok: true, revision: 2 } });
  expect(outcomes[3]).toMatchObject({ value: { json: "2", revision: 2 } });
  engine.close();
});

test("a failed expectation is a result and undoes nothing of its batch", () => {
  const engine = new SqliteEngine({ path: join(directory, "a.db"), bytesMax: roomy });
  const outcomes = engine.run([
    put("a", "1"),
    { ...put("a", "2"), expected: "absent" } as Operation,
    put("b", "3"),
  ]);
  expect(outcomes.map((outcome) => "value" in outcome)).toEqual([true, true, true]);
  expect(engine.run([{ name: "get", collection: "twins", key: "b" }])).toMatchObject([
    { value: { json: "3" } },
  ]);
  engine.close();
});

test("a batch that fills the database leaves nothing half written", () => {
  const path = join(directory, "a.db");
  const engine = new SqliteEngine({ path, bytesMax: 200_000 });
  const big = JSON.stringify("x".repeat(50_000));
  const outcomes = engine.run(Array.from({ length: 8 }, (_, n) => put(`k${n}`, big)));
  const written = outcomes.flatMap((outcome, n) => ("value" in outcome ? [`k${n}`] : []));
  expect(written.length).toBeGreaterThan(0);
  expect(written.length).toBeLessThan(8);
  for (const outcome of outcomes) {
    if ("failure" in outcome) expect(outcome.failure.code).toBe(13);
  }
  engine.close();
  const again = new SqliteEngine({ path, bytesMax: roomy });
  const list: Operation = { name: "list", collection: "twins", prefix: "", after: "", limit: 99 };
  const [listed] = again.run([list]);
  expect(listed).toMatchObject({ value: written.map((key) => ({ key, json: big })) });
  again.close();
});

test("a full database refuses writes, still reads, and heals when there is room", async () => {
  await using stores = await openSqliteStores({
    directory,
    clock,
    segmentBytes: 1024 * 1024,
    documentsBytesMax: 400_000,
  });
  const { documents } = stores;
  const big = "x".repeat(100_000);
  const kept: string[] = [];
  for (let n = 0; stores.unhealthyReason === undefined; n++) {
    try {
      await documents.put("twins", `k${n}`, big, "absent");
      kept.push(`k${n}`);
    } catch (error) {
      expect(error).toMatchObject({ code: "store.unavailable" });
    }
  }
  expect(stores.unhealthyReason).toContain("full");
  expect((await documents.get("twins", "k0"))?.value).toBe(big);
  for (const key of kept) await documents.delete("twins", key, "any");
  await until(() => stores.unhealthyReason === undefined);
  expect(await documents.put("twins", "again", big, "absent")).toMatchObject({ ok: true });
});

test("when the thread dies its callers are told, and it is started again with what was committed", async () => {
  const workers: Worker[] = [];
  await using stores = await openSqliteStores({
    directory,
    clock,
    segmentBytes: 1024 * 1024,
    spawn: (settings) => {
      const worker = spawnWorker(settings);
      workers.push(worker);
      return worker;
    },
  });
  const { documents } = stores;
  await documents.put("twins", "kept", 1, "absent");
  const news: (string | undefined)[] = [];
  stores.onHealth((reason) => news.push(reason));
  const underWay = Promise.allSettled([
    documents.put("twins", "a", 1, "absent"),
    documents.get("twins", "kept"),
  ]);
  await workers[0]!.terminate();
  for (const outcome of await underWay) {
    // What had been answered before it died has been answered.
    if (outcome.status === "rejected") {
      expect(outcome.reason).toMatchObject({ code: "store.unavailable", retryable: true });
    }
  }
  await until(() => news.length >= 2);
  expect(news).toEqual([expect.stringContaining("thread ended"), undefined]);
  expect(workers).toHaveLength(2);
  expect((await documents.get("twins", "kept"))?.value).toBe(1);
  const put2 = await documents.put("twins", "kept", 2, "any");
  expect(put2.ok && put2.revision).toBeGreaterThan(1);
});

test("while the thread is gone calls fail at once, and closing does not hang", async () => {
  let spawned = 0;
  const workers: Worker[] = [];
  const health = new Health();
  const settings = { path: join(directory, "a.db"), bytesMax: roomy };
  const queue = await OperationQueue.open(settings, {
    clock,
    health,
    spawn: (given) => {
      if (++spawned > 1) throw new Error("no more threads");
      workers.push(spawnWorker(given));
      return workers[0]!;
    },
  });
  await workers[0]!.terminate();
  await until(() => health.reason !== undefined);
  await expect(queue.run({ name: "queues" })).rejects.toMatchObject({ code: "store.unavailable" });
  await until(() => spawned > 2);
  expect(health.reason).toContain("no more threads");
  await queue.close();
  await expect(queue.run({ name: "queues" })).rejects.toMatchObject({ code: "client.closed" });
});

test("operations beyond the bound are refused and the waiting ones finish", async () => {
  const health = new Health();
  const settings = { path: join(directory, "a.db"), bytesMax: roomy };
  const queue = await OperationQueue.open(settings, { clock, health, spawn: spawnWorker });
  const calls = Array.from({ length: 25_000 }, (_, n) =>
    queue.run(put(`k${n % 10}`, String(n))).then(
      () => "done",
      (error: unknown) => (error as { code: string }).code,
    ),
  );
  const outcomes = await Promise.all(calls);
  expect(outcomes.filter((outcome) => outcome === "done")).toHaveLength(20_000);
  expect(outcomes.filter((outcome) => outcome === "store.unavailable")).toHaveLength(5_000);
  expect(health.reason).toBeUndefined();
  await queue.close();
});
