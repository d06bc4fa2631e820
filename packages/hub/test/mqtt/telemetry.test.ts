import { IotError, telemetryBytesMax } from "@hubwire/protocol";
import type { Packet } from "mqtt-packet";
import { expect, test } from "vitest";
import { encodeRecordHead } from "../../src/domain/telemetry/record.ts";
import { publish, telemetryTopic, worldWithDevice } from "./world.ts";

test("a message is acknowledged, stored and read back with its properties", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  const topic = `${telemetryTopic}%24.mid=m1&%24.ct=application%2Fjson&level=high`;
  await device.send(publish('{"t":21}', { id: 7, topic }));
  device.expect({ cmd: "puback", messageId: 7 });
  const [event] = await world.events();
  expect(event).toMatchObject({
    sequenceNumber: 0,
    deviceId: "dev1",
    moduleId: undefined,
    authMethod: '{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}',
    messageSource: "Telemetry",
    modelId: undefined,
    properties: {
      system: { messageId: "m1", contentType: "application/json" },
      application: { level: "high" },
    },
  });
  expect(Buffer.from(event!.body).toString()).toBe('{"t":21}');
  expect(world.metrics).toMatchObject({ messagesIn: 1, bytesIn: 8, acknowledged: 1 });
});

test("a module's messages carry its id and model", async () => {
  const world = await worldWithDevice();
  await world.createDevice("dev1", { moduleId: "mod1" });
  const module = await world.online({
    moduleId: "mod1",
    username: "hub.example.net/dev1/mod1/?api-version=2021-04-12&model-id=dtmi:com:example:T;1",
  });
  const topic = "devices/dev1/modules/mod1/messages/events/%24.on=out/";
  await module.send(publish("x", { id: 1, topic }));
  module.expect({ cmd: "puback", messageId: 1 });
  expect(await world.events()).toMatchObject([
    {
      deviceId: "dev1",
      moduleId: "mod1",
      modelId: "dtmi:com:example:T;1",
      authMethod: '{"scope":"module","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}',
      properties: { system: { outputName: "out" } },
    },
  ]);
});

test("no PUBACK leaves before the commit", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  world.control.hold = true;
  await device.send(publish("a", { id: 1 }), publish("b", { id: 2 }));
  device.expectNothing();
  await world.release();
  device.expect({ cmd: "puback", messageId: 1 });
  device.expect({ cmd: "puback", messageId: 2 });
  expect(await world.bodies()).toEqual(["a", "b"]);
});

test("one commit is answered with one write per connection", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  const before = device.chunks.length;
  await device.send(...Array.from({ length: 50 }, (_, i) => publish(`${i}`, { id: i + 1 })));
  expect(device.received).toHaveLength(50);
  expect(device.chunks.length - before).toBe(1);
});

test("QoS 0 is stored and not answered", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(publish("a", { qos: 0 }));
  device.expectNothing();
  expect(await world.bodies()).toEqual(["a"]);
});

test("a resent message becomes a second one", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(publish("a", { id: 9 }), publish("a", { id: 9, dup: true }));
  device.expect({ cmd: "puback", messageId: 9 });
  device.expect({ cmd: "puback", messageId: 9 });
  expect(await world.bodies()).toEqual(["a", "a"]);
});

test("RETAIN comes back as the property mqtt-retain, for that message only", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(
    publish("a", { id: 1 }),
    publish("b", { id: 2, retain: true }),
    publish("c", { id: 3 }),
  );
  const events = await world.events();
  expect(events.map(({ properties }) => properties.application["mqtt-retain"])).toEqual([
    undefined,
    "true",
    undefined,
  ]);
});

