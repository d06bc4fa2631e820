import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import type { OutboxOptions } from "@hubwire/device";
import { fakeHub } from "@hubwire/device/testing";
import { afterEach, expect, test, vi } from "vitest";

// What the page of delivery guarantees says and no test elsewhere shows by itself.

const directory = mkdtempSync(join(tmpdir(), "hubwire-guarantees-"));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const outboxes: [string, () => OutboxOptions][] = [
  ["memory", () => ({ kind: "memory" })],
  ["durable", () => ({ kind: "durable", directory: join(directory, "outbox") })],
];

test.each(outboxes)(
  "QoS 0 waits for a connection, and then goes in order (%s)",
  async (_name, outbox) => {
    const hub = fakeHub();
    await using device = await connect({ ...hub.connectOptions("d"), outbox: outbox() });
    const online = hub.goOffline();
    await hub.clock.advance(0);
    for (const n of [1, 2, 3]) await device.enqueue({ n }, { qos: 0 });
    await hub.clock.advance(5_000);
    online();
    await hub.clock.until(() => hub.telemetry.length === 3);
    expect(hub.telemetry.map((message) => message.json())).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  },
);

test("QoS 0 in a durable outbox is sent by the next process, unless a socket had it", async () => {
  const hub = fakeHub();
  const outbox: OutboxOptions = { kind: "durable", directory: join(directory, "outbox") };
  const options = { ...hub.connectOptions("d"), outbox };
  const first = await connect(options);
  await first.sendTelemetry("a socket had it", { qos: 0 });
  await hub.clock.advance(0);
  const online = hub.goOffline();
  await hub.clock.advance(0);
  await first.enqueue("nobody had it", { qos: 0 });
  await first.close();

  online();
  await using _second = await connect(options);
  // The disk takes real time, which the hub's clock does not wait for.
  await vi.waitUntil(async () => {
    await hub.clock.advance(10);
    return hub.telemetry.length === 2;
  });
  expect(hub.telemetry.map((message) => message.text())).toEqual([
    "a socket had it",
    "nobody had it",
  ]);
});

test("QoS 0 that a socket had is gone when the network is, and nobody is told", async () => {
  const hub = fakeHub();
  await using device = await connect({ ...hub.connectOptions("d"), keepAliveS: 10 });
  hub.halfOpen();
  await device.sendTelemetry("into the void", { qos: 0 });
  await hub.clock.until(() => device.stats().reconnects === 1);
  await device.sendTelemetry("heard", { qos: 0 });
  await hub.clock.until(() => hub.telemetry.length === 1);
  expect(hub.telemetry[0]?.text()).toBe("heard");
});

test("QoS 0 loses nothing when tokens are renewed", async () => {
  const hub = fakeHub();
  await using device = await connect({ ...hub.connectOptions("d"), tokenLifetimeS: 30 });
  let sent = 0;
  for (let second = 0; second < 300; second += 1) {
    await Promise.all([1, 2, 3].map(() => device.sendTelemetry((sent += 1), { qos: 0 })));
    await hub.clock.advance(1_000);
  }
  expect(device.stats().renewals).toBeGreaterThanOrEqual(10);
  expect(hub.telemetry).toHaveLength(sent);
});
