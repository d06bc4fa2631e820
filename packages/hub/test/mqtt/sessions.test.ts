import { generationKey } from "../../src/domain/services.ts";
import { expect, test } from "vitest";
import { c2dFilter, createWorld, host, publish, subscribe, worldWithDevice } from "./world.ts";

const desired = "$iothub/twin/PATCH/properties/desired/#";
const methods = "$iothub/methods/POST/#";
const twinResponses = "$iothub/twin/res/#";
const dev1 = { deviceId: "dev1", moduleId: undefined };

test("a first clean=0 connection has no session; the next one finds its subscriptions", async () => {
  const world = await worldWithDevice();
  const first = await world.connect({ clean: false });
  first.expect({ cmd: "connack", returnCode: 0, sessionPresent: false });
  await first.send(subscribe(1, [desired, 0], [methods, 0]));
  first.expect({ cmd: "suback", granted: [0, 0] });
  await first.cut();
  const second = await world.connect({ clean: false });
  second.expect({ cmd: "connack", returnCode: 0, sessionPresent: true });
  const connection = world.connections.find(dev1)!;
  expect(connection.isSubscribed("desired")).toBe(true);
  expect(connection.isSubscribed("methods")).toBe(true);
  expect(connection.isSubscribed("c2d")).toBe(false);
});

test("a session outlives the hub", async () => {
  const world = await worldWithDevice();
  const first = await world.online({ clean: false });
  await first.send(subscribe(1, [desired, 0]));
  world.stores.cut();
  const after = await createWorld({ clock: world.clock, image: world.stores.image });
  const second = await after.connect({ clean: false });
  second.expect({ cmd: "connack", returnCode: 0, sessionPresent: true });
  expect(after.connections.find(dev1)?.isSubscribed("desired")).toBe(true);
});

test("SUBACK waits until the session is stored", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false });
  world.control.hold = true;
  await device.send(subscribe(1, [desired, 0]));
  device.expectNothing();
  await world.release();
  device.expect({ cmd: "suback", messageId: 1, granted: [0] });
});

test("a session that cannot be stored closes the connection instead of answering", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false });
  world.control.fault = ({ name }) => (name === "put" ? "reject" : undefined);
  await device.send(subscribe(1, [desired, 0]));
  device.expectNothing();
  device.expectClosed();
  expect(world.lastEnd()).toBe("store.unavailable");
});

test("subscribing to what is stored already costs no write", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false });
  await device.send(subscribe(1, [desired, 0]));
  device.expect({ cmd: "suback", messageId: 1 });
  world.control.fault = ({ name }) => (name === "put" ? "reject" : undefined);
  await device.send(subscribe(2, [desired, 0]));
  device.expect({ cmd: "suback", messageId: 2 });
});

test("SUBACK of a repeated subscription waits for the store when the first one still does", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false });
  world.control.hold = true;
  await device.send(subscribe(1, [desired, 0]), subscribe(2, [desired, 0]));
  device.expectNothing();
  await world.release();
  device.expect({ cmd: "suback", messageId: 1 });
  device.expect({ cmd: "suback", messageId: 2 });
});

test("UNSUBSCRIBE is stored before UNSUBACK", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false });
  await device.send(subscribe(1, [desired, 0], [methods, 0]));
  device.expect({ cmd: "suback" });
  world.control.hold = true;
  await device.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: [desired, "never/seen"] });
  device.expectNothing();
  await world.release();
  device.expect({ cmd: "unsuback", messageId: 2 });
  await device.cut();
  await world.online({ clean: false });
  expect(world.connections.find(dev1)?.isSubscribed("desired")).toBe(false);
  expect(world.connections.find(dev1)?.isSubscribed("methods")).toBe(true);
});

test("clean=1 starts without a session, and deletes the stored one", async () => {
  const world = await worldWithDevice();
  const first = await world.online({ clean: false });
  await first.send(subscribe(1, [desired, 0]));
  await first.disconnect();
  const second = await world.connect({ clean: true });
  second.expect({ cmd: "connack", sessionPresent: false });
  expect(world.connections.find(dev1)?.isSubscribed("desired")).toBe(false);
  await second.disconnect();
  const third = await world.connect({ clean: false });
  third.expect({ cmd: "connack", sessionPresent: false });
});

test("clean=1 stores nothing", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: true });
  await device.send(subscribe(1, [desired, 0]));
  device.expect({ cmd: "suback" });
  expect(await world.during(world.documents.list("sessions", { limit: 10 }))).toEqual([]);
});

