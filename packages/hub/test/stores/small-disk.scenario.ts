/**
 * Runs in a mount namespace of its own, on a disk of 32 MB: what the stores and the hub do when it is full, and when it is
 * read-only. Prints one JSON object.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHub, type TelemetryStore } from "@hubwire/hub";
import { systemClock } from "@hubwire/transport";
import { openSqliteStores } from "../../src/stores/sqlite/index.ts";

const disk = process.argv[2]!;
const data = join(disk, "data");
const ballast = join(disk, "ballast");
const mount = (...options: string[]): void => void execFileSync("mount", options);
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error);

mount("-t", "tmpfs", "-o", "size=32m", "tmpfs", disk);
mkdirSync(data);
/** Segments of 1, 2, 4, 8, 8 … MiB. */
const open = () =>
  openSqliteStores({
    directory: data,
    clock: systemClock(),
    segmentBytes: 2 ** 20,
    retentionBytes: 2 ** 26,
  });
const body = new Uint8Array(60_000).fill(1);

/** Appends until the log fails; returns how many of the records it said were durable. */
async function fill(telemetry: TelemetryStore): Promise<number> {
  const lost: [number, number][] = [];
  let durable = 0;
  const stops = [
    telemetry.onCommit((ordinal) => (durable = ordinal)),
    telemetry.onFailure((first, last) => lost.push([first, last])),
  ];
  while (lost.length === 0) {
    telemetry.append(0, body, body, 0, 0);
    await sleep(0);
  }
  for (const stop of stops) stop();
  return durable;
}

const stores = await open();
writeFileSync(ballast, new Uint8Array(14e6));
const durable = await fill(stores.telemetry);
const full = {
  healthy: stores.telemetry.healthy,
  reason: stores.unhealthyReason,
  nextSequenceNumber: stores.telemetry.partition(0).nextSequenceNumber,
  durable,
  document: await stores.documents
    .put("twins", "d", "x".repeat(6_000_000), "any")
    .then(() => "stored", codeOf),
};
rmSync(ballast);
while (stores.unhealthyReason !== undefined) await sleep(10);
const document = await stores.documents.put("twins", "d", "small", "any");
stores.telemetry.append(0, body, body, 0, 0);
await new Promise<void>((resolve) => stores.telemetry.onCommit(() => resolve()));
const healed = {
  document: document.ok,
  nextSequenceNumber: stores.telemetry.partition(0).nextSequenceNumber,
};
await stores[Symbol.asyncDispose]();

const again = await open();
const records = await again.telemetry.read(0, "first", { recordsMax: 1e6, bytesMax: 1e9 });
const reopened = {
  records: records.length,
  whole: records.every(({ bytes }) => bytes.length === body.length),
};
await again[Symbol.asyncDispose]();

rmSync(data, { recursive: true });
const config = { dataDirectory: data, mqttPort: 0, httpsPort: 0, logLevel: "error" } as const;
writeFileSync(ballast, new Uint8Array(30e6));
const noRoom = await createHub(config).then(() => "started", codeOf);
rmSync(ballast);
await (await createHub(config)).stop();
mount("-o", "remount,ro", disk);
const readOnly = await createHub(config).then(() => "started", codeOf);
mount("-o", "remount,rw", disk);
const writable = await createHub(config).then(async (hub) => {
  await hub.stop();
  return "started";
}, codeOf);

process.stdout.write(JSON.stringify({ full, healed, reopened, noRoom, readOnly, writable }));
