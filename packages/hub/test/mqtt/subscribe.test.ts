import { expect, test } from "vitest";
import { publish, subscribe, worldWithDevice } from "./world.ts";

// Source: reference clients and Azure IoT Hub docs, MQTT topics; `+` for the device id is embedded C's.
test.each([
  ["devices/dev1/messages/devicebound/#", "c2d"],
  ["devices/+/messages/devicebound/#", "c2d"],
  ["$iothub/methods/POST/#", "methods"],
  ["$iothub/twin/res/#", "twinResponses"],
  ["$iothub/twin/PATCH/properties/desired/#", "desired"],
] as const)("filter %s is granted and means %s", async (filter, kind) => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(3, [filter, 1]));
  device.expect({ cmd: "suback", messageId: 3, granted: [1] });
  expect(
    world.connections.find({ deviceId: "dev1", moduleId: undefined })?.isSubscribed(kind),
  ).toBe(true);
});

test.each(["inputs/#", "#", "messages/devicebound/#"])(
  "a module may subscribe to its own %s",
  async (rest) => {
    const world = await worldWithDevice();
    await world.createDevice("dev1", { moduleId: "m" });
    const module = await world.online({ moduleId: "m" });
    await module.send(subscribe(1, [`devices/dev1/modules/m/${rest}`, 0]));
    module.expect({ cmd: "suback", granted: [0] });
  },
);

test("QoS 2 is granted as 1, and the others as asked", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(
    subscribe(
      1,
      ["$iothub/methods/POST/#", 2],
      ["$iothub/twin/res/#", 0],
      ["devices/dev1/messages/devicebound/#", 1],
    ),
  );
  device.expect({ cmd: "suback", granted: [1, 0, 1] });
});

const foreign = [
  "devices/dev2/messages/devicebound/#",
  "devices/dev1/messages/events/#",
  "devices/dev1/#",
  "#",
  "+/+/messages/devicebound/#",
  "$iothub/twin/#",
  "devices/dev1/messages/devicebound/+",
  "a/b",
];
test.each(foreign)("strict: filter %s closes the connection", async (filter) => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ["$iothub/twin/res/#", 0], [filter, 1]));
  device.expectNothing();
  device.expectClosed();
  expect(world.lastEnd()).toBe("topic.foreign_filter");
});

test.each(foreign)(
  "lenient: filter %s is refused with 0x80, the others are granted",
  async (filter) => {
    const world = await worldWithDevice({ listener: { strictness: "lenient" } });
    const device = await world.online();
    await device.send(subscribe(1, [filter, 1], ["$iothub/twin/res/#", 0]));
    device.expect({ cmd: "suback", granted: [0x80, 0] });
    device.expectOpen();
  },
);

const six = [
  "devices/dev1/messages/devicebound/#",
  "devices/+/messages/devicebound/#",
  "$iothub/methods/POST/#",
  "$iothub/twin/res/#",
  "$iothub/twin/PATCH/properties/desired/#",
  "$iothub/credentials/res/#",
];
test("strict: the sixth filter closes the connection, and repeating the first five does not", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(...six.slice(0, 5).map((filter, i) => subscribe(i + 1, [filter, 0])));
  await device.send(...six.slice(0, 5).map((filter, i) => subscribe(i + 11, [filter, 0])));
  expect(device.received).toHaveLength(10);
  device.expectOpen();
  await device.send(subscribe(21, [six[5]!, 0]));
  device.expectClosed();
  expect(world.lastEnd()).toBe("topic.too_many_filters");
});

test("a filter given up makes room for another", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ...six.slice(0, 5).map((filter): [string, 0] => [filter, 0])));
  await device.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: [six[0]!] });
  await device.send(subscribe(3, [six[5]!, 0]));
  expect(device.received.map(({ cmd }) => cmd)).toEqual(["suback", "unsuback", "suback"]);
});

test("lenient: filters are bounded all the same", async () => {
  const world = await worldWithDevice({ listener: { strictness: "lenient" } });
  const device = await world.online();
  await device.send(subscribe(1, ...six.map((filter): [string, 0] => [filter, 0])));
  device.expect({ cmd: "suback", granted: [0, 0, 0, 0, 0, 0] });
});

test.each([
  ["an empty SUBSCRIBE", Uint8Array.of(0x82, 2, 0, 1), "mqtt.subscribe_empty"],
  [
    "SUBSCRIBE with packet id 0",
    Uint8Array.of(0x82, 6, 0, 0, 0, 1, 0x61, 0),
    "mqtt.packet_id_zero",
  ],
  [
    "SUBSCRIBE with wrong flags",
    Uint8Array.of(0x80, 6, 0, 1, 0, 1, 0x61, 0),
    "mqtt.flags_reserved",
  ],
  ["an empty UNSUBSCRIBE", Uint8Array.of(0xa2, 2, 0, 1), "mqtt.unsubscribe_empty"],
  [
    "a second CONNECT",
    Uint8Array.of(0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, 0x61),
    "mqtt.connect_repeated",
  ],
  ["a server's packet", Uint8Array.of(0x20, 2, 0, 0), "mqtt.packet_wrong_direction"],
  ["a PUBREC", Uint8Array.of(0x50, 2, 0, 1), "mqtt.qos2"],
  ["a reserved packet type", Uint8Array.of(0xf0, 0), "mqtt.packet_type_reserved"],
])("%s closes the connection", async (_, bytes, code) => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(bytes);
  device.expectNothing();
  device.expectClosed();
  expect(world.lastEnd()).toBe(code);
});

test("one byte at a time is the same conversation", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  const { generate } = (await import("mqtt-packet")).default;
  const bytes = Buffer.concat([
    generate(subscribe(1, ["$iothub/twin/res/#", 0])),
    generate(publish("x", { id: 2 })),
  ]);
  for (const byte of bytes) await device.send(Uint8Array.of(byte));
  device.expect({ cmd: "suback", messageId: 1 });
  device.expect({ cmd: "puback", messageId: 2 });
});
