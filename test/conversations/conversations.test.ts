/**
 * Whole conversations with a running hub over real TLS, as raw bytes: send, expect, cut, reconnect, expect again. What each packet
 * means is tested packet by packet in the packages; here it is what sockets add: records, resets, half-closed connections, resumption.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startHub, type Hub } from "@hubwire/hub";
import { telemetryBytesMax } from "@hubwire/protocol";
import { testCertificates } from "@hubwire/testkit";
import mqttPacket from "mqtt-packet";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findTelemetry, readAllTelemetry } from "../support/find-telemetry.ts";
import { c2dFilter, connectPacket, eventsTopic, publish, subscribe } from "../support/packets.ts";
import type { ConnectFields } from "../support/packets.ts";
import { RecordingLogger } from "../support/recording-logger.ts";
import { deviceToken } from "../support/token.ts";
import type { WireOptions } from "../support/wire-client.ts";
import { Wire } from "./wire.ts";

const logger = new RecordingLogger();
let hub: Hub;
let certificates: Awaited<ReturnType<typeof testCertificates>>;
beforeAll(async () => {
  certificates = await testCertificates();
  hub = await startHub({ logger, deviceCas: [certificates.root.cert] });
});
afterAll(() => hub.stop());

const open = (options: Partial<WireOptions> = {}): Promise<Wire> =>
  Wire.open({ port: hub.mqttPort, ca: hub.caPem, ...options });

let devices = 0;
/** A new device, and the CONNECT it sends. */
async function device() {
  const deviceId = `d${++devices}`;
  const { identity } = await hub.createDevice({ deviceId });
  if (identity.authentication.type !== "sas") throw new Error("a device is made with keys");
  const password = await deviceToken("localhost", deviceId, identity.authentication.primaryKey);
  const username = `localhost/${deviceId}/?api-version=2021-04-12`;
  const hello = (fields: Partial<ConnectFields> = {}) =>
    connectPacket({ clientId: deviceId, username, password, ...fields });
  return { deviceId, events: eventsTopic(deviceId), devicebound: c2dFilter(deviceId), hello };
}

const accepted = "20 02 00 00";
const resumed = "20 02 01 00";
const disconnect = "e0 00";
const pubackOf = (id: number): Uint8Array => Uint8Array.of(0x40, 2, id >> 8, id & 255);
const bodiesOf = async (deviceId: string): Promise<string[]> =>
  (await readAllTelemetry(hub.telemetry))
    .filter((event) => event.deviceId === deviceId)
    .map(({ body }) => Buffer.from(body).toString("utf8"));
const stored = (body: string) =>
  findTelemetry(hub.telemetry, (event) => Buffer.from(event.body).toString("utf8") === body);

test("01 connect, telemetry, ping, disconnect: each answer byte for byte, and TLS is closed in order", async () => {
  const { deviceId, events, hello } = await device();
  const wire = await open();
  wire.say(hello());
  await wire.hear(accepted);
  wire.say(publish(events, "one", 0x1234));
  await wire.hear("40 02 12 34");
  wire.say("c0 00");
  await wire.hear("d0 00");
  wire.say(disconnect);
  await wire.hearEnd();
  expect(await bodiesOf(deviceId)).toEqual(["one"]);
});

test("02 everything in the first TLS record: the answers come in order behind CONNACK", async () => {
  const { deviceId, events, devicebound, hello } = await device();
  const wire = await open();
  wire.say(hello(), subscribe(1, [devicebound, 1]), publish(events, "early", 2));
  await wire.hear(`${accepted} 90 03 00 01 01 40 02 00 02`);
  expect(await bodiesOf(deviceId)).toEqual(["early"]);
  wire.cut();
});

test("03 a TLS record for each byte is the same conversation", async () => {
  const { events, hello } = await device();
  const wire = await open();
  for (const byte of mqttPacket.generate(hello())) wire.say(Uint8Array.of(byte));
  await wire.hear(accepted);
  for (const byte of mqttPacket.generate(publish(events, "in drops", 1))) {
    wire.say(Uint8Array.of(byte));
  }
  await wire.hear("40 02 00 01");
  wire.cut();
});

test("04 a C2D message that was not acknowledged before a reset comes again: same id, DUP; after its PUBACK never again", async () => {
  const { deviceId, devicebound, hello } = await device();
  const first = await open();
  first.say(hello({ clean: false }), subscribe(1, [devicebound, 1]));
  await first.hear(`${accepted} 90 03 00 01 01`);
  await hub.sendToDevice(deviceId, "wake up", { properties: { system: { messageId: "m1" } } });
  const sent = await first.hearPublish();
  expect(sent).toMatchObject({ header: 0x32, body: "wake up" });
  first.cut();

  const second = await open();
  second.say(hello({ clean: false }));
  await second.hear(resumed);
  expect(await second.hearPublish()).toEqual({ ...sent, header: 0x3a });
  second.say(pubackOf(sent.id!));
  await second.silence();
  expect(await hub.c2d.count(deviceId)).toBe(0);
  second.cut();

  const third = await open();
  third.say(hello({ clean: false }));
  await third.hear(resumed);
  await third.silence();
  third.cut();
});

