import type { DeviceClient } from "@hubwire/device";
import type { CallName } from "./outcomes.ts";

/** What a call may take; a loop, which waits for news and has no deadline, is told to stop by then. */
export const callTimeoutMs = 40_000;

type Make = (client: DeviceClient, signal: AbortSignal) => Promise<unknown>;
const timeoutMs = callTimeoutMs;

/** The public calls that wait for something. `connect` is made by the test itself. */
export const calls: Record<Exclude<CallName, "connect">, Make> = {
  "sendTelemetry, QoS 1": (client) => client.sendTelemetry("a", { timeoutMs }),
  "sendTelemetry, QoS 0": (client) => client.sendTelemetry("b", { qos: 0, timeoutMs }),
  sendTelemetryBatch: (client) =>
    client.sendTelemetryBatch([{ body: "c" }, { body: "d" }], { timeoutMs }),
  sendAll: (client) => client.sendAll(["e", "f"], { timeoutMs }),
  enqueue: (client) => client.enqueue("g", { timeoutMs }),
  getTwin: (client) => client.getTwin({ timeoutMs }),
  followTwin: (client) => client.followTwin({ timeoutMs }),
  reportProperties: (client) => client.reportProperties({ h: 1 }, { timeoutMs }),
  "desiredProperties, first": (client, signal) => client.desiredProperties({ signal }).next(),
  "messages, first": (client, signal) => client.messages({ signal }).next(),
  rotateCredentials: (client) =>
    client.rotateCredentials(
      { sharedAccessKey: Buffer.alloc(32, 7).toString("base64") },
      { timeoutMs },
    ),
  close: (client) => client.close({ timeoutMs }),
};
