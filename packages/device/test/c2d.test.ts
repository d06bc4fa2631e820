import { expect, test } from "vitest";
import type { C2dMessage } from "@hubwire/device";
import { Outcome, World } from "./support/world.ts";

/** Reads a loop into an array; `complete` says which messages it completes. */
function collect(
  messages: AsyncIterable<C2dMessage>,
  complete: (message: C2dMessage) => boolean = () => true,
): { texts: string[]; all: C2dMessage[]; done: Outcome<void> } {
  const texts: string[] = [];
  const all: C2dMessage[] = [];
  const run = async (): Promise<void> => {
    for await (const message of messages) {
      texts.push(message.text());
      all.push(message);
      if (complete(message)) await message.complete();
    }
  };
  return { texts, all, done: new Outcome(run()) };
}

const devicebound = "devices/dev1/messages/devicebound/#";

test("a message is read with its properties and leaves the hub when completed", async () => {
  const world = new World();
  const client = await world.connect();
  const read = collect(client.messages(), () => false);
  await world.clock.settle();
  expect(world.hub.current.filters).toEqual([devicebound]);
  const packetId = world.hub.c2d('{"open":true}', {
    system: { messageId: "m1", contentType: "application/json", ack: "full" },
    application: { "a b": "c/d" },
  });
  await world.clock.settle();
  const [message] = read.all;
  expect(message).toMatchObject({
    messageId: "m1",
    contentType: "application/json",
    ack: "full",
    to: "/devices/dev1/messages/deviceBound",
    redelivered: false,
    duplicate: false,
    deliveryCount: 1,
  });
  expect({ ...message?.properties }).toEqual({ "a b": "c/d" });
  expect(message?.json()).toEqual({ open: true });
  expect(world.hub.completed).toEqual([]);
  await message?.complete();
  await world.clock.settle();
  expect(world.hub.completed).toEqual([packetId]);
  await message?.complete();
  await world.clock.settle();
  expect(world.hub.completed).toEqual([packetId]);
});

test("without a reader nothing is subscribed", async () => {
  const world = new World();
  await world.connect();
  await world.clock.settle();
  expect(world.hub.current.filters).toEqual([]);
});

test("what a resumed session delivers before anybody subscribed or reads is held for the first reader", async () => {
  const world = new World();
  const first = await world.connect();
  collect(first.messages());
  await world.clock.settle();
  await world.settle(first.close());
  const second = await world.connect();
  world.hub.c2d("a");
  world.hub.c2d("b");
  await world.clock.settle();
  expect(world.hub.completed).toEqual([]);
  const read = collect(second.messages());
  await world.clock.settle();
  expect(read.texts).toEqual(["a", "b"]);
  expect(world.hub.completed).toHaveLength(2);
});

test("a message in the very packet of CONNACK reaches the handler given to connect", async () => {
  const texts: string[] = [];
  const world = new World({
    onEffect: (effect, connection) => {
      if (effect.type !== "connect") return undefined;
      // The script's own answer: CONNACK and a message in one write.
      connection.request = effect.request;
      const accept = { sessionPresent: true, keepAliveTimeoutMs: 90_000 };
      connection.session.accept(accept, world.clock.nowMs());
      world.hub.c2d("early");
      return "taken";
    },
  });
  await world.connect({ onMessage: (message) => void texts.push(message.text()) });
  await world.clock.settle();
  expect(texts).toEqual(["early"]);
  expect(world.hub.completed).toHaveLength(1);
});

test("the handler's return completes a message; one stuck handler does not hold the others", async () => {
  const world = new World();
  let release = (): void => undefined;
  await world.connect({
    onMessage: async (message) => {
      if (message.text() === "stuck") await new Promise<void>((resolve) => (release = resolve));
    },
  });
  await world.clock.settle();
  const ids = ["stuck", "b", "c"].map((text) => world.hub.c2d(text));
  await world.clock.settle();
  expect(world.hub.completed).toEqual([ids[1], ids[2]]);
  release();
  await world.clock.settle();
  expect(world.hub.completed).toEqual([ids[1], ids[2], ids[0]]);
});

test("a handler that throws leaves the message, is told about, and gets it again when it is repeated", async () => {
  const world = new World();
  const errors: string[] = [];
  const seen: boolean[] = [];
  await world.connect({
    onMessage: (message) => {
      seen.push(message.redelivered);
      if (seen.length === 1) throw new Error("not now");
    },
    onError: (error, where) => errors.push(`${where}: ${(error as Error).message}`),
  });
  await world.clock.settle();
  const packetId = world.hub.c2d("x");
  await world.clock.settle();
  expect(errors).toEqual(["onMessage: not now"]);
  expect(world.hub.completed).toEqual([]);
  world.hub.current.session.resend(packetId);
  world.hub.current.driver.touch();
  await world.clock.settle();
  expect(seen).toEqual([false, true]);
  expect(world.hub.completed).toEqual([packetId]);
});

test("a repetition of a message still with its handler is not handed over twice, and is completed where it came last", async () => {
  const world = new World();
  let finish = (): void => undefined;
  let calls = 0;
  const client = await world.connect({
    onMessage: async () => {
      calls += 1;
      await new Promise<void>((resolve) => (finish = resolve));
    },
  });
  await world.clock.settle();
  const packetId = world.hub.c2d("x");
  await world.clock.settle();
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "connected" && world.hub.opened === 2);
  await world.clock.settle();
  expect(calls).toBe(1);
  finish();
  await world.clock.settle();
  expect(world.hub.completed).toEqual([packetId]);
});

