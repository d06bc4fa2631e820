import { afterAll, beforeAll, expect, test } from "vitest";
import { catalog, telemetryBytesMax, type ErrorCode } from "@hubwire/protocol";
import type { Packet } from "mqtt-packet";
import vectors from "../../vectors/mqtt-violations.json" with { type: "json" };
import { connectPacket, eventsTopic, publish, subscribe } from "../support/packets.ts";
import { hostileWorld, type HostileWorld } from "./world.ts";

let world: HostileWorld;
let hostile: Awaited<ReturnType<HostileWorld["keyed"]>>;
beforeAll(async () => {
  world = await hostileWorld({ limits: { mqtt: { pipelinedBytesMax: 8_192 } } });
  hostile = await world.keyed("hostile");
});
afterAll(() => world.end());

const fromHex = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
const events = eventsTopic("hostile");
const behind = publish(events, "behind it", 7);

type Violation = (typeof vectors.cases)[number] & { answer?: string };
const serverCases = (vectors.cases as Violation[]).filter(({ role }) => role === "server");

test.each(serverCases.filter(({ phase }) => phase === "start"))(
  "before CONNECT, $name: one line with $code, and the end",
  async ({ hex, code, answer }) => {
    const client = await world.open();
    client.send(fromHex(hex), behind);
    const answered = answer === undefined ? [] : [{ cmd: "connack", returnCode: 1 }];
    expect(await client.rest()).toMatchObject(answered);
    expect(await client.closed()).toBe("end");
    expect(world.logger.about(client.address)).toMatchObject([
      { level: "warn", event: "connect_refused", code, remedy: catalog[code as ErrorCode].remedy },
    ]);
    await world.witness.beat(1);
  },
);

const hubCases: [name: string, packet: Packet | Uint8Array, code: ErrorCode][] = [
  ["telemetry of another device", publish(eventsTopic("witness"), "x", 1), "topic.foreign_publish"],
  ["a topic of no meaning", publish("sensors/1", "x", 1), "topic.foreign_publish"],
  [
    "a C2D message to itself",
    publish("devices/hostile/messages/devicebound/", "x"),
    "topic.foreign_publish",
  ],
  [
    "a desired property change",
    publish("$iothub/twin/PATCH/properties/desired/?$version=9", "{}"),
    "topic.foreign_publish",
  ],
  [
    "another device's C2D messages",
    subscribe(1, ["devices/witness/messages/devicebound/#", 1]),
    "topic.foreign_filter",
  ],
  ["everything", subscribe(1, ["#", 0]), "topic.foreign_filter"],
  [
    "everybody's telemetry",
    subscribe(1, ["devices/+/messages/events/#", 0]),
    "topic.foreign_filter",
  ],
  ["a bag that is not UTF-8", publish(`${events}a=%ff`, "x", 1), "topic.bad_property_bag"],
  ["a bag with half an escape", publish(`${events}a=%4`, "x", 1), "topic.bad_property_bag"],
  ["a bag with a value and no name", publish(`${events}=1`, "x", 1), "topic.bad_property_bag"],
  ["QoS 2", publish(events, "x", 1, { qos: 2 }), "mqtt.qos2"],
  ["packet identifier 0", Uint8Array.of(0x32, 5, 0, 1, 0x61, 0, 0), "mqtt.packet_id_zero"],
  [
    "a message of 256 KB and a byte",
    publish(events, Buffer.alloc(telemetryBytesMax + 1), 1),
    "message.too_large",
  ],
];
const openCases: { name: string; bytes: Packet | Uint8Array; code: ErrorCode }[] = [
  ...serverCases
    .filter(({ phase }) => phase === "open")
    .map(({ name, hex, code }) => ({ name, bytes: fromHex(hex), code: code as ErrorCode })),
  ...hubCases.map(([name, bytes, code]) => ({ name, bytes, code })),
];

test.each(openCases)(
  "from a connected device, $name: the end, with $code",
  async ({ bytes, code }) => {
    const client = await world.online(hostile);
    client.send(bytes, behind);
    expect(await client.rest()).toEqual([]);
    expect(await client.closed()).toBe("end");
    expect(world.logger.about(client.address)).toMatchObject([
      { event: "connected" },
      { event: "disconnected", code, clientId: "hostile" },
    ]);
    await world.witness.beat(1);
  },
);

