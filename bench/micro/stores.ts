/**
 * The hub's stores, and how long a hub takes to be ready.
 *
 *     node --conditions=@hubwire/source bench/micro/stores.ts [--json] [--rounds=7]
 *
 * Operations in flight are issued together, as connections do. The peer is `node:sqlite` on the main thread with a commit
 * for each document (WAL, synchronous=FULL), measured in turn with ours; what counts is the ratio.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import type { Stores } from "@hubwire/hub";
import { createMemoryStores } from "@hubwire/hub";
import { systemClock } from "@hubwire/transport";
import { openSqliteStores } from "../../packages/hub/src/stores/sqlite/index.ts";
import { formatSpread, ratios, spread } from "../support/statistics.ts";

const document = { deviceId: "sensor-0001", properties: { desired: {}, text: "x".repeat(400) } };

async function putRate(stores: Stores, inFlight: number, total: number): Promise<number> {
  const startedMs = performance.now();
  for (let done = 0; done < total; done += inFlight) {
    const batch = Array.from({ length: inFlight }, (_, n) =>
      stores.documents.put("twins", `d${(done + n) % 5_000}`, document, "any"),
    );
    await Promise.all(batch);
  }
  return total / ((performance.now() - startedMs) / 1000);
}

/** One durable commit a document, on the thread that asks. */
function bareRate(path: string, total: number): number {
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS t (k TEXT PRIMARY KEY, v TEXT)",
  );
  const put = database.prepare("INSERT OR REPLACE INTO t VALUES (?, ?)");
  const startedMs = performance.now();
  for (let n = 0; n < total; n++) put.run(`d${n % 5_000}`, JSON.stringify(document));
  const rate = total / ((performance.now() - startedMs) / 1000);
  database.close();
  return rate;
}

/** A process that starts a hub, after its imports: milliseconds to ready. */
function startMs(config: string): number {
  const script = `
    const { startHub } = await import("@hubwire/hub");
    const startedMs = performance.now();
    const hub = await startHub(${config});
    process.stdout.write(String(performance.now() - startedMs));
    await hub.stop();`;
  const flags = ["--conditions=@hubwire/source", "--disable-warning=ExperimentalWarning"];
  const child = spawnSync(process.execPath, [...flags, "--input-type=module", "--eval", script], {
    cwd: join(import.meta.dirname, "..", ".."),
    encoding: "utf8",
  });
  if (child.status !== 0) throw new Error(child.stderr);
  return Number(child.stdout);
}

const { values } = parseArgs({
  options: { json: { type: "boolean", default: false }, rounds: { type: "string", default: "7" } },
});
const rounds = Number(values.rounds);
const directory = mkdtempSync(join(tmpdir(), "hubwire-bench-"));
const clock = systemClock();
const sqlite = await openSqliteStores({ directory, clock });
const memory = createMemoryStores({ clock });

const cases = [1, 10, 100, 1000].map((inFlight) => ({
  inFlight,
  sqlite: [] as number[],
  memory: [] as number[],
  bare: [] as number[],
}));
const starts = { memory: [] as number[], durable: [] as number[] };
for (let round = 0; round < rounds; round++) {
  for (const each of cases) {
    const total = Math.max(500, each.inFlight * 20);
    each.sqlite.push(await putRate(sqlite, each.inFlight, total));
    each.bare.push(bareRate(join(directory, "bare.db"), 500));
    each.memory.push(await putRate(memory, each.inFlight, total));
  }
  starts.memory.push(startMs("{}"));
  const data = JSON.stringify(join(directory, `hub-${round}`));
  starts.durable.push(startMs(`{ dataDirectory: ${data} }`));
}
await sqlite[Symbol.asyncDispose]();
await memory[Symbol.asyncDispose]();
rmSync(directory, { recursive: true });

const results = {
  putsPerSecond: cases.map((each) => ({
    inFlight: each.inFlight,
    sqlite: spread(each.sqlite),
    bareSqlite: spread(each.bare),
    memory: spread(each.memory),
    ratioToBare: ratios(each.sqlite, each.bare),
  })),
  readyMs: { memory: spread(starts.memory), durableFirstStart: spread(starts.durable) },
};
if (values.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  for (const each of results.putsPerSecond) {
    process.stdout.write(
      `${String(each.inFlight).padStart(5)} in flight: ${formatSpread(each.sqlite, 0)} puts/s, ` +
        `${formatSpread(each.ratioToBare)} times bare node:sqlite; memory ${formatSpread(each.memory, 0)}\n`,
    );
  }
  const { memory: quick, durableFirstStart } = results.readyMs;
  process.stdout.write(
    `ready in ${formatSpread(quick, 0)} ms in memory, ` +
      `${formatSpread(durableFirstStart, 0)} ms on disk (first start, CA included)\n`,
  );
}