test("a device that was deleted and made again has no session", async () => {
  const world = await worldWithDevice();
  const first = await world.online({ clean: false });
  await first.send(subscribe(1, [desired, 0]));
  await world.during(world.identities.delete(dev1, "*"));
  first.expectClosed();
  await world.createDevice("dev1");
  const second = await world.connect({ clean: false });
  second.expect({ cmd: "connack", returnCode: 0, sessionPresent: false });
});

test("a session of a format from the future refuses the CONNECT and is left alone", async () => {
  const world = await worldWithDevice();
  const identity = await world.during(world.identities.find(dev1));
  const key = generationKey(dev1, identity!.generationId);
  await world.during(world.documents.put("sessions", key, { version: 2 }, "absent"));
  const device = await world.connect({ clean: false });
  expect(world.refusals()).toMatchObject([{ code: "hub.data_newer_format" }]);
  device.expectClosed();
  expect(await world.during(world.documents.get("sessions", key))).toMatchObject({
    value: { version: 2 },
  });
});

test("a newer connection takes over: the older one is closed without a packet", async () => {
  const world = await worldWithDevice();
  const older = await world.online();
  const newer = await world.online();
  older.expectNothing();
  older.expectClosed();
  newer.expectOpen();
  expect(world.lastEnd()).toBe("connection.replaced");
  expect(world.connections.count).toBe(1);
  expect(world.connections.find(dev1)?.connectionId).toBe(2);
  expect(world.connections.presence(dev1).connected).toBe(true);
});

test("a device and its module are two identities", async () => {
  const world = await worldWithDevice();
  await world.createDevice("dev1", { moduleId: "mod1" });
  const device = await world.online();
  const module = await world.online({ moduleId: "mod1" });
  device.expectOpen();
  module.expectOpen();
  expect(world.connections.count).toBe(2);
});

test("what the older connection had handed over is stored, what it had not is dropped", async () => {
  const world = await worldWithDevice({ telemetryLimits: { connectionBytesOpenMax: 80 } });
  const older = await world.online();
  const newerConnect = await world.connectPacket({});
  const newer = world.open();
  world.control.hold = true;
  // The second does not fit beside the first: it is held until the first is durable.
  await older.send(publish("handed over", { id: 1 }), publish("held", { id: 2 }));
  newer.write(newerConnect);
  await world.settle();
  await world.release({ keep: 1 });
  newer.expect({ cmd: "connack", returnCode: 0 });
  older.expectClosed();
  await newer.send(publish("newer", { id: 1 }));
  await world.release();
  older.expectNothing();
  newer.expect({ cmd: "puback", messageId: 1 });
  expect(await world.bodies()).toEqual(["handed over", "newer"]);
});

test("of many that connect at once exactly one stays", async () => {
  const world = await worldWithDevice();
  const connect = await world.connectPacket({ clean: false });
  const clients = Array.from({ length: 10 }, () => world.open());
  for (const client of clients) client.write(connect);
  await world.settle();
  const open = clients.filter(({ isClosed }) => !isClosed);
  expect(open).toHaveLength(1);
  open[0]!.expect({ cmd: "connack", returnCode: 0 });
  expect(world.connections.count).toBe(1);
  await open[0]!.send(publish("mine"));
  open[0]!.expect({ cmd: "puback" });
  await open[0]!.cut();
  expect(world.connections.count).toBe(0);
});

test("a SUBSCRIBE still being stored at a takeover is found by the newer connection or nobody", async () => {
  const world = await worldWithDevice();
  const older = await world.online({ clean: false });
  const newerConnect = await world.connectPacket({ clean: false });
  const newer = world.open();
  world.control.hold = true;
  await older.send(subscribe(1, [desired, 0]));
  newer.write(newerConnect);
  await world.settle();
  older.expectNothing();
  await world.release();
  const connack = newer.expect({ cmd: "connack", returnCode: 0 });
  const subscribed = world.connections.find(dev1)?.isSubscribed("desired");
  expect((connack as { sessionPresent?: boolean }).sessionPresent).toBe(subscribed);
});

test("a clean=1 takeover wins over the older connection's late SUBSCRIBE", async () => {
  const world = await worldWithDevice();
  const older = await world.online({ clean: false });
  const newerConnect = await world.connectPacket({ clean: true });
  const newer = world.open();
  world.control.hold = true;
  await older.send(subscribe(1, [desired, 0]));
  newer.write(newerConnect);
  await world.settle();
  await world.release();
  newer.expect({ cmd: "connack", returnCode: 0, sessionPresent: false });
  expect(await world.during(world.documents.list("sessions", { limit: 9 }))).toEqual([]);
});

