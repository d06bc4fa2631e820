import { expect, test } from "vitest";
import { describe } from "@hubwire/protocol";
import { createWorld, host, publish, subscribe, telemetryTopic, worldWithDevice } from "./world.ts";
import type { ConnectOptions, World } from "./world.ts";

test("an accepted CONNECT makes one line with who, whence and what", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false, keepalive: 120 });
  expect(world.lines).toEqual([
    {
      level: "info",
      message: "Device connected",
      event: "connected",
      clientId: "dev1",
      address: "203.0.113.7:4711",
      connectionId: 1,
      cleanSession: false,
      keepAliveS: 120,
      sessionPresent: false,
      tlsVersion: undefined,
    },
  ]);
  await device.disconnect();
  expect(world.lines.at(-1)).toMatchObject({
    event: "disconnected",
    code: "mqtt.disconnected",
    clientId: "dev1",
    connectionId: 1,
  });
  expect(world.metrics).toMatchObject({ connects: 1, connections: 0, streams: 0 });
});

type Refusal = [
  name: string,
  connect: ConnectOptions | ((world: World) => Promise<ConnectOptions>),
  code: string,
  returnCode: number,
];
const refusals: Refusal[] = [
  ["an unknown device", { deviceId: "nobody" }, "auth.device_unknown", 5],
  ["an empty client id", { clientId: "", clean: true }, "auth.client_id_empty", 2],
  ["no user name", { username: undefined, password: undefined }, "auth.username_missing", 5],
  ["another client id", { clientId: "dev2" }, "auth.client_id_mismatch", 5],
  ["no password", { password: undefined }, "auth.missing_password", 5],
  ["nonsense as password", { password: "hunter2" }, "auth.token_malformed", 5],
  ["an expired token", { lifetimeS: -301 }, "auth.token_expired", 5],
  [
    "another hub's name",
    { username: "other.example.net/dev1/?api-version=2021-04-12" },
    "auth.host_mismatch",
    5,
  ],
];
test.each(refusals)(
  "%s: CONNACK, close, and exactly one line",
  async (_, connect, code, returnCode) => {
    const world = await worldWithDevice();
    const options = typeof connect === "function" ? await connect(world) : connect;
    const device = await world.connect(options);
    device.expect({ cmd: "connack", returnCode, sessionPresent: false });
    device.expectNothing();
    device.expectClosed();
    expect(world.lines).toHaveLength(1);
    expect(world.lines[0]).toMatchObject({
      level: "warn",
      event: "connect_refused",
      code,
      remedy: describe(code as never).remedy,
      clientId: options.clientId ?? options.deviceId ?? "dev1",
      address: "203.0.113.7:4711",
    });
    expect(world.metrics.connectsRefused.get(code)).toBe(1);
    expect(world.connections.count).toBe(0);
    expect(world.listener.streams).toBe(0);
  },
);

test("no line, error or metric shows a token, a signature or a key", async () => {
  const world = await worldWithDevice();
  const secrets: string[] = [];
  for (const lifetimeS of [3600, -3600]) {
    const token = await world.deviceToken({ lifetimeS });
    const signature = decodeURIComponent(/sig=([^&]*)/.exec(token)![1]!);
    secrets.push(token, signature, encodeURIComponent(signature));
    await world.connect({ password: token });
    await world.connect({ password: token, clientId: "dev2" });
    await world.connect({ password: `${token}&skn=nobody` });
    await world.connect({ password: token.replace("sig=", "sig=AA") });
    await world.connect({ password: token.replace("SharedAccessSignature ", "") });
    await world.connect({ clientId: token });
    await world.connect({ username: token });
    await world.connect({ username: `${token}/dev1` });
    await world.connect({ username: `${signature}/dev1` });
  }
  const identity = await world.during(
    world.identities.find({ deviceId: "dev1", moduleId: undefined }),
  );
  if (identity?.authentication.type !== "sas") throw new Error("dev1 has keys");
  secrets.push(identity.authentication.primaryKey, identity.authentication.secondaryKey);
  const told = JSON.stringify([world.lines, world.metrics, [...world.metrics.connectsRefused]]);
  expect(world.refusals().length).toBeGreaterThan(6);
  for (const secret of secrets) expect(told).not.toContain(secret);
});

