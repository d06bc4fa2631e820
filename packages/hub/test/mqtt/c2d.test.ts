import { expect, test } from "vitest";
import { generationKey } from "../../src/domain/services.ts";
import { bodiesOf, count, delivered, message, send, subscribed } from "./c2d-steps.ts";
import { c2dFilter, createWorld, puback, subscribe, worldWithDevice } from "./world.ts";

test("a message reaches a subscribed device and PUBACK completes it", async () => {
  const world = await worldWithDevice();
  const device = await subscribed(world);
  await send(world, "hello");
  const [got] = delivered(device);
  expect(got).toEqual({ body: "hello", id: 100, dup: false, qos: 1 });
  expect(await count(world)).toBe(1);
  await device.send(puback(100));
  expect(await count(world)).toBe(0);
  expect(world.metrics).toMatchObject({ c2dEnqueued: 1, c2dDelivered: 1, c2dCompleted: 1 });
});

test("the topic carries the properties as SDKs read them: system first, %24, iothub-ack without prefix", async () => {
  const world = await worldWithDevice();
  const device = await subscribed(world);
  const properties = {
    system: { messageId: "m 1", contentType: "application/json" },
    application: { a: "b/c=d+e", __proto__x: "1" },
  };
  const expiresAtMs = world.clock.wallMs() + 60_000;
  await world.during(
    world.c2d.service.send("dev1", message("x", { properties, ack: "full", expiresAtMs })),
  );
  const packet = device.expect({ cmd: "publish" }) as { topic: string };
  expect(packet.topic).toBe(
    "devices/dev1/messages/devicebound/%24.mid=m%201&%24.to=%2Fdevices%2Fdev1%2Fmessages%2FdeviceBound" +
      "&%24.ct=application%2Fjson&%24.exp=2025-01-01T00%3A01%3A00.000Z&iothub-ack=full&a=b%2Fc%3Dd%2Be&__proto__x=1",
  );
});

test("messages wait for a device that is away, in order", async () => {
  const world = await worldWithDevice();
  await send(world, "1", "2", "3");
  const device = await subscribed(world);
  expect(bodiesOf(device)).toEqual(["1", "2", "3"]);
});

test("without a subscription nothing is delivered and nothing is lost", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false });
  await send(world, "1");
  device.expectNothing();
  expect(await count(world)).toBe(1);
});

test("no more than the window is under way, and each PUBACK lets the next one go", async () => {
  const world = await worldWithDevice({ listener: { limits: { c2dWindow: 3 } } });
  const device = await subscribed(world);
  await send(world, "a", "b", "c", "d", "e", "f", "g");
  expect(bodiesOf(device)).toEqual(["a", "b", "c"]);
  await device.send(puback(101));
  expect(bodiesOf(device)).toEqual(["d"]);
  await device.send(puback(100), puback(102), puback(103));
  expect(bodiesOf(device)).toEqual(["e", "f", "g"]);
});

test("a QoS 0 subscription completes when written", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, [c2dFilter, 0]));
  device.expect({ cmd: "suback", granted: [0] });
  await send(world, ...Array.from({ length: 25 }, (_, i) => String(i)));
  const got = delivered(device);
  expect(got.map(({ body }) => Number(body))).toEqual(Array.from({ length: 25 }, (_, i) => i));
  expect(got.every(({ qos }) => qos === 0)).toBe(true);
  expect(await count(world)).toBe(0);
});

test("what was not acknowledged comes again after a reconnect: same id, DUP, before any SUBSCRIBE", async () => {
  const world = await worldWithDevice();
  const first = await subscribed(world);
  await send(world, "1", "2", "3");
  expect(delivered(first).map(({ id }) => id)).toEqual([100, 101, 102]);
  await first.send(puback(101));
  await first.cut();
  await send(world, "4");
  const second = await world.connect({ clean: false });
  second.expect({ cmd: "connack", returnCode: 0, sessionPresent: true });
  expect(delivered(second)).toEqual([
    { body: "1", id: 100, dup: true, qos: 1 },
    { body: "3", id: 102, dup: true, qos: 1 },
    { body: "4", id: 103, dup: false, qos: 1 },
  ]);
  await second.send(puback(100), puback(102), puback(103));
  expect(await count(world)).toBe(0);
  expect(world.metrics.c2dCompleted).toBe(4);
});

