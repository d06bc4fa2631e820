// Tests of a device application without a hub: copy this file, put your own device in the place of `runThermostat`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type ConnectOptions, type DeviceClient } from "@hubwire/device";
import { fakeHub } from "@hubwire/device/testing";

/** The application under test: it reports its interval, and sends a reading whenever it is asked to. */
async function runThermostat(options: ConnectOptions): Promise<DeviceClient> {
  const device = await connect({
    ...options,
    methods: {
      read: async () => {
        await device.sendTelemetry({ temperature: 21.5 }, { properties: { room: "kitchen" } });
        return { status: 202 };
      },
    },
  });
  void (async () => {
    for await (const { desired } of device.desiredProperties()) {
      await device.reportProperties({ intervalS: desired["intervalS"] ?? 60 });
    }
  })();
  return device;
}

await test("it sends a reading when it is asked to", async () => {
  const hub = fakeHub();
  await using _device = await runThermostat(hub.connectOptions("thermostat-1"));
  await hub.clock.advance(0); // what needs no time: its subscriptions are there now

  const answer = await hub.invokeMethod("read");

  assert.equal(answer.status, 202);
  assert.deepEqual(hub.telemetry[0]?.json(), { temperature: 21.5 });
  assert.equal(hub.telemetry[0]?.properties["room"], "kitchen");
});

await test("it does what the desired properties say, and tells so", async () => {
  const hub = fakeHub();
  await using _device = await runThermostat(hub.connectOptions("thermostat-1"));
  hub.setDesired({ intervalS: 5 });
  await hub.clock.until(() => hub.reported["intervalS"] === 5);
});

await test("an hour without network loses no reading", async () => {
  const hub = fakeHub();
  await using device = await runThermostat(hub.connectOptions("thermostat-1"));
  const online = hub.goOffline();
  const reading = device.sendTelemetry({ temperature: 19 }, { timeoutMs: 2 * 3_600_000 });
  await hub.clock.advance(3_600_000); // takes milliseconds
  assert.notEqual(device.status().state, "connected");

  online();
  await hub.clock.until(() => hub.telemetry.length === 1);
  await reading;
  assert.equal(device.stats().reconnects, 1);
});

await test("an acknowledgement that was lost is a message twice, and it says so", async () => {
  const hub = fakeHub();
  await using device = await runThermostat(hub.connectOptions("thermostat-1"));
  const acknowledge = hub.dropAcks();
  const reading = device.sendTelemetry({ temperature: 19 }, { messageId: "reading-1" });
  await hub.clock.until(() => hub.telemetry.length === 1);
  acknowledge();
  hub.cut();
  await hub.clock.until(() => hub.telemetry.length === 2);
  await reading;
  assert.deepEqual(
    hub.telemetry.map(({ messageId, duplicate }) => [messageId, duplicate]),
    [
      ["reading-1", false],
      ["reading-1", true],
    ],
  );
});