test("05 messages sent while the device was away come in order behind CONNACK, before it subscribes again", async () => {
  const { deviceId, devicebound, hello } = await device();
  const first = await open();
  first.say(hello({ clean: false }), subscribe(1, [devicebound, 1]));
  await first.hear(`${accepted} 90 03 00 01 01`);
  first.say(disconnect);
  await first.hearEnd();
  for (const body of ["a", "b", "c"]) await hub.sendToDevice(deviceId, body);

  const second = await open();
  second.say(hello({ clean: false }));
  await second.hear(resumed);
  const got = [await second.hearPublish(), await second.hearPublish(), await second.hearPublish()];
  expect(got.map(({ header, body }) => [header, body])).toEqual([
    [0x32, "a"],
    [0x32, "b"],
    [0x32, "c"],
  ]);
  // In any order.
  for (const { id } of got.toReversed()) second.say(pubackOf(id!));
  await second.silence();
  expect(await hub.c2d.count(deviceId)).toBe(0);
  second.cut();
});

test("06 a newer connection takes over: the older one hears nothing but the end, and what it owed moves", async () => {
  const { deviceId, devicebound, hello } = await device();
  const older = await open();
  older.say(hello({ clean: false }), subscribe(1, [devicebound, 1]));
  await older.hear(`${accepted} 90 03 00 01 01`);
  await hub.sendToDevice(deviceId, "whose?");
  const sent = await older.hearPublish();

  const newer = await open();
  newer.say(hello({ clean: false }));
  await newer.hear(resumed);
  await older.hearEnd();
  expect(await newer.hearPublish()).toEqual({ ...sent, header: 0x3a });
  // The older one's word comes too late.
  newer.say(pubackOf(sent.id!));
  await newer.silence();
  expect(await hub.c2d.count(deviceId)).toBe(0);
  newer.cut();
});

test("07 a will is published after a reset and after a half-closed connection, not after DISCONNECT", async () => {
  const { deviceId, events, hello } = await device();
  const endings: [last: string, end: (wire: Wire) => void, left: boolean][] = [
    ["reset", (wire) => wire.cut(), true],
    ["half-closed", (wire) => wire.socket.end(), true],
    ["in order", (wire) => wire.say(disconnect), false],
  ];
  for (const [last, end] of endings) {
    const wire = await open();
    wire.say(hello({ will: { topic: events, payload: last, qos: 1 } }));
    await wire.hear(accepted);
    end(wire);
    if (last !== "reset") await wire.hearEnd();
    else await stored(last);
  }
  await stored("half-closed");
  expect(await bodiesOf(deviceId)).toEqual(
    endings.filter(([, , left]) => left).map(([last]) => last),
  );
});

test("08 who keeps silent longer than its keep-alive is closed and its will published; who pings is not", async () => {
  const [silent, pinging] = [await device(), await device()];
  const one = await open();
  const two = await open();
  one.say(silent.hello({ keepalive: 1, will: { topic: silent.events, payload: "fell silent" } }));
  two.say(pinging.hello({ keepalive: 1 }));
  await one.hear(accepted);
  await two.hear(accepted);
  let isOver = false;
  const ended = one.hearEnd().then(() => (isOver = true));
  while (!isOver) {
    // oxlint-disable-next-line no-await-in-loop -- for as long as the other one is silent
    await two.silence();
    // oxlint-disable-next-line no-await-in-loop -- well within the keep-alive
    await sleep(200);
  }
  await ended;
  await stored("fell silent");
  expect(logger.of("disconnected").at(-1)).toMatchObject({
    clientId: silent.deviceId,
    code: "mqtt.keep_alive_timeout",
  });
  await two.silence();
  two.cut();
});

test("09 twin: read, report, a change of desired properties, each on its topic", async () => {
  const { deviceId, hello } = await device();
  const wire = await open();
  const desired = "$iothub/twin/PATCH/properties/desired/#";
  wire.say(hello(), subscribe(1, ["$iothub/twin/res/#", 0], [desired, 0]));
  await wire.hear(`${accepted} 90 04 00 01 00 00`);
  wire.say(publish("$iothub/twin/GET/?$rid=1", ""));
  expect(await wire.hearPublish()).toEqual({
    header: 0x30,
    id: undefined,
    topic: "$iothub/twin/res/200/?$rid=1",
    body: '{"desired":{"$version":1},"reported":{"$version":1}}',
  });
  wire.say(publish("$iothub/twin/PATCH/properties/reported/?$rid=2", '{"t":21}', 9));
  const answers = [await wire.hearPublish()];
  await wire.hear("40 02 00 09");
  expect(answers[0]).toMatchObject({ topic: "$iothub/twin/res/204/?$rid=2&$version=2", body: "" });
  const ref = { deviceId, moduleId: undefined };
  await hub.twins.patch(ref, { properties: { desired: { t: 22 } } }, undefined);
  expect(await wire.hearPublish()).toMatchObject({
    topic: "$iothub/twin/PATCH/properties/desired/?$version=2",
    body: '{"t":22,"$version":2}',
  });
  wire.cut();
});

