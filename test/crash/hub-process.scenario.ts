/**
 * A hub in a process of its own, to be killed. Takes one JSON argument; prints one line when it is ready. With `bug` its
 * stores are wrapped in that planted mistake, which proves that the test would see it.
 */
import { mkdir } from "node:fs/promises";
import { flushCompileCache } from "node:module";
import { createHub, type HubConfig } from "@hubwire/hub";
import { systemClock } from "@hubwire/transport";
import { openSqliteStores } from "../../packages/hub/src/stores/sqlite/index.ts";
import { plantedBugs } from "./planted-bugs.ts";
import type { HubArguments } from "./hub-process.ts";

const { directory, bug, retentionBytes } = JSON.parse(process.argv[2] ?? "{}") as HubArguments;

/** Small files: the change from one to the next, and the deletion of old ones, is never far away. */
const telemetrySegmentBytes = 512 * 1024;
const retention = { hours: 24, bytes: retentionBytes ?? 8 * 1024 * 1024 };

// A hub nobody can talk to any more has no reason to live on.
process.stdin.resume().on("end", () => process.exit(1));

async function storage(): Promise<HubConfig> {
  const planted = plantedBugs.find(({ name }) => name === bug);
  if (planted === undefined) {
    return { dataDirectory: directory, retention, limits: { telemetrySegmentBytes } };
  }
  await mkdir(directory, { recursive: true });
  const stores = await openSqliteStores({
    directory,
    clock: systemClock(),
    segmentBytes: telemetrySegmentBytes,
    retentionBytes: retention.bytes,
  });
  return { stores: planted.wrap(stores) };
}

const hub = await createHub({
  mqttPort: 0,
  httpsPort: 0,
  amqpPort: 0,
  amqpPlainPort: false,
  logLevel: "error",
  ...(await storage()),
});
const { mqttPort, httpsPort, amqpPort, caPem } = hub;
const owner = hub.connectionString();
const line = { event: "ready", mqttPort, httpsPort, amqpPort, caPem, owner };
process.stdout.write(`${JSON.stringify(line)}\n`);
// It is not going to end in a way that leaves time for that.
flushCompileCache();
