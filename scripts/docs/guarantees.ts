import { cell, evidence } from "./compatibility.ts";
import { fileOf, type Shown } from "./compatibility/evidence.ts";
import { events, otherWay } from "./guarantees/events.ts";

/** Every test the page names. */
export const namedGuarantees: readonly Shown[] = [...events, ...otherWay].flatMap(
  ({ shown }) => shown,
);

const intro = `# Delivery guarantees

What becomes of a message when something goes wrong, for each kind of outbox and each quality of service. Each row names the tests that
show it. The short version:

- **QoS 1 is at least once**: the client has a message until the hub has acknowledged it, and sends it again on each new connection. The hub
  may store it twice; the \`messageId\` tells receivers.
- **QoS 0 is at most once**: it is done when the socket took it.
- **In memory** (the default) everything ends with the process. **Durable** means on disk and synced before \`enqueue\` resolves.

\`\`\`ts
import { connect } from "@hubwire/device";
import { fakeHub } from "@hubwire/device/testing";

const hub = fakeHub(); // in production a connection string
await using device = await connect({
  ...hub.connectOptions("pump-3"),
  outbox: { kind: "durable", directory: "outbox", whenFull: "drop-lowest-priority" },
});

const { messageId } = await device.enqueue({ bar: 2.5 }); // on disk now; sent when there is a hub
await device.sendTelemetry({ alarm: "dry" }, { priority: "high" }); // the hub has it now
await device.enqueue({ rssi: -71 }, { ttlMs: 60_000, priority: "low" }); // worthless in a minute
console.log(\`accepted as \${messageId}\`);
\`\`\`

| call | resolves when | ends the message when it fails |
| --- | --- | --- |
| \`enqueue\` | the message is in the outbox: with a durable one on disk | yes: it was not accepted |
| \`sendTelemetry\`, QoS 1 | the hub acknowledged | in memory yes. With a durable outbox \`call.timeout\`, \`call.aborted\` and \`client.closed\` end the call and not the message; \`ttlMs\` ends the message |
| \`sendTelemetry\`, QoS 0 | the socket took it | yes |
| \`sendTelemetryBatch\`, \`sendAll\` | the last one is done as above | as above |

Two more promises hold everywhere. **Order**: messages of one priority reach the hub in the order of the calls, repeats before anything newer; a
receiver that leaves out repeats by \`messageId\` sees the order of the calls. **Every call settles**, by its \`timeoutMs\` at the latest.

## Telemetry

`;

const outro = `
## Telling repeats apart

A message may arrive twice when its acknowledgement was lost: after a cut, a kill or a power loss. With a durable outbox each message without
an id gets one (UUID version 7, option \`messageIds\`), the same on each sending, and receivers find it as the system property \`message-id\`. A
durable outbox writes down what was acknowledged once a second, or every 1000 messages; a process that is killed may repeat as many.

## The other direction
`;

const last = `
What every call does while the hub misbehaves is in [faults](faults.md); the options are in [options](options.md#outbox).
`;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.map(cell).join(" | ")} |`)
    .join("\n");

/**
 * The page \`docs/delivery-guarantees.md\`.
 * @param tests the text of every test file, by path
 * @throws when a test it names does not exist
 */
export function renderGuarantees(tests: ReadonlyMap<string, string>): string {
  const find = (shown: Shown): string => fileOf(shown, tests);
  const head = [
    "what happens",
    "QoS 0, memory",
    "QoS 0, durable",
    "QoS 1, memory",
    "QoS 1, durable",
  ];
  const telemetry = events.map(({ event, qos0, qos1, shown }) => [
    event,
    ...qos0,
    ...qos1,
    evidence(shown, find),
  ]);
  const others = otherWay.map(({ event, outcome, shown }) => [
    event,
    outcome,
    evidence(shown, find),
  ]);
  return `${intro}${table([...head, "shown by"], telemetry)}
${outro}
${table(["what happens", "what becomes of it", "shown by"], others)}
${last}`;
}