// Source: reference clients: with and without the last slash, C#'s slash behind the bag, Java's raw `$.`.
test.each([
  ["devices/dev1/messages/events", {}, {}],
  ["devices/dev1/messages/events/", {}, {}],
  ["devices/dev1/messages/events/a=b/", {}, { a: "b" }],
  ["devices/dev1/messages/events/?a=b", {}, { a: "b" }],
  ["devices/dev1/messages/events/$.mid=1&a", { messageId: "1" }, { a: "" }],
])("topic %s is telemetry", async (topic, system, application) => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(publish("x", { topic }));
  device.expect({ cmd: "puback" });
  const [event] = await world.events();
  expect(event?.properties.system).toEqual(system);
  expect({ ...event?.properties.application }).toEqual(application);
});

type Bad = [name: string, packet: Packet | Uint8Array, code: string];
const bad: Bad[] = [
  [
    "another device's topic",
    publish("x", { topic: "devices/dev2/messages/events/" }),
    "topic.foreign_publish",
  ],
  ["an unknown topic", publish("x", { topic: "sensors/1" }), "topic.foreign_publish"],
  [
    "a module's topic",
    publish("x", { topic: "devices/dev1/modules/m/messages/events/" }),
    "topic.foreign_publish",
  ],
  [
    "a certificate request",
    publish("x", { topic: "$iothub/credentials/POST/issueCertificate/?$rid=1" }),
    "topic.foreign_publish",
  ],
  [
    "a bag that is not UTF-8",
    publish("x", { topic: `${telemetryTopic}a=%ff` }),
    "topic.bad_property_bag",
  ],
  [
    "a bag with a broken escape",
    publish("x", { topic: `${telemetryTopic}a=%4` }),
    "topic.bad_property_bag",
  ],
  [
    "a bag without a name",
    publish("x", { topic: `${telemetryTopic}=1` }),
    "topic.bad_property_bag",
  ],
  [
    "a wildcard in the topic",
    Uint8Array.of(0x30, 5, 0, 3, 0x61, 0x2f, 0x23),
    "mqtt.topic_wildcard",
  ],
  [
    "QoS 2",
    {
      cmd: "publish",
      topic: telemetryTopic,
      payload: "x",
      qos: 2,
      messageId: 1,
      retain: false,
      dup: false,
    },
    "mqtt.qos2",
  ],
  ["packet id 0", Uint8Array.of(0x32, 5, 0, 1, 0x61, 0, 0), "mqtt.packet_id_zero"],
];
test.each(bad)("%s closes the connection and stores nothing", async (_, packet, code) => {
  const world = await worldWithDevice();
  await world.createDevice("dev2");
  const other = await world.online({ deviceId: "dev2" });
  const device = await world.online();
  await device.send(packet, publish("behind", { id: 2 }));
  device.expectNothing();
  device.expectClosed();
  expect(world.lastEnd()).toBe(code);
  expect(await world.bodies()).toEqual([]);
  await other.send(publish("fine", { id: 1, topic: "devices/dev2/messages/events/" }));
  other.expect({ cmd: "puback", messageId: 1 });
});

test("what came before the bad packet is stored and acknowledged", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(publish("good", { id: 1 }), publish("x", { id: 2, topic: "sensors/1" }));
  device.expectClosed();
  expect(await world.bodies()).toEqual(["good"]);
});

test("lenient: a foreign topic is acknowledged, ignored and told once", async () => {
  const world = await worldWithDevice({ listener: { strictness: "lenient" } });
  const device = await world.online();
  const foreign = (id: number): Packet => publish("x", { id, topic: "sensors/1" });
  await device.send(foreign(1), foreign(2), publish("y", { id: 3 }));
  device.expect({ cmd: "puback", messageId: 1 });
  device.expect({ cmd: "puback", messageId: 2 });
  device.expect({ cmd: "puback", messageId: 3 });
  expect(await world.bodies()).toEqual(["y"]);
  expect(world.lines.filter(({ event }) => event === "publish_ignored")).toHaveLength(1);
  expect(world.metrics.publishesIgnored).toBe(2);
});

test("lenient: a bad bag closes all the same", async () => {
  const world = await worldWithDevice({ listener: { strictness: "lenient" } });
  const device = await world.online();
  await device.send(publish("x", { topic: `${telemetryTopic}a=%ff` }));
  device.expectClosed();
});