test("a message completed while there was no connection is completed when it comes again", async () => {
  const world = new World();
  const client = await world.connect();
  const read = collect(client.messages(), () => false);
  await world.clock.settle();
  const packetId = world.hub.c2d("x");
  await world.clock.settle();
  world.hub.cut();
  await world.clock.settle();
  await read.all[0]?.complete();
  await world.clock.runUntil(() => world.hub.opened === 2 && client.status().state === "connected");
  await world.clock.settle();
  expect(world.hub.completed).toEqual([packetId]);
  expect(read.texts).toEqual(["x"]);
});

test("a loop left in the middle of a message leaves it for the next loop", async () => {
  const world = new World();
  const client = await world.connect();
  const left = (async () => {
    for await (const message of client.messages()) return message.text();
    return undefined;
  })();
  await world.clock.settle();
  const packetId = world.hub.c2d("x");
  expect(await world.settle(left)).toBe("x");
  const next = collect(client.messages());
  world.hub.current.session.resend(packetId);
  world.hub.current.driver.touch();
  await world.clock.settle();
  expect(next.texts).toEqual(["x"]);
  expect(next.all[0]).toMatchObject({ redelivered: true, duplicate: false, deliveryCount: 2 });
  expect(world.hub.completed).toEqual([packetId]);
});

test("several loops share the messages, each goes to one", async () => {
  const world = new World();
  const client = await world.connect();
  const reads = [collect(client.messages()), collect(client.messages())];
  await world.clock.settle();
  for (let i = 0; i < 10; i++) {
    world.hub.c2d(`m${i}`);
    await world.clock.settle();
  }
  const texts = reads.flatMap((read) => read.texts);
  expect(texts.toSorted()).toEqual(Array.from({ length: 10 }, (_, i) => `m${i}`));
});

test("above receiveMax reading stops, and goes on when messages are completed", async () => {
  const world = new World();
  const client = await world.connect({ receiveMax: 4 });
  const read = collect(client.messages(), () => false);
  await world.clock.settle();
  for (let i = 0; i < 20; i++) {
    world.hub.c2d(`m${i}`);
    await world.clock.settle();
  }
  expect(read.all.length).toBeLessThanOrEqual(6);
  let completed = 0;
  while (completed < 20) {
    for (const message of read.all.slice(completed)) {
      completed += 1;
      await message.complete();
    }
    await world.clock.settle();
  }
  expect(read.texts).toEqual(Array.from({ length: 20 }, (_, i) => `m${i}`));
});

test("a bag nobody can read costs the properties, not the message", async () => {
  const world = new World();
  const client = await world.connect();
  const read = collect(client.messages());
  await world.clock.settle();
  world.hub.publish("devices/dev1/messages/devicebound/%24.mid=%E0%A4%A&=", "body", 1);
  await world.clock.settle();
  expect(read.texts).toEqual(["body"]);
  expect(read.all[0]?.messageId).toBeUndefined();
});

test("a refused subscription ends the loop and shows in the status", async () => {
  const world = new World({
    onEffect: (effect, { session, driver }) => {
      if (effect.type !== "subscribe") return undefined;
      session.suback(
        effect.packetId,
        effect.filters.map(() => 0x80),
      );
      driver.touch();
      return "taken";
    },
  });
  const client = await world.connect();
  const read = collect(client.messages());
  await world.clock.settle();
  expect(read.done.code).toBe("device.subscription_refused");
  expect(client.status()).toMatchObject({ cause: { code: "device.subscription_refused" } });
});

test("a SUBSCRIBE that is never answered: the connection is given up and the subscription asked for again", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "subscribe" ? "taken" : undefined),
  });
  const client = await world.connect({ retryIntervalMs: 5_000 });
  const read = collect(client.messages());
  await world.clock.runUntil(() => client.status().state === "waiting");
  expect(client.status()).toMatchObject({ cause: { code: "device.ack_timeout" } });
  silent = false;
  await world.clock.runUntil(() => client.status().state === "connected");
  world.hub.c2d("x");
  await world.clock.settle();
  expect(read.texts).toEqual(["x"]);
});

test("a hub that forgot the session gets the subscriptions again", async () => {
  const world = new World();
  const client = await world.connect({ methods: { m: () => undefined } });
  const read = collect(client.messages());
  await world.clock.settle();
  world.hub.forgetSession();
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "connected");
  await world.clock.settle();
  expect(world.hub.current.filters.toSorted()).toEqual(["$iothub/methods/POST/#", devicebound]);
  world.hub.c2d("x");
  await world.clock.settle();
  expect(read.texts).toEqual(["x"]);
});

test("loops end quietly on close, throw on abort, and are refused beside onMessage", async () => {
  const world = new World();
  const client = await world.connect();
  const controller = new AbortController();
  const closing = collect(client.messages());
  const aborting = collect(client.messages({ signal: controller.signal }));
  await world.clock.settle();
  controller.abort();
  await world.clock.settle();
  expect(aborting.done.code).toBe("call.aborted");
  await world.settle(client.close());
  expect(closing.done.code).toBe("value");
  const late = collect(client.messages());
  const already = collect(client.messages({ signal: AbortSignal.abort() }));
  await world.clock.settle();
  expect([late.done.code, already.done.code]).toEqual(["client.closed", "call.aborted"]);

  const other = await world.connect({ onMessage: () => undefined });
  const beside = collect(other.messages());
  await world.clock.settle();
  expect(beside.done.code).toBe("argument.invalid");
});
