/**
 * A hub in a process of its own, so that its memory can be measured and its data fought over. Takes the configuration and the ids of the
 * devices to make as JSON in the environment; prints one line when it is ready; ends at `{"do":"stop"}` or with its parent.
 */
import { createHub, type HubConfig } from "@hubwire/hub";
import { createInterface } from "node:readline";

const { config, devices } = JSON.parse(process.env["HUB"] ?? "{}") as {
  config: HubConfig;
  devices: string[];
};
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const hub = await createHub({ mqttPort: 0, httpsPort: 0, ...config });
const connectionStrings: Record<string, string> = {};
for (const deviceId of devices) {
  // oxlint-disable-next-line no-await-in-loop -- a handful, at start
  const { connectionString } = await hub.createDevice({ deviceId });
  connectionStrings[deviceId] = connectionString;
}
const { mqttPort, httpsPort, caPem } = hub;
say({ event: "ready", pid: process.pid, mqttPort, httpsPort, caPem, connectionStrings });

let feeding: NodeJS.Timeout | undefined;
/** A queue that is full or a device that is busy is no news. */
const mayFail = (work: Promise<unknown>): void => void work.catch(() => {});

type Command = { do: string; deviceId: string; deviceIds: string[] };
const commands: Record<string, (command: Command) => unknown> = {
  streams: async () => {
    const text = await hub.metricsText();
    say({ event: "streams", streams: Number(/^hubwire_streams (\d+)$/m.exec(text)?.[1]) });
  },
  /** Throws away what is garbage, so that what is measured next is what is kept. */
  collect: async () => {
    // What has a finalizer goes with the second round.
    for (let round = 0; round < 3; round += 1) {
      globalThis.gc?.();
      // oxlint-disable-next-line no-await-in-loop -- finalizers run between turns
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { heapUsed, external } = process.memoryUsage();
    say({ event: "collected", kept: heapUsed + external });
  },
  /** Sends to these devices all the time, as a back end that does not know what they are. */
  feed: ({ deviceIds }) => {
    let n = 0;
    feeding = setInterval(() => {
      const deviceId = deviceIds[n++ % deviceIds.length]!;
      const desired = { n, padding: "x".repeat(3_000) };
      const ref = { deviceId, moduleId: undefined };
      mayFail(hub.sendToDevice(deviceId, "x".repeat(10_000)));
      mayFail(hub.twins.patch(ref, { properties: { desired } }, undefined));
      mayFail(hub.invokeMethod(deviceId, "m", { n }, { responseTimeoutS: 5 }));
    }, 20);
  },
  /** How many messages of a device are stored, and whether they are numbered without gap or repeat. */
  count: async ({ deviceId }) => {
    let count = 0;
    let inOrder = true;
    for (let partition = 0; partition < hub.telemetry.partitionCount; partition += 1) {
      let next = hub.telemetry.partition(partition).firstSequenceNumber;
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- page after page
        const events = await hub.telemetry.read(
          partition,
          { sequenceNumber: next },
          { recordsMax: 1_000, bytesMax: 4 << 20 },
        );
        const last = events.at(-1);
        if (last === undefined) break;
        next = last.sequenceNumber + 1;
        for (const event of events) {
          if (event.deviceId !== deviceId) continue;
          const { n } = JSON.parse(Buffer.from(event.body).toString("utf8")) as { n: number };
          inOrder &&= n === count;
          count += 1;
        }
      }
    }
    say({ event: "counted", count, inOrder });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  if (command.do === "stop") break;
  // oxlint-disable-next-line no-await-in-loop -- one command after another
  await commands[command.do]?.(command);
}
clearInterval(feeding);
await hub.stop();
process.stdin.destroy();
