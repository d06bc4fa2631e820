import { connect } from "@hubwire/device";
import type { DeviceClient, DeviceStatus } from "@hubwire/device";
import { startHub } from "@hubwire/hub";
import type { Hub } from "@hubwire/hub";
import { CuttingProxy } from "@hubwire/testkit";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

/** Back-off of these tests. Many cuts one after the other look like a second client, and then the pace is slow. */
const retry = { minMs: 20, maxMs: 200, slowMaxMs: 400 };
const attemptTimeoutMs = 1_500;
const rounds = process.env["HUBWIRE_LONG"] === "1" ? 20 : 1;

/** What a network does to real TCP connections that carry TLS, and how the client notices. */
const weathers: readonly {
  name: string;
  begin: (proxy: CuttingProxy) => void;
  /** Codes under which the connection may end; none: it does not end. */
  ends: readonly string[];
}[] = [
  {
    name: "cut, and both ends notice",
    begin: (proxy) => proxy.cut(),
    ends: ["transport.reset", "device.connection_lost", "device.kicked_out"],
  },
  {
    name: "cut, and only the hub notices: half-open on the device's side",
    begin: (proxy) => proxy.cut("server"),
    ends: ["mqtt.ping_timeout", "device.ack_timeout"],
  },
  {
    name: "cut, and only the device notices: half-open on the hub's side",
    begin: (proxy) => proxy.cut("client"),
    ends: ["transport.reset", "device.connection_lost", "device.kicked_out"],
  },
  {
    name: "cut, and new connections are reset",
    begin: (proxy) => {
      proxy.refuse();
      proxy.cut();
    },
    ends: ["transport.reset", "device.connection_lost", "device.kicked_out"],
  },
  {
    name: "dropped both ways, without a word",
    begin: (proxy) => proxy.drop(),
    ends: ["mqtt.ping_timeout", "device.ack_timeout"],
  },
  {
    name: "dropped on the way to the device",
    begin: (proxy) => proxy.drop("toClient"),
    ends: ["mqtt.ping_timeout", "device.ack_timeout"],
  },
  {
    name: "dropped on the way to the hub",
    begin: (proxy) => proxy.drop("toServer"),
    ends: ["mqtt.ping_timeout", "device.ack_timeout"],
  },
  {
    name: "stalled both ways",
    begin: (proxy) => proxy.stall(),
    ends: ["mqtt.ping_timeout", "device.ack_timeout"],
  },
  { name: "delayed by 200 ms each way", begin: (proxy) => proxy.delay(200), ends: [] },
];

const folder = mkdtempSync(join(tmpdir(), "hubwire-faults-"));
let hub: Hub;
let devices = 0;

beforeAll(async () => {
  hub = await startHub({ dataDirectory: join(folder, "data") });
});

afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** The calls an application makes, in this order; each has a deadline. */
const makeCalls = (client: DeviceClient, timeoutMs: number): Promise<string[]> =>
  Promise.all(
    [
      client.sendTelemetry("a", { timeoutMs }),
      // Lost, and said to be, when the connection that took it turns out to be dead.
      client.sendTelemetry("b", { qos: 0, timeoutMs }),
      client.sendTelemetryBatch([{ body: "c" }, { body: "d" }], { timeoutMs }),
      client.enqueue("e", { timeoutMs }),
      client.getTwin({ timeoutMs }),
      client.reportProperties({ f: 1 }, { timeoutMs }),
    ].map(outcome),
  );

const outcome = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "value",
    (error: Error & { code?: string }) => error.code ?? error.message,
  );

/** Under bad weather; QoS 0 may be lost. */
const allowed = new Set(["value", "call.timeout", "device.connection_lost"]);
const qos0 = expect.stringMatching(/^(value|device\.connection_lost)$/);

async function until(
  client: DeviceClient,
  found: (status: DeviceStatus) => boolean,
): Promise<void> {
  for await (const status of client.statusChanges()) if (found(status)) return;
  throw new Error("the client ended");
}

test.concurrent.each(weathers)(
  "a real connection $name: every call settles, waits keep to their bounds, and the first attempt in good weather succeeds",
  { timeout: 60_000 * rounds },
  async ({ begin, ends }) => {
    const { connectionString } = await hub.createDevice({ deviceId: `d${devices++}` });
    await using proxy = await CuttingProxy.start({ targetPort: hub.mqttPort });
    const heard: DeviceStatus[] = [];
    const tooLong: DeviceStatus[] = [];
    await using client = await connect({
      connectionString,
      port: proxy.port,
      ca: hub.caPem,
      keepAliveS: 1,
      retryIntervalMs: 1_000,
      attemptTimeoutMs,
      retry,
      onStatus: (status) => {
        heard.push(status);
        if (status.state !== "waiting") return;
        const waitMs = status.nextAttemptAt.getTime() - Date.now();
        if (waitMs > (status.pace === "slow" ? retry.slowMaxMs : retry.maxMs)) tooLong.push(status);
      },
    });
    for (let round = 0; round < rounds; round++) {
      heard.length = 0;
      begin(proxy);
      const under = makeCalls(client, 2_000);
      if (ends.length > 0) {
        await until(client, ({ state }) => state === "waiting");
        const lost = heard.find((status) => status.state === "waiting");
        expect(ends).toContain((lost as DeviceStatus & { state: "waiting" }).cause.code);
      }
      for (const one of await under) expect(allowed).toContain(one);

      proxy.heal();
      const failedBefore = client.stats().connectFailures;
      const after = await makeCalls(client, 20_000);
      expect(after).toEqual(["value", qos0, "value", "value", "value", "value"]);
      // The attempt that was under way may still fail for the old weather, no other does.
      expect(client.stats().connectFailures - failedBefore).toBeLessThanOrEqual(1);
    }
    expect(tooLong).toEqual([]);
    if (ends.length === 0) expect(client.stats().connects).toBe(1);
  },
);
