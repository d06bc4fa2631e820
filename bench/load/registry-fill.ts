/**
 * A data directory with many devices, each with a twin that was written by a back end and by the device.
 * `node registry-fill.ts`, one JSON line in: `{"directory":"…","devices":100000}`.
 */
import { systemClock } from "@hubwire/transport";
import { openSqliteStores } from "../../packages/hub/src/stores/sqlite/index.ts";
import {
  generationOf,
  identityOf,
  twinOf,
  deviceIdOf,
  type FillOptions,
  type FillResult,
} from "./registry-fleet.ts";

const inFlight = 1_000;

const chunks: Buffer[] = [];
for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
const { directory, devices } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as FillOptions;
const stores = await openSqliteStores({ directory, clock: systemClock() });
let twinBytes = 0;
for (let from = 0; from < devices; from += inFlight) {
  const writes: Promise<unknown>[] = [];
  for (let n = from; n < Math.min(devices, from + inFlight); n++) {
    const generationId = generationOf(n);
    const twin = { twin: twinOf(n) };
    twinBytes += JSON.stringify(twin).length;
    const { documents } = stores;
    writes.push(documents.put("identities", deviceIdOf(n), identityOf(n), "absent"));
    writes.push(documents.put("twins", `${deviceIdOf(n)}@${generationId}`, twin, "absent"));
  }
  await Promise.all(writes);
}
await stores[Symbol.asyncDispose]();
process.stdout.write(
  `${JSON.stringify({ twinBytes: Math.round(twinBytes / devices) } satisfies FillResult)}\n`,
);
