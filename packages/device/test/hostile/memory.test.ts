import { expect, test } from "vitest";
import { World } from "../support/world.ts";

test("of a 256 MB packet nothing is kept: the client closes at its length prefix", async () => {
  const world = new World();
  const client = await world.connect();
  const { stream } = world.hub.current.driver;
  const before = process.memoryUsage().arrayBuffers;
  stream.write(Uint8Array.of(0x32, 0xff, 0xff, 0xff));
  stream.write(Uint8Array.of(0x7f));
  await world.clock.settle();
  expect(client.status()).toMatchObject({
    state: "waiting",
    cause: { code: "mqtt.packet_too_large" },
  });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
  // What the hub sends after it goes nowhere.
  for (let i = 0; i < 64; i++) stream.write(new Uint8Array(1024));
  await world.clock.settle();
  expect(stream.bufferedBytes).toBe(0);
});

test("a packet announced large and sent byte by byte is held to its limit", async () => {
  const world = new World();
  const client = await world.connect();
  const { stream } = world.hub.current.driver;
  // 500 KB are allowed: they are waited for, in small pieces, and only what came is kept.
  stream.write(Uint8Array.of(0x30, 0xa0, 0xc2, 0x1e));
  for (let i = 0; i < 100; i++) {
    stream.write(new Uint8Array(10));
    await world.clock.advance(10);
  }
  expect(client.status().state).toBe("connected");
  // Nothing whole ever comes: keep alive must not be fooled for ever, because the hub answers no ping.
  await world.clock.advance(600_000);
  expect(client.stats().connects).toBeGreaterThan(1);
});

test("a flood of messages nobody takes stops at receiveMax: the hub keeps the rest", async () => {
  const world = new World();
  const client = await world.connect({ receiveMax: 50 });
  const loop = client.messages();
  await world.clock.settle();
  const { stream } = world.hub.current.driver;
  const body = Buffer.alloc(1_000);
  const topic = Buffer.from("devices/dev1/messages/devicebound/%24.to=%2Fx", "utf8");
  for (let id = 1; id <= 5_000; id++) {
    const length = 2 + topic.length + 2 + body.length;
    const packet = Buffer.concat([
      Uint8Array.of(0x32, (length & 0x7f) | 0x80, length >> 7, 0, topic.length),
      topic,
      Uint8Array.of(id >> 8, id & 0xff),
      body,
    ]);
    stream.write(packet);
    if (id % 10 === 0) await world.clock.settle();
  }
  // One chunk may hold a few more than the limit.
  expect(client.stats().c2dReceived).toBeLessThanOrEqual(100);
  expect(stream.bufferedBytes).toBeGreaterThan(4_000_000);
  expect((await loop.next()).value?.body).toHaveLength(1_000);
});

test("a hub that refuses for a day leaves nothing behind", async () => {
  const world = new World();
  const client = await world.connect({ retry: { refusalsMax: Infinity, slowMaxMs: 3_600_000 } });
  world.hub.script.refuse = () => 5;
  world.hub.cut();
  await world.clock.advance(86_400_000);
  const failed = client.stats().connectFailures;
  expect(failed).toBeGreaterThan(20);
  // The hub of the test remembers its connections; the client must not.
  expect(client.stats()).toMatchObject({ queueDepth: 0, queueBytes: 0 });
  world.hub.script.refuse = () => undefined;
  client.reconnectNow();
  await world.settle(client.sendTelemetry("still there"));
});