// Source: Azure IoT Hub docs, quotas: 256 KB of body, system property values, application property names and values.
test.each([
  ["", telemetryBytesMax, true],
  ["", telemetryBytesMax + 1, false],
  ["ab=cd", telemetryBytesMax - 4, true],
  ["ab=cd", telemetryBytesMax - 3, false],
  ["%24.mid=12345", telemetryBytesMax - 5, true],
  ["%24.mid=12345", telemetryBytesMax - 4, false],
])("bag %s with a body of %d bytes is taken: %s", async (bag, bytes, isTaken) => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(publish("x".repeat(bytes), { topic: telemetryTopic + bag }));
  if (isTaken) device.expect({ cmd: "puback" });
  else {
    device.expectClosed();
    expect(world.lastEnd()).toBe("message.too_large");
  }
});

test("a packet larger than any message is refused at its length, not buffered", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  // PUBLISH with a remaining length of 268,435,455 and nothing behind it.
  await device.send(Uint8Array.of(0x32, 0xff, 0xff, 0xff, 0x7f));
  device.expectClosed();
  expect(world.lastEnd()).toBe("mqtt.packet_too_large");
});

test("a topic that repeats is parsed once, and topics that take turns keep their bags", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  const ids = Array.from({ length: 60 }, (_, i) => i + 1);
  await device.send(
    ...ids.map((id) => publish(String(id), { id, topic: `${telemetryTopic}n=${id % 20}` })),
  );
  const events = await world.events();
  expect(events.map(({ properties }) => Number(properties.application["n"]))).toEqual(
    ids.map((id) => id % 20),
  );
});

test("a failed commit closes the connection without PUBACK, and the device sends again", async () => {
  const world = await worldWithDevice();
  await world.createDevice("dev2");
  const device = await world.online();
  const idle = await world.online({ deviceId: "dev2" });
  world.control.fault = ({ store, name }) =>
    store === "telemetry" && name === "commit" ? "reject" : undefined;
  await device.send(publish("lost", { id: 1 }));
  device.expectNothing();
  device.expectClosed();
  idle.expectOpen();
  expect(world.lastEnd()).toBe("store.unavailable");
  expect(world.metrics.recordsLost).toBe(1);
  world.control.fault = () => undefined;
  await world.clock.advance(10_000);
  const again = await world.online();
  await again.send(publish("lost", { id: 1, dup: true }));
  again.expect({ cmd: "puback", messageId: 1 });
  expect(await world.bodies()).toEqual(["lost"]);
});

test("QoS 0 that could not be stored closes the connection instead of vanishing", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  world.control.fault = ({ store }) => (store === "telemetry" ? "reject" : undefined);
  await device.send(publish("lost", { qos: 0 }));
  device.expectClosed();
  expect(world.lastEnd()).toBe("store.unavailable");
  world.control.fault = () => undefined;
});

test("a store that is not ready closes whoever sends, until it has healed", async () => {
  const world = await worldWithDevice();
  await world.createDevice("dev2");
  const first = await world.online();
  const second = await world.online({ deviceId: "dev2" });
  world.control.fault = ({ name }) => (name === "commit" ? "reject" : undefined);
  await first.send(publish("a"));
  await second.send(publish("b", { topic: "devices/dev2/messages/events/" }));
  first.expectClosed();
  second.expectNothing();
  second.expectClosed();
  expect(world.metrics.disconnects.get("store.unavailable")).toBe(2);
  world.control.fault = () => undefined;
  await world.clock.advance(10_000);
  const again = await world.online();
  await again.send(publish("a"));
  again.expect({ cmd: "puback" });
});

test("an authentication method the log does not know is refused, not written", () => {
  const head = { deviceId: "d", moduleId: undefined, generationId: "1", authMethod: "{}" };
  const rest = {
    modelId: undefined,
    bag: "",
    retain: false,
    will: false,
    messageSource: "Telemetry" as const,
  };
  expect(() => encodeRecordHead({ ...head, ...rest })).toThrow(IotError);
});
