/** One `@hubwire/device` client sending with a fixed number in flight. JSON options in, JSON result out. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import { measureClient, readClientOptions } from "./client-measure.ts";

const options = await readClientOptions();
const directory = options.durable
  ? mkdtempSync(join(tmpdir(), "hubwire-bench-outbox-"))
  : undefined;
const connectStartedMs = performance.now();
const client = await connect({
  connectionString: options.connectionString,
  ca: options.ca,
  maxInflight: options.inflight,
  ...(directory === undefined ? {} : { outbox: { kind: "durable", directory } }),
});
const connectMs = performance.now() - connectStartedMs;
const body = new Uint8Array(options.payloadBytes).fill(0x61);
await measureClient(options, connectMs, (done) => {
  // oxlint-disable-next-line promise/no-callback-in-promise -- the peers have callbacks, and this is what is compared
  void client.sendTelemetry(body).then(done);
});
await client.close();
if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
process.exit(0);
