import { expect, test } from "vitest";
import { publish, worldWithDevice } from "./world.ts";

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test("reading stops while too many receipts are open, and goes on after the commit", async () => {
  const world = await worldWithDevice({ listener: { limits: { receiptsMax: 10 } } });
  const device = await world.online();
  world.control.hold = true;
  for (const i of range(100)) device.write(publish(String(i), { id: i + 1 }));
  await world.settle();
  expect(world.metrics.messagesIn).toBeLessThanOrEqual(12);
  await world.release();
  expect(device.received.map((packet) => (packet as { messageId?: number }).messageId)).toEqual(
    range(100).map((i) => i + 1),
  );
  expect((await world.bodies()).map(Number)).toEqual(range(100));
});

test("QoS 0 beyond the byte bound waits and is not lost", async () => {
  const world = await worldWithDevice({ telemetryLimits: { connectionBytesOpenMax: 500 } });
  const device = await world.online();
  world.control.hold = true;
  // Many messages in one read, and many reads.
  await device.send(...range(50).map((i) => publish(String(i), { qos: 0 })));
  for (const i of range(50)) device.write(publish(String(50 + i), { qos: 0 }));
  await world.settle();
  expect(world.metrics.recordBytesOpen).toBeLessThanOrEqual(500);
  await world.release();
  expect((await world.bodies()).map(Number)).toEqual(range(100));
  await device.send(publish("last", { id: 1 }));
  device.expect({ cmd: "puback", messageId: 1 });
});

test("the bound over all connections holds, and everybody gets a turn", async () => {
  const world = await worldWithDevice({ telemetryLimits: { bytesOpenMax: 1_000 } });
  const devices = [];
  for (const i of range(5)) {
    await world.createDevice(`d${i}`);
    devices.push(await world.online({ deviceId: `d${i}` }));
  }
  world.control.hold = true;
  for (const [i, device] of devices.entries()) {
    const topic = `devices/d${i}/messages/events/`;
    device.write(...range(40).map((n) => publish(String(n), { id: n + 1, topic })));
  }
  await world.settle();
  expect(world.metrics.recordBytesOpen).toBeLessThanOrEqual(1_000);
  await world.release();
  for (const device of devices) expect(device.received).toHaveLength(40);
  for (const i of range(5)) {
    const mine = (await world.events()).filter(({ deviceId }) => deviceId === `d${i}`);
    expect(mine.map(({ body }) => Number(Buffer.from(body).toString()))).toEqual(range(40));
  }
});

test("messages held when the network goes away are stored all the same", async () => {
  const world = await worldWithDevice({ telemetryLimits: { connectionBytesOpenMax: 100 } });
  const device = await world.online();
  world.control.hold = true;
  await device.send(...range(10).map((i) => publish(String(i), { qos: 0 })));
  await device.cut();
  expect(world.connections.count).toBe(1);
  await world.release();
  expect((await world.bodies()).map(Number)).toEqual(range(10));
  expect(world.connections.count).toBe(0);
  expect(world.lastEnd()).toBe("mqtt.connection_lost");
});

test("requests behind held telemetry keep their place", async () => {
  const world = await worldWithDevice({ telemetryLimits: { connectionBytesOpenMax: 100 } });
  const device = await world.online();
  world.control.hold = true;
  await device.send(
    ...range(5).map((i) => publish(String(i), { id: i + 1 })),
    publish("{}", { qos: 0, topic: "$iothub/twin/PATCH/properties/reported/?$rid=1" }),
  );
  expect(world.twinReports).toEqual([]);
  await world.release();
  expect(world.twinReports).toHaveLength(1);
});

test("silence that the hub imposes is not held against the client", async () => {
  const world = await worldWithDevice({ telemetryLimits: { connectionBytesOpenMax: 100 } });
  const device = await world.online({ keepalive: 10 });
  world.control.hold = true;
  await device.send(...range(5).map((i) => publish(String(i), { id: i + 1 })));
  await world.clock.advance(60_000);
  device.expectOpen();
  await world.release();
  device.expectOpen();
  expect(device.received).toHaveLength(5);
  await world.clock.advance(14_999);
  device.expectOpen();
  await world.clock.advance(1);
  device.expectClosed();
  expect(world.lastEnd()).toBe("mqtt.keep_alive_timeout");
});

test("when the store fails, held messages are not acknowledged and the connection ends", async () => {
  const world = await worldWithDevice({ telemetryLimits: { connectionBytesOpenMax: 100 } });
  const device = await world.online();
  world.control.hold = true;
  await device.send(...range(10).map((i) => publish(String(i), { id: i + 1 })));
  world.control.fault = ({ name }) => (name === "commit" ? "reject" : undefined);
  await world.release();
  device.expectNothing();
  device.expectClosed();
  expect(await world.bodies()).toEqual([]);
  expect(world.metrics.recordsOpen).toBe(0);
  expect(world.connections.count).toBe(0);
});