test.each([
  [
    "disabled",
    async (world: Awaited<ReturnType<typeof createWorld>>) => {
      const identity = await world.during(world.identities.find(dev1));
      await world.updateDevice(identity!, { status: "disabled" });
    },
  ],
  [
    "deleted",
    (world: Awaited<ReturnType<typeof createWorld>>) =>
      world.during(world.identities.delete(dev1, "*")),
  ],
  [
    "given other keys",
    async (world: Awaited<ReturnType<typeof createWorld>>) => {
      const identity = await world.during(world.identities.find(dev1));
      const key = (fill: number): string => Buffer.alloc(32, fill).toString("base64");
      const authentication = { type: "sas" as const, primaryKey: key(1), secondaryKey: key(2) };
      await world.updateDevice(identity!, { authentication });
    },
  ],
])(
  "a device that is %s loses its connection at once, and its module's when it is the device that goes",
  async (how, revoke) => {
    const world = await worldWithDevice();
    await world.createDevice("dev1", { moduleId: "mod1" });
    const device = await world.online();
    const module = await world.online({ moduleId: "mod1" });
    await revoke(world);
    device.expectClosed();
    if (how !== "given other keys") module.expectClosed();
    expect(world.metrics.disconnects.get("connection.identity_revoked")).toBeGreaterThan(0);
  },
);

test("a device disabled while its CONNECT waits does not slip in", async () => {
  const world = await worldWithDevice();
  const identity = await world.during(world.identities.find(dev1));
  const connect = await world.connectPacket({});
  // The last read of the registry before the answer finds it enabled; then, in the same moment, it is disabled.
  const attempt = world.connections.beginAttempt();
  await world.updateDevice(identity!, { status: "disabled" });
  const link = {
    ref: dev1,
    generationId: identity!.generationId,
    connectionId: 1,
    credentials: [],
    lastActivityAtMs: 0,
    isSubscribed: () => false,
    sendMethod() {},
    sendTwinResponse() {},
    sendDesired() {},
    close() {},
  };
  await expect(world.connections.open(link, { cleanSession: true, attempt })).rejects.toMatchObject(
    {
      code: "connection.identity_revoked",
    },
  );
  world.connections.endAttempt(attempt);
  const device = world.open();
  await device.send(connect);
  device.expect({ cmd: "connack", returnCode: 5 });
});

test("presence follows the connection", async () => {
  const world = await worldWithDevice();
  const never = {
    connected: false,
    connectionStateUpdatedAtMs: undefined,
    lastActivityAtMs: undefined,
  };
  expect(world.connections.presence(dev1)).toEqual(never);
  const start = world.clock.wallMs();
  const device = await world.online();
  await world.clock.advance(5_000);
  await device.send(publish("x"));
  expect(world.connections.presence(dev1)).toEqual({
    connected: true,
    connectionStateUpdatedAtMs: start,
    lastActivityAtMs: start + 5_000,
  });
  await world.clock.advance(5_000);
  await device.cut();
  expect(world.connections.presence(dev1)).toEqual({
    connected: false,
    connectionStateUpdatedAtMs: start + 10_000,
    lastActivityAtMs: start + 5_000,
  });
});

test("those who wait for a device hear of it when it subscribes and when it comes back subscribed", async () => {
  const world = await worldWithDevice();
  const heard: string[] = [];
  world.connections.onSubscribed(({ connectionId }, kind) => heard.push(`${connectionId} ${kind}`));
  world.connections.onClosed(({ connectionId }) => heard.push(`${connectionId} closed`));
  const first = await world.online({ clean: false });
  await first.send(subscribe(1, [methods, 0], [twinResponses, 0]));
  await first.cut();
  await world.online({ clean: false });
  expect(heard).toEqual([
    "1 methods",
    "1 twinResponses",
    "1 closed",
    "2 methods",
    "2 twinResponses",
  ]);
});

test("subscriptions pipelined behind CONNECT are answered behind CONNACK", async () => {
  const world = await worldWithDevice();
  const device = await world.connect({
    pipelined: [subscribe(1, [c2dFilter, 1]), publish("early", { id: 2 })],
  });
  device.expect({ cmd: "connack", returnCode: 0 });
  device.expect({ cmd: "suback", messageId: 1, granted: [1] });
  device.expect({ cmd: "puback", messageId: 2 });
  expect(host).toBe("hub.example.net");
});