test("10 a method is answered by the connection that was asked; another device's answer is nothing", async () => {
  const [asked, other] = [await device(), await device()];
  const wire = await open();
  const stranger = await open();
  wire.say(asked.hello(), subscribe(1, ["$iothub/methods/POST/#", 0]));
  await wire.hear(`${accepted} 90 03 00 01 00`);
  stranger.say(other.hello());
  await stranger.hear(accepted);
  const call = hub.invokeMethod(asked.deviceId, "reboot", { delay: 5 });
  const request = await wire.hearPublish();
  expect(request).toMatchObject({ header: 0x30, body: '{"delay":5}' });
  const rid = /^\$iothub\/methods\/POST\/reboot\/\?\$rid=(.+)$/.exec(request.topic)?.[1];
  stranger.say(publish(`$iothub/methods/res/500/?$rid=${rid}`, '"no"'));
  await stranger.silence();
  wire.say(publish(`$iothub/methods/res/202/?$rid=${rid}`, '"yes"'));
  expect(await call).toEqual({ status: 202, payload: "yes" });
  wire.cut();
  stranger.cut();
});

test("11 a refusal reaches a client that goes on sending and reads late: its bytes are taken and dropped", async () => {
  const { events, hello } = await device();
  const wire = await open();
  wire.socket.pause();
  wire.say(hello({ password: "SharedAccessSignature sr=x&sig=x&se=1" }));
  wire.say(publish(events, Buffer.alloc(200_000), 1));
  while (logger.of("connect_refused").length === 0) await sleep(5);
  // A connection closed with unread input is reset, and a reset can destroy what was said before it.
  for (let i = 0; i < 20; i += 1) {
    // oxlint-disable-next-line no-await-in-loop -- for a while
    await wire.taken(mqttPacket.generate(publish(events, Buffer.alloc(10_000), 2)));
  }
  wire.socket.resume();
  await wire.hear("20 02 00 05");
  await wire.hearEnd();
});

test("12 what was sent whole before the client closed its side is stored", async () => {
  const { deviceId, events, hello } = await device();
  const wire = await open();
  wire.say(hello());
  await wire.hear(accepted);
  const many = Array.from({ length: 100 }, (_, i) => publish(events, `last ${i}`, i + 1));
  wire.say(...many);
  wire.socket.end();
  await stored("last 99");
  expect(await bodiesOf(deviceId)).toEqual(many.map((_, i) => `last ${i}`));
});

test("13 the largest message there is, and a thousand small ones in one write, are acknowledged in order", async () => {
  const { events, hello } = await device();
  const wire = await open();
  wire.say(hello());
  await wire.hear(accepted);
  wire.say(publish(events, Buffer.alloc(telemetryBytesMax, 0x61), 1));
  await wire.hear("40 02 00 01");
  const ids = Array.from({ length: 1_000 }, (_, i) => i + 2);
  wire.say(...ids.map((id) => publish(events, "x", id)));
  const pubacks = ids.map((id) => Buffer.from(pubackOf(id)).toString("hex")).join("");
  await wire.hear(pubacks.replaceAll(/..(?=.)/g, "$& "));
  wire.cut();
});

test.each(["TLSv1.2", "TLSv1.3"] as const)(
  "14 %s: a resumed session is still the one with the client's certificate",
  async (maxVersion) => {
    const deviceId = `certified-${maxVersion}`;
    await hub.createDevice({ deviceId, authentication: { type: "certificateAuthority" } });
    const { cert, key } = await certificates.issue({ cn: deviceId });
    const username = `localhost/${deviceId}/?api-version=2021-04-12`;
    const first = await open({ cert, key, maxVersion });
    let session: Buffer | undefined = first.socket.getSession();
    first.socket.on("session", (newer: Buffer) => (session = newer));
    first.say(connectPacket({ clientId: deviceId, username }));
    await first.hear(accepted);
    first.cut();
    const second = await open({ cert, key, maxVersion, session: session! });
    expect(second.socket.isSessionReused()).toBe(true);
    second.say(connectPacket({ clientId: deviceId, username }));
    await second.hear(accepted);
    second.cut();
  },
);
