import type { Packet } from "mqtt-packet";
import { expect, test } from "vitest";
import { publish, telemetryTopic, worldWithDevice } from "./world.ts";
import type { World } from "./world.ts";
import type { RawClient } from "./raw-client.ts";

const will = { topic: `${telemetryTopic}reason=gone`, payload: "goodbye", qos: 1 as const };

const isWill = [
  {
    deviceId: "dev1",
    properties: { application: { reason: "gone", "iothub-MessageType": "Will" } },
    body: new Uint8Array(Buffer.from("goodbye")),
  },
];

type Ending = [how: string, end: (device: RawClient, world: World) => Promise<void>];
const endings: Ending[] = [
  ["the network goes away", (device) => device.cut()],
  ["the keep-alive runs out", (_, world) => world.clock.advance(90_000)],
  ["the client breaks the protocol", (device) => device.send(Uint8Array.of(0xf0, 0))],
  ["another connection takes over", async (_, world) => void (await world.online())],
  [
    "the device is disabled",
    async (_, world) => {
      const ref = { deviceId: "dev1", moduleId: undefined };
      const identity = await world.during(world.identities.find(ref));
      await world.updateDevice(identity!, { status: "disabled" });
    },
  ],
  ["the hub stops", (_, world) => world.during(world.listener.stop())],
];
test.each(endings)("the will is published when %s", async (_, end) => {
  const world = await worldWithDevice();
  const device = await world.online({ will });
  await end(device, world);
  await world.settle();
  device.expectClosed();
  expect(await world.events()).toMatchObject(isWill);
  expect(world.metrics.willsPublished).toBe(1);
});

test("the will is dropped after DISCONNECT, also when messages before it are still held", async () => {
  const world = await worldWithDevice({ telemetryLimits: { connectionBytesOpenMax: 100 } });
  const device = await world.online({ will });
  world.control.hold = true;
  const many = Array.from({ length: 5 }, (_, i): Packet => publish(`${i}`, { qos: 0 }));
  device.write(...many, { cmd: "disconnect" });
  await world.settle();
  await world.release();
  device.expectClosed();
  expect(await world.bodies()).toEqual(["0", "1", "2", "3", "4"]);
});

test("the will is dropped after DISCONNECT that was still held when another connection took over", async () => {
  const world = await worldWithDevice({ telemetryLimits: { connectionBytesOpenMax: 60 } });
  const device = await world.online({ will });
  const connect = await world.connectPacket({});
  const newer = world.open();
  world.control.hold = true;
  await device.send(publish("0", { qos: 0 }), publish("1", { qos: 0 }), { cmd: "disconnect" });
  await newer.send(connect);
  await world.release({ keep: 1 });
  newer.expect({ cmd: "connack", returnCode: 0 });
  await world.release();
  expect(await world.bodies()).toEqual(["0"]);
});

test("a retained will has both marks", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ will: { ...will, retain: true } });
  await device.cut();
  const [event] = await world.events();
  expect({ ...event?.properties.application }).toEqual({
    reason: "gone",
    "mqtt-retain": "true",
    "iothub-MessageType": "Will",
  });
});

test("a refused CONNECT publishes no will", async () => {
  const world = await worldWithDevice();
  const device = await world.connect({ will, password: "nonsense" });
  device.expect({ cmd: "connack", returnCode: 5 });
  expect(await world.events()).toEqual([]);
});

test("a CONNECT that was taken over while it waited publishes no will", async () => {
  const world = await worldWithDevice();
  const connectWithWill = await world.connectPacket({ will });
  const connect = await world.connectPacket({});
  const first = world.open();
  const second = world.open();
  first.write(connectWithWill);
  second.write(connect);
  await world.settle();
  first.expectClosed();
  first.expectNothing();
  second.expect({ cmd: "connack", returnCode: 0 });
  expect(await world.events()).toEqual([]);
});

test.each([
  ["QoS 2", { ...will, qos: 2 as const }, "mqtt.qos2"],
  [
    "another device's topic",
    { ...will, topic: "devices/dev2/messages/events/" },
    "topic.foreign_publish",
  ],
  ["a twin topic", { ...will, topic: "$iothub/twin/GET/?$rid=1" }, "topic.foreign_publish"],
  ["a bad bag", { ...will, topic: `${telemetryTopic}a=%ff` }, "topic.bad_property_bag"],
])("a will with %s ends the connection", async (_, badWill, code) => {
  const world = await worldWithDevice();
  const device = await world.connect({ will: badWill });
  device.expectNothing();
  device.expectClosed();
  expect(world.refusals()).toMatchObject([{ code }]);
  expect(world.connections.count).toBe(0);
});

test("a will the store cannot take is told in the log", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ will });
  world.control.fault = ({ store, name }) =>
    store === "telemetry" && name !== "read" ? "reject" : undefined;
  await device.send(publish("x"));
  expect(world.lines).toContainEqual(
    expect.objectContaining({ event: "will_lost", level: "error" }),
  );
  world.control.fault = () => undefined;
  await world.settle();
});
