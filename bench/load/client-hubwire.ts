/** One `@hubwire/device` client sending with a fixed number in flight. JSON options in, JSON result out. */
import { connect } from "@hubwire/device";
import { measureClient, readClientOptions } from "./client-measure.ts";

const options = await readClientOptions();
const connectStartedMs = performance.now();
const client = await connect({
  connectionString: options.connectionString,
  ca: options.ca,
  maxInflight: options.inflight,
});
const connectMs = performance.now() - connectStartedMs;
const body = new Uint8Array(options.payloadBytes).fill(0x61);
await measureClient(options, connectMs, (done) => {
  // oxlint-disable-next-line promise/no-callback-in-promise -- the peers have callbacks, and this is what is compared
  void client.sendTelemetry(body).then(done);
});
await client.close();
process.exit(0);