// Source: OASIS MQTT 3.1.1 section 3.1; what the bytes break is in the name.
const connectBytes = (...rest: number[]): Uint8Array => Uint8Array.of(0x10, rest.length, ...rest);
const mqtt = [0, 4, 0x4d, 0x51, 0x54, 0x54];
test.each([
  ["MQTT 5", connectBytes(...mqtt, 5, 2, 0, 60, 0, 0, 1, 0x61), "mqtt.protocol_version", 1],
  [
    "MQTT 3.1",
    connectBytes(0, 6, 0x4d, 0x51, 0x49, 0x73, 0x64, 0x70, 3, 2, 0, 60, 0, 1, 0x61),
    "mqtt.protocol_version",
    1,
  ],
  [
    "the reserved connect flag",
    connectBytes(...mqtt, 4, 3, 0, 60, 0, 1, 0x61),
    "mqtt.connect_flag_reserved",
    undefined,
  ],
  [
    "a truncated CONNECT",
    connectBytes(...mqtt, 4, 2, 0, 60, 0, 9, 0x61),
    "mqtt.packet_truncated",
    undefined,
  ],
  ["PINGREQ first", Uint8Array.of(0xc0, 0), "mqtt.connect_expected", undefined],
  ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), undefined, undefined],
  [
    "a password without user name",
    connectBytes(...mqtt, 4, 0x42, 0, 60, 0, 1, 0x61, 0, 1, 0x62),
    "mqtt.password_without_username",
    undefined,
  ],
])("%s is closed with one line", async (_, bytes, code, returnCode) => {
  const world = await worldWithDevice();
  const client = world.open();
  await client.send(bytes);
  if (returnCode === undefined) client.expectNothing();
  else client.expect({ cmd: "connack", returnCode });
  client.expectClosed();
  expect(world.refusals()).toHaveLength(1);
  if (code !== undefined) expect(world.refusals()[0]).toMatchObject({ code });
});

test("a client that sends nothing is closed after 30 s", async () => {
  const world = await worldWithDevice();
  const client = world.open();
  await world.clock.advance(29_999);
  client.expectOpen();
  await world.clock.advance(1);
  client.expectClosed();
  expect(world.refusals()).toMatchObject([{ code: "mqtt.connect_timeout" }]);
});

test("one byte a second does not extend the time", async () => {
  const world = await worldWithDevice();
  const { generate } = (await import("mqtt-packet")).default;
  const bytes = generate(await world.connectPacket({}));
  const client = world.open();
  for (const byte of bytes.subarray(0, 31)) {
    client.write(Uint8Array.of(byte));
    await world.clock.advance(1_000);
  }
  client.expectClosed();
});

test("a client that goes away before the answer is a debug line, not a refusal", async () => {
  const world = await worldWithDevice();
  const client = world.open();
  await client.cut();
  expect(world.lines).toMatchObject([{ level: "debug", event: "connection_abandoned" }]);
});

test("a client that goes away while it is authenticated leaves nothing behind", async () => {
  const world = await worldWithDevice();
  const connect = await world.connectPacket({ clean: false });
  const client = world.open();
  world.control.hold = true;
  await client.send(connect);
  await client.cut();
  await world.release();
  expect(world.connections.count).toBe(0);
  expect(world.listener.streams).toBe(0);
  expect(world.metrics.connects).toBe(0);
  await world.online();
});

test("a client that goes away while it is authenticated does not end the connection there is", async () => {
  const world = await worldWithDevice();
  const older = await world.online();
  const connect = await world.connectPacket({});
  const client = world.open();
  world.control.hold = true;
  await client.send(connect);
  await client.cut();
  await world.release();
  older.expectOpen();
  await older.send(publish("x"));
  older.expect({ cmd: "puback" });
});

