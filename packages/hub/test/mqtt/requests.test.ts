import { expect, test } from "vitest";
import { publish, subscribe, worldWithDevice } from "./world.ts";
import type { World } from "./world.ts";

const dev1 = { deviceId: "dev1", moduleId: undefined };
const live = (world: World) => world.connections.find(dev1)!;
const bytes = (text: string): Uint8Array => Buffer.from(text);

test("a twin read is handed on, whatever its body, and the answer echoes the request id", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ["$iothub/twin/res/#", 0]));
  device.expect({ cmd: "suback" });
  const rid = "5f3c0f2e-0001";
  await device.send(publish(" ", { qos: 0, topic: `$iothub/twin/GET/?$rid=${rid}` }));
  expect(world.twinGets).toMatchObject([{ rid }]);
  world.twinGets[0]!.connection.sendTwinResponse(rid, 200, undefined, bytes("{}"));
  await world.settle();
  device.expect({
    cmd: "publish",
    topic: `$iothub/twin/res/200/?$rid=${rid}`,
    qos: 0,
    retain: false,
  });
});

test("a report is handed on with its body and base version, and answered with the new one", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ["$iothub/twin/res/#", 0]));
  device.expect({ cmd: "suback" });
  const topic = "$iothub/twin/PATCH/properties/reported/?$rid=7&$version=4";
  await device.send(publish('{"a":1}', { qos: 0, topic }));
  expect(world.twinReports).toMatchObject([{ rid: "7", version: 4, body: '{"a":1}' }]);
  world.twinReports[0]!.connection.sendTwinResponse("7", 204, 5, bytes(""));
  await world.settle();
  device.expect({ cmd: "publish", topic: "$iothub/twin/res/204/?$rid=7&$version=5" });
});

test("twin answers and notifications go only to who subscribed", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  live(world).sendTwinResponse("1", 200, undefined, bytes("{}"));
  live(world).sendDesired(2, bytes("{}"));
  live(world).sendMethod("1", "reboot", bytes("null"));
  await world.settle();
  device.expectNothing();
});

test("a QoS 1 report is acknowledged when it is answered, in order with what is around it", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  const topic = "$iothub/twin/PATCH/properties/reported/?$rid=7";
  await device.send(
    publish("before", { id: 1 }),
    publish("{}", { id: 2, topic }),
    publish("behind", { id: 3 }),
  );
  device.expect({ cmd: "puback", messageId: 1 });
  device.expectNothing();
  // It has not subscribed to answers, and still is told by PUBACK that the report is stored.
  const { connection } = world.twinReports[0]!;
  expect(connection.isSubscribed("twinResponses")).toBe(true);
  connection.sendTwinResponse("7", 204, 2, bytes(""));
  await world.settle();
  device.expect({ cmd: "puback", messageId: 2 });
  device.expect({ cmd: "puback", messageId: 3 });
  device.expectNothing();
});

test("a desired notification names its version", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ["$iothub/twin/PATCH/properties/desired/#", 1]));
  device.expect({ cmd: "suback", granted: [1] });
  live(world).sendDesired(12, bytes('{"a":null,"$version":12}'));
  await world.settle();
  device.expect({
    cmd: "publish",
    topic: "$iothub/twin/PATCH/properties/desired/?$version=12",
    payload: Buffer.from('{"a":null,"$version":12}'),
    qos: 0,
  });
});

test("a method request goes out and its answer comes back with status and connection", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ["$iothub/methods/POST/#", 0]));
  device.expect({ cmd: "suback" });
  live(world).sendMethod("a1", "reboot", bytes('{"x":1}'));
  await world.settle();
  device.expect({ cmd: "publish", topic: "$iothub/methods/POST/reboot/?$rid=a1", qos: 0 });
  await device.send(publish('{"ok":1}', { qos: 0, topic: "$iothub/methods/res/-7/?$rid=a1" }));
  expect(world.methodResponses).toMatchObject([{ rid: "a1", status: -7, body: '{"ok":1}' }]);
  expect(world.methodResponses[0]!.connection).toBe(live(world));
});

test("a malformed method answer is ignored, and acknowledged if QoS 1", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(publish("{}", { id: 5, topic: "$iothub/methods/res/ok/?$rid=1" }));
  device.expect({ cmd: "puback", messageId: 5 });
  expect(world.methodResponses).toEqual([]);
  device.expectOpen();
});

test.each([
  "$iothub/twin/GET/",
  "$iothub/twin/GET/?rid=1",
  "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=x",
  "$iothub/twin/PATCH/properties/desired/?$rid=1",
  "$iothub/methods/POST/x/?$rid=1",
])("strict: a publish to %s closes the connection", async (topic) => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(publish("{}", { qos: 0, topic }));
  device.expectClosed();
  expect(world.lastEnd()).toBe("topic.foreign_publish");
});

test("a request id that cannot be echoed ends the connection with a reason, not the hub", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ["$iothub/twin/res/#", 0]));
  await device.send(publish("", { qos: 0, topic: "$iothub/twin/GET/?$rid=a/b" }));
  world.twinGets[0]!.connection.sendTwinResponse("a/b", 200, undefined, bytes("{}"));
  await world.settle();
  device.expectClosed();
  expect(world.lastEnd()).toBe("topic.bad_part");
});

test("sending to a connection that is gone is harmless", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ["$iothub/methods/POST/#", 0], ["$iothub/twin/res/#", 0]));
  const connection = live(world);
  await device.cut();
  connection.sendMethod("1", "m", bytes(""));
  connection.sendTwinResponse("1", 200, 1, bytes(""));
  connection.sendDesired(1, bytes(""));
  connection.close("connection.replaced", "again");
  expect(connection.isSubscribed("methods")).toBe(false);
  expect(world.connections.find(dev1)).toBeUndefined();
});

test("all answers of one turn are one write", async () => {
  const world = await worldWithDevice();
  const device = await world.online();
  await device.send(subscribe(1, ["$iothub/methods/POST/#", 0]));
  const before = device.chunks.length;
  for (let i = 0; i < 20; i++) live(world).sendMethod(String(i), "m", bytes("null"));
  await world.settle();
  expect(device.chunks.length - before).toBe(1);
});

test("a client that does not read is cut off, and the others are not", async () => {
  const world = await worldWithDevice({ listener: { limits: { bufferedBytesMax: 100_000 } } });
  await world.createDevice("dev2");
  const other = await world.online({ deviceId: "dev2" });
  const device = await world.online({ keepalive: 0 });
  await device.send(subscribe(1, ["$iothub/methods/POST/#", 0]));
  device.pause();
  live(world).sendMethod("1", "m", new Uint8Array(300_000));
  await world.clock.advance(29_000);
  expect(world.connections.count).toBe(2);
  await world.clock.advance(2_000);
  expect(world.lastEnd()).toBe("transport.slow_reader");
  expect(world.connections.count).toBe(1);
  other.expectOpen();
});
