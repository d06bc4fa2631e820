import { connect } from "@hubwire/device";
import { VirtualClock } from "@hubwire/transport";
import { afterEach, expect, test } from "vitest";
import { watchConnectionState } from "../../src/domain/events/index.ts";
import type { LiveConnection, TelemetryEvent } from "../../src/domain/services.ts";
import { startHub } from "../../src/index.ts";
import type { Hub } from "../../src/index.ts";

let hub: Hub | undefined;
afterEach(() => hub?.stop());

async function eventsOf(running: Hub): Promise<TelemetryEvent[]> {
  // A commit of the log in memory is the end of a turn.
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  const limits = { recordsMax: 1_000, bytesMax: 1_000_000 };
  const all = [];
  for (let index = 0; index < running.telemetry.partitionCount; index++) {
    all.push(...(await running.telemetry.read(index, "first", limits)));
  }
  return all;
}
const json = ({ body }: TelemetryEvent): unknown => JSON.parse(new TextDecoder().decode(body));

test("by default only telemetry is in the log", async () => {
  hub = await startHub({ logLevel: "error" });
  await hub.createDevice({ deviceId: "d" });
  await hub.twins.patch({ deviceId: "d", moduleId: undefined }, { tags: { a: 1 } }, "*");
  expect(await eventsOf(hub)).toEqual([]);
});

test("identities that come and go are told with their twin", async () => {
  hub = await startHub({ logLevel: "error", events: { deviceLifecycle: true } });
  await hub.createDevice({ deviceId: "d" });
  await hub.createDevice({ deviceId: "d", moduleId: "m" });
  await hub.identities.delete({ deviceId: "d", moduleId: undefined }, "*");
  const events = await eventsOf(hub);
  expect(events.map(({ properties }) => properties.application["opType"])).toEqual([
    "createDeviceIdentity",
    "createModuleIdentity",
    "deleteDeviceIdentity",
  ]);
  expect(events[1]).toMatchObject({
    deviceId: "d",
    moduleId: "m",
    messageSource: "deviceLifecycleEvents",
    properties: {
      system: { contentType: "application/json", contentEncoding: "utf-8", userId: "localhost" },
      application: {
        hubName: "localhost",
        deviceId: "d",
        moduleId: "m",
        "iothub-message-schema": "deviceLifecycleNotification",
        operationTimestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/),
      },
    },
  });
  expect(json(events[0]!)).toMatchObject({ deviceId: "d", version: expect.any(Number), tags: {} });
});

test("a twin change tells the changed sections with their metadata, and of an update only what changed", async () => {
  hub = await startHub({ logLevel: "error", events: { twinChange: true } });
  const { connectionString } = await hub.createDevice({ deviceId: "d" });
  const ref = { deviceId: "d", moduleId: undefined };
  await hub.twins.patch(
    ref,
    { tags: { a: 1 }, properties: { desired: { x: 1, y: { z: 2 } } } },
    "*",
  );
  await hub.twins.patch(ref, { properties: { desired: { y: { z: 3 }, x: null } } }, "*");
  await hub.twins.replace(ref, { tags: { b: 2 }, properties: { desired: { q: 1 } } }, "*");
  const device = await connect({ connectionString, ca: hub.caPem } as never);
  await device.reportProperties({ state: "on" });
  await device.close();
  const events = await eventsOf(hub);
  expect(events.map(({ messageSource }) => messageSource)).toEqual(
    Array.from({ length: 4 }, () => "twinChangeEvents"),
  );
  const bodies = events.map(json);
  expect(bodies[0]).toMatchObject({
    tags: { a: 1 },
    properties: { desired: { x: 1, y: { z: 2 } } },
  });
  expect(bodies[1]).toEqual({
    version: expect.any(Number),
    properties: {
      desired: {
        x: null,
        y: { z: 3 },
        $metadata: expect.objectContaining({ y: expect.anything() }),
        $version: 3,
      },
    },
  });
  expect(events[2]?.properties.application["opType"]).toBe("replaceTwin");
  expect(bodies[2]).toMatchObject({
    tags: { b: 2 },
    properties: { desired: { q: 1, $version: 4 } },
  });
  expect(bodies[3]).toMatchObject({ properties: { reported: { state: "on" } } });
});

test("connection states are a snapshot a minute: quick changes collapse, a return has a new number", async () => {
  const clock = new VirtualClock();
  const told: [string, boolean, string][] = [];
  const live = new Map<string, LiveConnection>();
  const listeners: {
    subscribed?: (c: LiveConnection) => void;
    closed?: (c: LiveConnection) => void;
  } = {};
  const watch = watchConnectionState({
    connections: {
      onSubscribed(listener) {
        listeners.subscribed = listener as never;
        return () => {};
      },
      onClosed(listener) {
        listeners.closed = listener;
        return () => {};
      },
      find: ({ deviceId }) => live.get(deviceId),
      connectedKeys: () => live.keys(),
    },
    events: {
      connectionState: ({ deviceId }, _, isConnected, number) =>
        told.push([deviceId, isConnected, number]),
    },
    clock,
  });
  const connection = (deviceId: string) =>
    ({ ref: { deviceId, moduleId: undefined }, generationId: "1" }) as LiveConnection;
  const come = (deviceId: string): void => {
    live.set(deviceId, connection(deviceId));
    listeners.subscribed?.(connection(deviceId));
  };
  const go = (deviceId: string): void => {
    live.delete(deviceId);
    listeners.closed?.(connection(deviceId));
  };
  come("a");
  come("flap");
  go("flap");
  live.set("silent", connection("silent"));
  await clock.advance(59_999);
  expect(told).toEqual([]);
  await clock.advance(1);
  expect(told.map(([id, state]) => [id, state])).toEqual([
    ["a", true],
    ["silent", true],
  ]);
  go("a");
  come("a");
  await clock.advance(60_000);
  expect(told.slice(2).map(([id, state]) => [id, state])).toEqual([["a", true]]);
  go("a");
  await clock.advance(60_000);
  expect(told.slice(3).map(([id, state]) => [id, state])).toEqual([["a", false]]);
  const numbers = told.map(([, , number]) => number);
  expect(numbers).toEqual(numbers.toSorted());
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(numbers.every((number) => /^[0-9A-F]{64}$/.test(number))).toBe(true);
  watch.stop();
  await clock.advance(120_000);
  expect(told).toHaveLength(4);
});