// Looking up the device, loading the session, deleting it, counting the queue, purging it.
test.each([0, 1, 2, 3, 4])(
  "a client that goes away at store operation %d of its CONNECT leaves nothing behind",
  async (operation) => {
    const world = await worldWithDevice();
    const first = await world.online({ clean: false });
    await first.send(subscribe(1, ["$iothub/twin/res/#", 0]));
    await first.disconnect();
    await world.during(
      world.c2d.service.send("dev1", {
        properties: { system: {}, application: {} },
        ack: undefined,
        expiresAtMs: undefined,
        body: Buffer.from("x"),
      }),
    );
    const connect = await world.connectPacket({ clean: true });
    const client = world.open();
    let seen = -1;
    world.control.fault = () => {
      if (++seen === operation) client.destroy();
      return undefined;
    };
    client.write(connect);
    await world.settle();
    expect(seen).toBeGreaterThanOrEqual(operation);
    expect(world.connections.count).toBe(0);
    expect(world.listener.streams).toBe(0);
    expect(world.metrics.connections).toBe(0);
    world.control.fault = () => undefined;
    const again = await world.online({ clean: false });
    await again.send(publish("x"));
    again.expect({ cmd: "puback" });
  },
);

test("a store that fails during CONNECT is CONNACK 3, and the next try succeeds", async () => {
  const world = await worldWithDevice();
  const connect = await world.connectPacket({});
  world.control.fault = ({ store }) => (store === "documents" ? "reject" : undefined);
  const client = world.open();
  await client.send(connect);
  client.expect({ cmd: "connack", returnCode: 3 });
  expect(world.refusals()).toMatchObject([{ code: "store.unavailable" }]);
  world.control.fault = () => undefined;
  await world.clock.advance(10_000);
  await world.online();
});

test("a failure nobody foresaw is CONNACK 3, an error line and one refusal", async () => {
  const world = await worldWithDevice({
    listener: {
      authenticator: { authenticateDevice: () => Promise.reject(new TypeError("oops")) },
    },
  });
  const client = await world.connect();
  client.expect({ cmd: "connack", returnCode: 3 });
  expect(world.lines.map(({ event }) => event)).toEqual(["internal_error", "connect_refused"]);
});

test("more bytes behind CONNECT than the bound end the connection", async () => {
  const world = await worldWithDevice({ listener: { limits: { pipelinedBytesMax: 1_000 } } });
  const device = await world.connect({ pipelined: [publish("x".repeat(1_001))] });
  device.expectNothing();
  device.expectClosed();
  expect(world.refusals()).toMatchObject([{ code: "mqtt.pipeline_overflow" }]);
  expect(await world.events()).toEqual([]);
});

test("connections beyond the bound are refused with CONNACK 3, and others do not notice", async () => {
  const world = await createWorld({ listener: { limits: { connectionsMax: 2 } } });
  for (const deviceId of ["a", "b", "c"]) await world.createDevice(deviceId);
  const a = await world.online({ deviceId: "a" });
  await world.online({ deviceId: "b" });
  const c = await world.connect({ deviceId: "c" });
  c.expect({ cmd: "connack", returnCode: 3 });
  expect(world.refusals()).toMatchObject([{ code: "hub.busy" }]);
  await a.disconnect();
  await world.online({ deviceId: "c" });
});

test("streams beyond the bound are closed at once", async () => {
  const world = await createWorld({ listener: { limits: { streamsMax: 2 } } });
  const clients = [world.open(), world.open(), world.open()];
  await world.settle();
  expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false, true]);
  expect(world.listener.streams).toBe(2);
});

test("a model id announced at CONNECT is handed on", async () => {
  const models: string[] = [];
  const world = await worldWithDevice({
    listener: {
      onModel: async ({ deviceId }, _, modelId) => void models.push(`${deviceId} ${modelId}`),
    },
  });
  const username = `${host}/dev1/?api-version=2021-04-12&model-id=dtmi:com:example:T;1`;
  const device = await world.online({ username });
  await device.send(publish("x", { topic: telemetryTopic }));
  expect(models).toEqual(["dev1 dtmi:com:example:T;1"]);
});