test("a takeover hands everything unacknowledged to the newer connection", async () => {
  const world = await worldWithDevice();
  const first = await subscribed(world);
  await send(world, "1", "2");
  expect(bodiesOf(first)).toEqual(["1", "2"]);
  const second = await world.online({ clean: false });
  first.expectClosed();
  expect(delivered(second).map(({ id, dup }) => [id, dup])).toEqual([
    [100, true],
    [101, true],
  ]);
});

test("after a hub restart locked messages come again under new ids, without DUP", async () => {
  const world = await worldWithDevice();
  const first = await subscribed(world);
  await send(world, "1", "2");
  expect(delivered(first).map(({ id }) => id)).toEqual([100, 101]);
  world.stores.cut();
  const after = await createWorld({
    clock: world.clock,
    image: world.stores.image,
    listener: { randomPacketId: () => 60_000 },
  });
  const second = await after.connect({ clean: false });
  second.expect({ cmd: "connack", sessionPresent: true });
  expect(delivered(second)).toEqual([
    { body: "1", id: 60_000, dup: false, qos: 1 },
    { body: "2", id: 60_001, dup: false, qos: 1 },
  ]);
});

test("a lock that runs out is renewed and the message sent again with DUP and its id", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false, keepalive: 0 });
  await device.send(subscribe(1, [c2dFilter, 1]));
  device.expect({ cmd: "suback" });
  await send(world, "1", "2");
  expect(delivered(device)).toHaveLength(2);
  await device.send(puback(100));
  await world.clock.advance(59_999);
  expect(delivered(device)).toEqual([]);
  for (let round = 0; round < 3; round++) {
    await world.clock.advance(60_000);
    expect(delivered(device)).toEqual([{ body: "2", id: 101, dup: true, qos: 1 }]);
  }
  await device.send(puback(101));
  expect(await count(world)).toBe(0);
  await world.clock.advance(120_000);
  device.expectNothing();
});

test("a wall clock that jumps ahead does not make a second delivery of the same message", async () => {
  const world = await worldWithDevice();
  const device = await subscribed(world);
  await send(world, "1");
  expect(delivered(device)).toHaveLength(1);
  world.clock.jumpWall(120_000);
  await send(world, "2");
  expect(delivered(device)).toEqual([
    { body: "1", id: 100, dup: true, qos: 1 },
    { body: "2", id: 101, dup: false, qos: 1 },
  ]);
  await device.send(puback(100), puback(101));
  expect(await count(world)).toBe(0);
});

test("a message past its time is not delivered, and not sent again", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false, keepalive: 0, lifetimeS: 86_400 });
  await device.send(subscribe(1, [c2dFilter, 1]));
  device.expect({ cmd: "suback" });
  const expiresAtMs = world.clock.wallMs() + 90_000;
  await world.during(world.c2d.service.send("dev1", message("short", { expiresAtMs })));
  expect(bodiesOf(device)).toEqual(["short"]);
  await world.clock.advance(60_000);
  expect(bodiesOf(device)).toEqual(["short"]);
  await world.clock.advance(120_000);
  expect(bodiesOf(device)).toEqual([]);
  expect(await count(world)).toBe(0);
  expect(world.metrics.c2dExpired).toBe(1);
  // A PUBACK that comes late is nobody's.
  await device.send(puback(100));
  device.expectOpen();
  await send(world, "next");
  expect(delivered(device)).toMatchObject([{ body: "next", dup: false }]);
});

test("messages past their time are swept while nobody is connected", async () => {
  const world = await worldWithDevice();
  await send(world, "1");
  await world.clock.advance(3_600_000 + 60_000);
  expect(await world.during(world.stores.c2d.queues())).toEqual([]);
  expect(world.metrics.c2dExpired).toBe(1);
});

