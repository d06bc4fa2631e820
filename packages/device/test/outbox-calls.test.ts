import { VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { Agenda } from "../src/connection/agenda.ts";
import type { Uplink } from "../src/connection/uplink.ts";
import { resolveOptions } from "../src/options/resolve.ts";
import { Telemetry } from "../src/telemetry/telemetry.ts";
import { OutboxWorld } from "./support/outbox-world.ts";
import { Outcome, World } from "./support/world.ts";

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("enqueue resolves when the message is in the queue, also without a connection", async () => {
  const world = new World();
  const client = await world.connect({ messageIds: "auto" });
  world.hub.cut();
  await world.clock.settle();
  const { messageId } = await client.enqueue({ a: 1 });
  expect(messageId).toMatch(uuid);
  await world.clock.runUntil(() => client.stats().queueDepth === 0);
  expect(world.hub.telemetry[0]?.topic).toBe(
    `devices/dev1/messages/events/%24.mid=${messageId}&%24.ct=application%2Fjson&%24.ce=utf-8`,
  );
});

test("an id the caller gives stays; without the option messages in memory get none", async () => {
  const world = new World();
  const client = await world.connect();
  expect(await client.enqueue("a", { messageId: "mine" })).toEqual({ messageId: "mine" });
  expect(await client.enqueue("b")).toEqual({ messageId: undefined });
  await world.clock.runUntil(() => client.stats().queueDepth === 0);
  expect(world.hub.telemetry.map(({ topic }) => topic)).toEqual([
    "devices/dev1/messages/events/%24.mid=mine",
    "devices/dev1/messages/events/",
  ]);
});

test("the id counts towards the size of a message", async () => {
  const world = new World();
  const client = await world.connect({ messageIds: "auto" });
  await world.settle(client.sendTelemetry(Buffer.alloc(262_144 - 36)));
  await expect(client.sendTelemetry(Buffer.alloc(262_144 - 35))).rejects.toMatchObject({
    code: "device.message_too_large",
  });
});

test("a batch is acknowledged as a whole, in order", async () => {
  const world = new World();
  const client = await world.connect();
  const bodies = ["a", "b", "c"].map((body) => ({ body, properties: { of: "batch" } }));
  const batch = new Outcome(client.sendTelemetryBatch(bodies));
  expect(batch.code).toBe("pending");
  await world.clock.settle();
  expect(batch.code).toBe("value");
  expect(world.hub.texts).toEqual(["a", "b", "c"]);
  await world.settle(client.sendTelemetryBatch([]));
});

test("a batch with one bad message, or without room for all, is not taken at all", async () => {
  const world = new World();
  const client = await world.connect({ queueMessagesMax: 2 });
  const bad = [{ body: "a" }, { body: Buffer.alloc(300_000) }];
  await expect(client.sendTelemetryBatch(bad)).rejects.toMatchObject({
    code: "device.message_too_large",
  });
  const many = ["a", "b", "c"].map((body) => ({ body }));
  await expect(client.sendTelemetryBatch(many)).rejects.toMatchObject({
    code: "device.queue_full",
  });
  await world.settle(client.sendTelemetry("after"));
  expect(world.hub.texts).toEqual(["after"]);
});

test("sendAll asks its source for more only when there is room", async () => {
  let isSilent = true;
  const world = new World({
    onEffect: (effect) => (isSilent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect({ maxInflight: 4 });
  let asked = 0;
  async function* readings(): AsyncGenerator<string> {
    for (; asked < 100;) yield `r${asked++}`;
  }
  const sending = new Outcome(client.sendAll(readings()));
  await world.clock.advance(1_000);
  expect(asked).toBe(4);
  isSilent = false;
  world.hub.cut();
  await world.clock.runUntil(() => sending.isSettled);
  expect(sending.value).toEqual({ messages: 100 });
  expect(new Set(world.hub.texts).size).toBe(100);
});

test("sendAll waits for room where a call would be refused", async () => {
  const world = new World();
  const client = await world.connect({ queueMessagesMax: 3, maxInflight: 100 });
  world.hub.cut();
  await world.clock.settle();
  const source = Array.from({ length: 20 }, (_, i) => ({ body: `s${i}`, messageId: `id${i}` }));
  const sending = new Outcome(client.sendAll(source));
  await world.clock.settle();
  expect(client.stats().queueDepth).toBe(3);
  await world.clock.runUntil(() => sending.isSettled);
  expect(sending.value).toEqual({ messages: 20 });
  expect(world.hub.texts).toEqual(source.map(({ body }) => body));
});

test.each([
  ["its signal", "call.aborted"],
  ["the first failure", "device.message_too_large"],
  ["close", "client.closed"],
])("sendAll ends with %s, and tells its source to stop", async (how, code) => {
  const world = new World({
    onEffect: (effect) => (effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect();
  let isStopped = false;
  async function* readings(): AsyncGenerator<Uint8Array> {
    try {
      for (let i = 0; ; i++) {
        if (how === "the first failure" && i === 3) yield Buffer.alloc(300_000);
        yield Buffer.from("x");
      }
    } finally {
      isStopped = true;
    }
  }
  const controller = new AbortController();
  const sending = new Outcome(client.sendAll(readings(), { signal: controller.signal }));
  await world.clock.settle();
  if (how === "its signal") controller.abort();
  if (how === "close") void client.close({ timeoutMs: 100 });
  await world.clock.advance(200);
  expect(sending.code).toBe(code);
  expect(isStopped).toBe(true);
});

test("sendAll into a durable outbox is done when all is on disk", async () => {
  const world = new OutboxWorld({ onOpen: () => Promise.reject(new Error("no network")) });
  const client = await world.start();
  const source = Array.from({ length: 500 }, (_, i) => `m${i}`);
  const sending = new Outcome(client.sendAll(source, { until: "accepted", concurrentMax: 50 }));
  await world.until(() => sending.isSettled);
  expect(sending.value).toEqual({ messages: 500 });
  world.kill("none");
  delete world.hub.script.onOpen;
  await world.start();
  await world.until(() => world.hub.texts.length === 500);
  expect(world.hub.texts).toEqual(source);
});

test.each([
  ["a kind there is not", { outbox: { kind: "tape" } }],
  ["an option there is not", { outbox: { kind: "memory", messageMax: 1 } }],
  ["a policy there is not", { outbox: { kind: "memory", whenFull: "explode" } }],
  ["no directory", { outbox: { kind: "durable" } }],
  ["no room at all", { outbox: { kind: "memory", messagesMax: 0 } }],
  ["a drain rate of nothing", { drainRate: 0 }],
  ["ids of another kind", { messageIds: "always" }],
])("%s is the caller's mistake, named", async (_name, options) => {
  const world = new World();
  const opening = world.connecting(options as object);
  await world.clock.settle();
  expect(opening.code).toBe("argument.invalid");
});

test.each([
  ["a priority there is not", { priority: "urgent" }],
  ["a time to live of nothing", { ttlMs: 0 }],
  ["a time to live that is no number", { ttlMs: "1s" }],
])("a message with %s is refused", async (_name, options) => {
  const world = new World();
  const client = await world.connect();
  await expect(client.enqueue("x", options as object)).rejects.toMatchObject({
    code: "argument.invalid",
  });
});

test("after close everything is refused by name", async () => {
  const world = new OutboxWorld();
  const client = await world.start();
  await world.settle(client.close());
  for (const call of [
    client.enqueue("x"),
    client.sendTelemetryBatch([{ body: "x" }]),
    client.sendAll(["x"]),
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- three
    await expect(call).rejects.toMatchObject({ code: "client.closed" });
  }
});

test("QoS 0 that did not reach the socket waits for the next connection when it was enqueued", async () => {
  const clock = new VirtualClock();
  const settings = resolveOptions(new World().options({ clock, qos: 0 }));
  const published: string[] = [];
  const uplink = {
    accepting: true,
    writable: true,
    session: {
      windowFree: 1,
      publish: ({ payload }: { payload: Uint8Array }) => {
        published.push(Buffer.from(payload).toString("utf8"));
        return 0;
      },
    },
    touch: () => undefined,
    requestDone: () => undefined,
  };
  const telemetry = new Telemetry(settings, uplink as unknown as Uplink, new Agenda(clock));
  await telemetry.enqueue("first", undefined);
  const told = new Outcome(telemetry.send("told", undefined));
  await telemetry.enqueue("second", undefined);
  expect(published).toEqual(["first", "told", "second"]);
  // The connection ends in the same turn, before anything was written.
  uplink.accepting = false;
  telemetry.disconnected();
  uplink.accepting = true;
  telemetry.pump(clock.nowMs());
  await clock.settle();
  expect(told.code).toBe("device.connection_lost");
  expect(published).toEqual(["first", "told", "second", "first", "second"]);
  expect(settings.stats.queueDepth).toBe(0);
});
