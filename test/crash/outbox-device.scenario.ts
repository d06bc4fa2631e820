/**
 * A device with a durable outbox in a process of its own, to be killed. Takes one JSON argument; prints a line for every
 * message it was told is accepted. Ends its work when told `{"stop":true}`: prints "drained" when the hub has everything.
 */
import { flushCompileCache } from "node:module";
import { createInterface } from "node:readline";
import { connect } from "@hubwire/device";
import { seededRandom } from "@hubwire/testkit";
import type { OutboxDeviceArguments } from "./outbox-device.ts";

const given = JSON.parse(process.argv[2] ?? "{}") as OutboxDeviceArguments;
const { connectionString, port, caPem, directory, seed, firstNumber, segmentBytes, bug } = given;
const random = seededRandom(seed);
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

let isStopping = false;
createInterface({ input: process.stdin })
  .on("line", () => (isStopping = true))
  // A device nobody can talk to any more has no reason to live on.
  .on("close", () => process.exit(1));

const client = await connect({
  connectionString,
  port,
  ca: caPem,
  outbox: { kind: "durable", directory, segmentBytes },
  waitForConnection: false,
  reconnectDelay: { minMs: 10, maxMs: 100 },
  keepAliveS: 5,
  maxInflight: random.pick([1, 20, 200]),
  drainRate: 1_000_000,
  onError: (error) => say({ event: "error", text: String(error) }),
});
say({ event: "ready", queueDepth: client.stats().queueDepth });
flushCompileCache();

let number = firstNumber;
while (!isStopping) {
  const burst: Promise<unknown>[] = [];
  for (let left = 1 + random.int(40); left > 0; left--) {
    const n = number++;
    const priority = random.chance(0.2) ? "high" : "normal";
    const body = `${priority}/${n}/`.padEnd(
      random.chance(0.02) ? 20_000 : 40 + random.int(400),
      ".",
    );
    const accepted = client.enqueue(body, { priority }).then(({ messageId }) => {
      say({ event: "accepted", n, priority, messageId });
    });
    if (bug === "accepted too early") say({ event: "accepted", n, priority, messageId: "unknown" });
    burst.push(accepted);
  }
  await Promise.all(burst);
  if (random.chance(0.3)) await new Promise((resolve) => setTimeout(resolve, random.int(20)));
  // What waits is bounded by the test's patience, not by the outbox.
  while (client.stats().queueDepth > 5_000 && !isStopping) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
while (client.stats().queueDepth > 0) await new Promise((resolve) => setTimeout(resolve, 10));
await client.close();
say({ event: "drained" });
process.exit(0);
