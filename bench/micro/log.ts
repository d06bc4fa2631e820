/**
 * The append log, durable, against what a Node program could use instead, on the same disk: records of 300 bytes, so
 * many in flight, each acknowledged when it is on disk.
 *
 *     node --conditions=@hubwire/source bench/micro/log.ts [--json] [--rounds=5] [--directory=…]
 *
 * - `bare`: one write and one fdatasync per batch into a preallocated file, no numbers, no checksum, no index: the ceiling;
 * - `sqlite`: `node:sqlite`, WAL, synchronous=FULL, a row per record, a transaction per batch.
 *
 * Rounds alternate between the three, so that a disk that slows down slows all. What counts are the ratios.
 */
import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, write, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { Log } from "@hubwire/log";
import { formatSpread, ratios, spread } from "../support/statistics.ts";

const recordBytes = 300;
const partitions = 4;
const loads = [
  { inFlight: 1, records: 3_000 },
  { inFlight: 50, records: 100_000 },
  { inFlight: 1000, records: 1_000_000 },
] as const;

const head = Buffer.alloc(20, 1);
const body = Buffer.alloc(recordBytes - head.length, 2);

/** Records per second. */
type Contender = (directory: string, inFlight: number, records: number) => Promise<number>;

async function hubwireLog(directory: string, inFlight: number, records: number): Promise<number> {
  await using log = await Log.open({ directory, partitions });
  let appended = 0;
  const appendUpTo = (goal: number): void => {
    for (; appended < goal; appended++) {
      log.append(appended % partitions, head, body, 0, body.length);
    }
  };
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    log.onFailure((_first, _last, error) => reject(error));
    log.onCommit((durable) => {
      if (durable >= records) resolve();
      else appendUpTo(Math.min(records, durable + inFlight));
    });
    appendUpTo(Math.min(records, inFlight));
  });
  return rate(records, started);
}

/** Like a program with the same load: while one batch is synced the next fills up. */
async function bare(directory: string, inFlight: number, records: number): Promise<number> {
  const fileBytes = 64 * 1024 * 1024;
  const fd = openSync(`${directory}.bare`, "w");
  writeSync(fd, Buffer.alloc(fileBytes));
  const batch = Buffer.alloc(inFlight * recordBytes);
  let position = 0;
  let done = 0;
  const started = performance.now();
  await new Promise<void>((resolve, reject) => {
    const commit = (): void => {
      const count = Math.min(inFlight, records - done);
      for (let i = 0; i < count; i++) {
        batch.set(head, i * recordBytes);
        batch.set(body, i * recordBytes + head.length);
      }
      if (position + batch.length > fileBytes) position = 0;
      write(fd, batch, 0, count * recordBytes, position, (error) => {
        if (error) return reject(error);
        position += count * recordBytes;
        fdatasync(fd, (syncError) => {
          if (syncError) return reject(syncError);
          done += count;
          if (done >= records) resolve();
          else commit();
        });
      });
    };
    commit();
  });
  const result = rate(records, started);
  closeSync(fd);
  return result;
}

async function sqlite(directory: string, inFlight: number, records: number): Promise<number> {
  const database = new DatabaseSync(`${directory}.db`);
  database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL");
  database.exec("CREATE TABLE log (partition INT, sequence INT, bytes BLOB)");
  const insert = database.prepare("INSERT INTO log VALUES (?, ?, ?)");
  const record = Buffer.concat([head, body]);
  const started = performance.now();
  for (let done = 0; done < records;) {
    const until = Math.min(records, done + inFlight);
    database.exec("BEGIN");
    for (; done < until; done++) insert.run(done % partitions, done, record);
    database.exec("COMMIT");
  }
  const result = rate(records, started);
  database.close();
  return result;
}

function rate(records: number, startedMs: number): number {
  return records / ((performance.now() - startedMs) / 1000);
}

export type LogBenchResult = {
  inFlight: number;
  /** Records per second, run by run. */
  log: number[];
  bare: number[];
  sqlite: number[];
};

export async function benchLog(rounds: number, directory: string): Promise<LogBenchResult[]> {
  const results: LogBenchResult[] = [];
  for (const { inFlight, records } of loads) {
    const result: LogBenchResult = { inFlight, log: [], bare: [], sqlite: [] };
    const run = async (contender: Contender, of: number[], share: number): Promise<void> => {
      const fresh = mkdtempSync(join(directory, "hubwire-bench-log-"));
      try {
        of.push(await contender(join(fresh, "data"), inFlight, Math.ceil(records * share)));
      } finally {
        rmSync(fresh, { recursive: true });
      }
    };
    for (let round = 0; round < rounds; round++) {
      await run(hubwireLog, result.log, 1);
      await run(bare, result.bare, 1);
      await run(sqlite, result.sqlite, 0.2);
    }
    results.push(result);
  }
  return results;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "5" },
      directory: { type: "string", default: tmpdir() },
    },
  });
  const results = await benchLog(Number(values.rounds), values.directory);
  if (values.json) console.log(JSON.stringify(results));
  else {
    for (const { inFlight, log, bare: ceiling, sqlite: rows } of results) {
      const thousands = formatSpread(spread(log.map((perS) => perS / 1000)));
      const toBare = formatSpread(ratios(log, ceiling), 2);
      const toRows = formatSpread(ratios(log, rows), 2);
      console.log(
        `${inFlight} in flight: ${thousands} k records/s, ${toBare}× bare, ${toRows}× sqlite`,
      );
    }
  }
}
