import { expect, test } from "vitest";
import { publish, subscribe, worldWithDevice } from "./world.ts";

test("stop acknowledges what was taken in, then closes", async () => {
  const world = await worldWithDevice();
  const device = await world.online({ clean: false });
  world.control.hold = true;
  await device.send(publish("a", { id: 1 }), subscribe(2, ["$iothub/twin/res/#", 0]));
  const stopping = world.listener.stop();
  await world.settle();
  device.expectOpen();
  await world.release();
  await world.during(stopping);
  device.expect({ cmd: "puback", messageId: 1 });
  device.expect({ cmd: "suback", messageId: 2 });
  device.expectNothing();
  await world.settle();
  device.expectClosed();
  expect(world.lastEnd()).toBe("hub.stopping");
  expect(world.listener.streams).toBe(0);
});

test("stop waits until the wills it caused are stored", async () => {
  const world = await worldWithDevice();
  const topic = "devices/dev1/messages/events/";
  await world.online({ will: { topic, payload: "goodbye" } });
  world.control.hold = true;
  let isStopped = false;
  const stopping = world.listener.stop().then(() => (isStopped = true));
  await world.settle();
  expect(world.metrics.willsPublished).toBe(1);
  expect(isStopped).toBe(false);
  await world.release();
  await world.during(stopping);
  expect(await world.bodies()).toEqual(["goodbye"]);
});

test("stop takes nothing new in: streams are closed, bytes stay unread", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  world.control.hold = true;
  await device.send(publish("a", { id: 1 }));
  const stopping = world.listener.stop();
  await world.settle();
  await device.send(publish("too late", { id: 2 }));
  const late = world.open();
  await world.settle();
  late.expectClosed();
  await world.release();
  await world.during(stopping);
  expect(await world.bodies()).toEqual(["a"]);
});

test("a CONNECT under way when the hub stops is closed", async () => {
  const world = await worldWithDevice();
  const connect = await world.connectPacket({});
  const client = world.open();
  await world.settle();
  const stopping = world.listener.stop();
  await client.send(connect);
  await world.during(stopping);
  await world.settle();
  client.expectClosed();
  expect(world.metrics.connections).toBe(0);
});

test("stop gives up on a store that never answers, and says so", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  world.control.hold = true;
  await device.send(publish("a", { id: 1 }));
  let isStopped = false;
  void world.listener.stop().then(() => (isStopped = true));
  await world.clock.advance(10_001);
  expect(isStopped).toBe(true);
  device.expectNothing();
  device.expectClosed();
  expect(world.lines).toContainEqual(expect.objectContaining({ event: "stop_unfinished" }));
});

test("stopping twice is stopping once", async () => {
  const world = await worldWithDevice();
  await world.online();
  await world.during(Promise.all([world.listener.stop(), world.listener.stop()]));
  expect(world.metrics.connections).toBe(0);
});