test("purging takes back what is under way, and later messages follow", async () => {
  const world = await worldWithDevice({ listener: { limits: { c2dWindow: 2 } } });
  const device = await subscribed(world);
  await send(world, "1", "2", "3");
  expect(delivered(device)).toHaveLength(2);
  expect(await world.during(world.c2d.service.purge("dev1"))).toEqual({ purged: 3 });
  await send(world, "4");
  expect(delivered(device)).toMatchObject([{ body: "4", id: 102, dup: false }]);
  await device.send(puback(100), puback(102));
  expect(await count(world)).toBe(0);
  expect(world.metrics).toMatchObject({ c2dPurged: 3, c2dCompleted: 1 });
});

test("a PUBACK for an id that stands for nothing is ignored", async () => {
  const world = await worldWithDevice();
  const device = await subscribed(world);
  await send(world, "1");
  await device.send(puback(4711));
  device.expectOpen();
  expect(await count(world)).toBe(1);
});

test("PUBACK completes only the lock it was sent under", async () => {
  const world = await worldWithDevice();
  const identity = await world.during(
    world.identities.find({ deviceId: "dev1", moduleId: undefined }),
  );
  const queue = generationKey({ deviceId: "dev1", moduleId: undefined }, identity!.generationId);
  const device = await subscribed(world);
  await send(world, "1");
  expect(delivered(device)).toHaveLength(1);
  // Behind our back the lock is broken and somebody else takes the message.
  await world.during(world.stores.c2d.release(queue, "all"));
  const nowMs = world.clock.wallMs();
  await world.during(world.stores.c2d.lock(queue, { limit: 1, nowMs, lockedUntilMs: nowMs + 1e6 }));
  await device.send(puback(100));
  expect(await count(world)).toBe(1);
  expect(world.metrics.c2dCompleted).toBe(0);
});

test("a lock that was lost is given up: the message comes again as a new delivery, in the same window", async () => {
  const world = await worldWithDevice({ listener: { limits: { c2dWindow: 1 } } });
  const ref = { deviceId: "dev1", moduleId: undefined };
  const identity = await world.during(world.identities.find(ref));
  const device = await world.online({ clean: false, keepalive: 0 });
  await device.send(subscribe(1, [c2dFilter, 1]));
  await send(world, "1");
  expect(delivered(device)).toMatchObject([{ id: 100 }]);
  await world.during(world.stores.c2d.release(generationKey(ref, identity!.generationId), "all"));
  await world.clock.advance(60_000);
  expect(delivered(device)).toEqual([{ body: "1", id: 101, dup: false, qos: 1 }]);
  await device.send(puback(101));
  expect(await count(world)).toBe(0);
});

test("when an unacknowledged message ran out of time while its device was away, newer ones take its place", async () => {
  const world = await worldWithDevice();
  const first = await subscribed(world);
  const expiresAtMs = world.clock.wallMs() + 1_000;
  await world.during(world.c2d.service.send("dev1", message("short", { expiresAtMs })));
  await send(world, "long");
  expect(delivered(first)).toHaveLength(2);
  await first.cut();
  await send(world, "new");
  await world.clock.advance(2_000);
  const second = await world.online({ clean: false });
  expect(delivered(second).map(({ body, dup }) => [body, dup])).toEqual([
    ["long", true],
    ["new", false],
  ]);
});

test("unsubscribing stops delivery; what is under way may still be acknowledged, or goes back", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false, keepalive: 0 });
  await device.send(subscribe(1, [c2dFilter, 1]));
  await send(world, "1", "2");
  await device.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: [c2dFilter] });
  expect(delivered(device)).toHaveLength(2);
  await device.send(puback(100));
  await send(world, "3");
  await world.clock.advance(61_000);
  expect(delivered(device)).toEqual([]);
  expect(await count(world)).toBe(2);
  await device.send(subscribe(3, [c2dFilter, 1]));
  expect(delivered(device).map(({ body, dup }) => [body, dup])).toEqual([
    ["2", false],
    ["3", false],
  ]);
});