test("what all of these had sent behind the bad packet was never stored", async () => {
  expect(await world.bodiesOf("hostile")).toEqual([]);
});

test("what came in order before the bad packet is stored", async () => {
  const client = await world.online(await world.keyed("half-good"));
  client.send(publish(eventsTopic("half-good"), "good", 1), Uint8Array.of(0xf0, 0));
  await client.closed();
  expect(await world.bodiesOf("half-good")).toEqual(["good"]);
});

test("PUBLISH behind DISCONNECT is not taken", async () => {
  const client = await world.online(hostile);
  client.send({ cmd: "disconnect" }, behind);
  expect(await client.rest()).toEqual([]);
  expect(await world.lastLineAbout(client, "disconnected")).toMatchObject({
    code: "mqtt.disconnected",
  });
  expect(await world.bodiesOf("hostile")).toEqual([]);
});

test("PUBACKs for messages nobody sent are ignored", async () => {
  const client = await world.online(hostile);
  for (const id of [1, 7, 65_535]) client.send(Uint8Array.of(0x40, 2, id >> 8, id & 255));
  client.send({ cmd: "pingreq" });
  expect(await client.next()).toMatchObject({ cmd: "pingresp" });
  await client.disconnect();
});

// Where a packet is cut off and the connection with it: inside the length, the topic, the payload.
test.each([1, 2, 3, 20, 40])("half a PUBLISH, cut after %d bytes, is nothing", async (bytes) => {
  const { generate } = (await import("mqtt-packet")).default;
  const client = await world.online(hostile);
  client.send(generate(publish(events, "never whole", 1)).subarray(0, bytes));
  client.socket.end();
  await client.closed();
  expect(await world.lastLineAbout(client, "disconnected")).toMatchObject({
    code: "mqtt.connection_lost",
  });
  expect(await world.bodiesOf("hostile")).toEqual([]);
});

test.each(["ends", "is cut"])("half a CONNECT that %s is one debug line", async (how) => {
  const { generate } = (await import("mqtt-packet")).default;
  const client = await world.open();
  client.send(generate(connectPacket(await world.connectFields(hostile))).subarray(0, 30));
  await world.arrived();
  if (how === "ends") client.socket.end();
  else client.cut();
  await client.closed();
  const line = await world.lastLineAbout(client, "connection_abandoned");
  expect(world.logger.about(client.address)).toEqual([line]);
  expect(line.level).toBe("debug");
});

test.each([
  ["behind CONNACK", true],
  ["as the first packet", false],
])(
  "a packet that announces 256 MB, %s, is refused at its length, and sending on is no use",
  async (_, online) => {
    const client = online ? await world.online(hostile) : await world.open();
    const header = online ? 0x32 : 0x10;
    client.send(Uint8Array.of(header, 0xff, 0xff, 0xff, 0x7f));
    // A hundred megabytes more, as fast as they are taken.
    const chunk = new Uint8Array(1 << 20);
    let sent = 0;
    const pump = (): void => {
      while (sent < 100 && !client.socket.destroyed && client.socket.write(chunk)) sent += 1;
    };
    client.socket.on("drain", pump);
    pump();
    await client.closed();
    expect(client.bytesSent).toBeLessThan(20e6);
    expect(client.bytesSent).toBeGreaterThan(chunk.length);
    const event = online ? "disconnected" : "connect_refused";
    expect(await world.lastLineAbout(client, event)).toMatchObject({
      code: "mqtt.packet_too_large",
    });
    await world.witness.beat(1);
  },
);

test("more bytes behind CONNECT than the bound, before it is answered, end the connection", async () => {
  const client = await world.open();
  const fields = await world.connectFields(hostile);
  client.send(connectPacket(fields), publish(events, Buffer.alloc(8_192), 1), behind);
  expect(await client.rest()).toEqual([]);
  expect(await world.lastLineAbout(client, "connect_refused")).toMatchObject({
    code: "mqtt.pipeline_overflow",
  });
  expect(await world.bodiesOf("hostile")).toEqual([]);
});
