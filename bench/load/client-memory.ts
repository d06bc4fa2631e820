/**
 * Ten million messages through one client, and what it holds after each million: the heap after a forced collection, and
 * what the system counts. JSON options in, JSON result out.
 */
import { connect } from "@hubwire/device";
import { readClientOptions } from "./client-measure.ts";

export type MemoryResult = { messages: number; heapMiB: number; rssMiB: number }[];

const options = await readClientOptions();
const client = await connect({
  connectionString: options.connectionString,
  ca: options.ca,
  maxInflight: options.inflight,
});
const body = new Uint8Array(options.payloadBytes).fill(0x61);
const { gc } = globalThis;
if (gc === undefined) throw new Error("run with --expose-gc");

async function send(count: number): Promise<void> {
  let left = count;
  const lane = async (): Promise<void> => {
    // oxlint-disable-next-line no-await-in-loop -- a lane is one after the other
    while (left-- > 0) await client.sendTelemetry(body);
  };
  await Promise.all(Array.from({ length: options.inflight }, lane));
}

const result: MemoryResult = [];
for (let million = 1; million <= 10; million += 1) {
  // oxlint-disable-next-line no-await-in-loop -- measured after each
  await send(1_000_000);
  gc();
  const { heapUsed, rss } = process.memoryUsage();
  result.push({ messages: million * 1e6, heapMiB: heapUsed / 2 ** 20, rssMiB: rss / 2 ** 20 });
}
process.stdout.write(`${JSON.stringify(result)}\n`);
await client.close();
process.exit(0);