test("a session whose subscription was given up before the reconnect is sent nothing", async () => {
  const world = await worldWithDevice();
  const first = await subscribed(world);
  await send(world, "1");
  await first.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: [c2dFilter] });
  await first.cut();
  const second = await world.connect({ clean: false });
  second.expect({ cmd: "connack", returnCode: 0 });
  second.expectNothing();
  await second.send(subscribe(1, [c2dFilter, 1]));
  second.expect({ cmd: "suback" });
  expect(delivered(second)).toMatchObject([{ body: "1", dup: false }]);
});

test("clean=1 empties the queue at CONNECT", async () => {
  const world = await worldWithDevice();
  await send(world, "1");
  const device = await subscribed(world, true);
  expect(delivered(device)).toEqual([]);
  expect(await count(world)).toBe(0);
  await send(world, "2");
  expect(bodiesOf(device)).toEqual(["2"]);
});

test("clean=1 keeps the queue when told so, and delivers it after SUBSCRIBE, not before", async () => {
  const world = await worldWithDevice({ cleanSessionPurges: false });
  const first = await subscribed(world);
  await send(world, "1");
  expect(delivered(first)).toHaveLength(1);
  await first.cut();
  const second = await world.online({ clean: true });
  second.expectNothing();
  await second.send(subscribe(1, [c2dFilter, 1]));
  second.expect({ cmd: "suback" });
  expect(delivered(second)).toMatchObject([{ body: "1", dup: false }]);
});

test("messages of a deleted device are not its successor's", async () => {
  const world = await worldWithDevice();
  const first = await subscribed(world);
  await send(world, "1");
  expect(bodiesOf(first)).toEqual(["1"]);
  await world.during(world.identities.delete({ deviceId: "dev1", moduleId: undefined }, "*"));
  await world.createDevice("dev1");
  const second = await subscribed(world);
  expect(delivered(second)).toEqual([]);
});

test("a store that cannot complete closes the connection, and the message comes again", async () => {
  const world = await worldWithDevice();
  const first = await subscribed(world);
  await send(world, "1");
  expect(bodiesOf(first)).toEqual(["1"]);
  world.control.fault = ({ name }) => (name === "complete" ? "reject" : undefined);
  await first.send(puback(100));
  first.expectClosed();
  expect(world.lastEnd()).toBe("store.unavailable");
  world.control.fault = () => undefined;
  await world.clock.advance(61_000);
  const second = await world.online({ clean: false });
  expect(bodiesOf(second)).toEqual(["1"]);
});

test("a release that failed at disconnect is made up for at the next connection", async () => {
  const world = await worldWithDevice();
  const first = await subscribed(world);
  await send(world, "1");
  expect(bodiesOf(first)).toEqual(["1"]);
  let failures = 1;
  world.control.fault = ({ name }) => (name === "release" && failures-- > 0 ? "reject" : undefined);
  await first.cut();
  await world.clock.advance(10_000);
  const second = await world.online({ clean: false });
  expect(delivered(second)).toMatchObject([{ body: "1", id: 100, dup: true }]);
});

test("feedback that was asked for keeps the completed message until it is reported", async () => {
  const world = await worldWithDevice();
  const device = await subscribed(world);
  for (const ack of ["none", "negative", "positive", "full"]) {
    await world.during(world.c2d.service.send("dev1", message(ack, { ack })));
  }
  for (const { id } of delivered(device)) await device.send(puback(id!));
  expect(await count(world)).toBe(0);
  const [queue] = await world.during(world.stores.c2d.queues());
  expect(queue).toMatch(/^dev1@/);
});

test("a peer that does not read is not sent more than it can be held for, and gets the rest when it reads", async () => {
  const world = await worldWithDevice({ listener: { limits: { bufferedBytesMax: 100_000 } } });
  const device = await world.online();
  await device.send(subscribe(1, [c2dFilter, 0]));
  device.received.length = 0;
  device.pause();
  const big = "x".repeat(60_000);
  await send(world, ...Array.from({ length: 40 }, () => big));
  expect(await count(world)).toBeGreaterThan(20);
  device.resume();
  await world.clock.advance(5_000);
  expect(delivered(device)).toHaveLength(40);
  expect(await count(world)).toBe(0);
});
