import { expect, test } from "vitest";
import type { C2dMessage } from "@hubwire/device";
import { World } from "./support/world.ts";

/** A handler whose runs the test ends one by one. */
class Slow {
  readonly seen: C2dMessage[] = [];
  readonly signals: AbortSignal[] = [];
  readonly #ends: { resolve: () => void; reject: (error: Error) => void }[] = [];

  readonly handler = (message: C2dMessage, { signal }: { signal: AbortSignal }): Promise<void> => {
    this.seen.push(message);
    this.signals.push(signal);
    return new Promise<void>((resolve, reject) => this.#ends.push({ resolve, reject }));
  };

  finish(run: number): void {
    this.#ends[run]?.resolve();
  }

  fail(run: number): void {
    this.#ends[run]?.reject(new Error("not now"));
  }
}

const withId = (messageId: string) => ({ system: { messageId } });

test("nothing is acknowledged before the handler has finished, however long it takes", async () => {
  const world = new World();
  const slow = new Slow();
  await world.connect({ onMessage: slow.handler });
  await world.clock.settle();
  const packetId = world.hub.c2d("x");
  await world.clock.advance(30_000);
  expect(slow.seen).toHaveLength(1);
  expect(world.hub.completed).toEqual([]);
  slow.finish(0);
  await world.clock.settle();
  expect(world.hub.completed).toEqual([packetId]);
});

test("a message that comes again under another packet identifier while its handler runs is not handed over again; finishing completes both deliveries", async () => {
  const world = new World();
  const slow = new Slow();
  const client = await world.connect({ onMessage: slow.handler });
  await world.clock.settle();
  const first = world.hub.c2d("x", withId("m1"));
  await world.clock.settle();
  // The lock ran out: the hub takes it for a new delivery.
  const second = world.hub.c2d("x", withId("m1"));
  await world.clock.settle();
  expect(slow.seen).toHaveLength(1);
  expect(first).not.toBe(second);
  slow.finish(0);
  await world.clock.settle();
  expect(new Set(world.hub.completed)).toEqual(new Set([first, second]));
  expect(client.stats()).toMatchObject({ c2dReceived: 2, c2dDuplicates: 1, c2dCompleted: 1 });
});

test("a message that comes again after the hub lost the session is not handed over while its handler runs, and finishing completes the new delivery", async () => {
  const world = new World();
  const slow = new Slow();
  const client = await world.connect({ onMessage: slow.handler });
  await world.clock.settle();
  world.hub.c2d("x", withId("m1"));
  await world.clock.settle();
  world.hub.forgetSession();
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "connected");
  await world.clock.settle();
  const again = world.hub.c2d("x", withId("m1"));
  await world.clock.settle();
  expect(slow.seen).toHaveLength(1);
  slow.finish(0);
  await world.clock.settle();
  expect(world.hub.completed).toEqual([again]);
});

test("two messages that say the same are two, unless they have one id", async () => {
  const world = new World();
  const slow = new Slow();
  await world.connect({ onMessage: slow.handler });
  await world.clock.settle();
  world.hub.c2d("x");
  world.hub.c2d("x");
  world.hub.c2d("x", withId("m1"));
  world.hub.c2d("y", withId("m1"));
  await world.clock.settle();
  expect(slow.seen.map((message) => message.text())).toEqual(["x", "x", "x", "y"]);
});

test("what comes again after it was completed says that it is a duplicate", async () => {
  const world = new World();
  const seen: [boolean, boolean, number][] = [];
  await world.connect({
    onMessage: ({ redelivered, duplicate, deliveryCount }) => {
      seen.push([redelivered, duplicate, deliveryCount]);
    },
  });
  await world.clock.settle();
  for (let i = 0; i < 3; i++) {
    world.hub.c2d("x", withId("m1"));
    await world.clock.settle();
  }
  expect(seen).toEqual([
    [false, false, 1],
    [true, true, 2],
    [true, true, 3],
  ]);
});

test("what comes again after its handler failed is redelivered and no duplicate", async () => {
  const world = new World();
  const slow = new Slow();
  await world.connect({ onMessage: slow.handler, onError: () => undefined });
  await world.clock.settle();
  world.hub.c2d("x", withId("m1"));
  await world.clock.settle();
  slow.fail(0);
  await world.clock.settle();
  world.hub.c2d("x", withId("m1"));
  await world.clock.settle();
  expect(slow.seen[1]).toMatchObject({ redelivered: true, duplicate: false, deliveryCount: 2 });
});

test("only the last thousand ids are remembered", async () => {
  const world = new World();
  const seen: boolean[] = [];
  await world.connect({ onMessage: ({ duplicate }) => void seen.push(duplicate) });
  await world.clock.settle();
  for (let i = 0; i <= 1_000; i++) {
    world.hub.c2d("x", withId(`m${i}`));
    await world.clock.settle();
  }
  world.hub.c2d("x", withId("m1000"));
  await world.clock.settle();
  world.hub.c2d("x", withId("m0"));
  await world.clock.settle();
  expect(seen.slice(-2)).toEqual([true, false]);
});

test("a handler's time: its signal is aborted, the error told, the message comes again and is handed over again", async () => {
  const world = new World();
  const slow = new Slow();
  const errors: unknown[] = [];
  await world.connect({
    onMessage: slow.handler,
    messageTimeoutMs: 5_000,
    onError: (error, where) => errors.push([where, (error as { code: string }).code]),
  });
  await world.clock.settle();
  const packetId = world.hub.c2d("x");
  await world.clock.advance(4_999);
  expect(slow.signals[0]?.aborted).toBe(false);
  await world.clock.advance(2);
  expect(slow.signals[0]?.aborted).toBe(true);
  expect(errors).toEqual([["onMessage", "device.message_handler_timeout"]]);
  expect(world.hub.completed).toEqual([]);
  world.hub.current.session.resend(packetId);
  world.hub.current.driver.touch();
  await world.clock.settle();
  expect(slow.seen).toHaveLength(2);
  slow.finish(1);
  await world.clock.settle();
  expect(world.hub.completed).toEqual([packetId]);
  slow.fail(0);
  await world.clock.settle();
  // Told again, because it is another failure, and nothing else happens.
  expect(errors).toHaveLength(2);
  expect(world.hub.completed).toEqual([packetId]);
});

test("a handler that finishes after its time, before the message came again, completes it", async () => {
  const world = new World();
  const slow = new Slow();
  await world.connect({
    onMessage: slow.handler,
    messageTimeoutMs: 5_000,
    onError: () => undefined,
  });
  await world.clock.settle();
  const packetId = world.hub.c2d("x");
  await world.clock.advance(6_000);
  slow.finish(0);
  await world.clock.settle();
  expect(world.hub.completed).toEqual([packetId]);
});

test("handlers by filter: the first that wants a message gets it, the rest goes to the one without filter", async () => {
  const world = new World();
  const log: string[] = [];
  const client = await world.connect();
  const kind = (message: C2dMessage): string => message.properties["kind"] ?? "";
  client.onMessage((message) => void log.push(`rest ${message.text()}`));
  const remove = client.onMessage((message) => void log.push(`a ${message.text()}`), {
    filter: (message) => kind(message) === "a",
  });
  client.onMessage((message) => void log.push(`ab ${message.text()}`), {
    filter: (message) => kind(message) !== "",
  });
  expect(() => client.onMessage(() => undefined)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
  await world.clock.settle();
  const send = async (text: string, application: Record<string, string>): Promise<void> => {
    world.hub.c2d(text, { application });
    await world.clock.settle();
  };
  await send("1", { kind: "a" });
  await send("2", { kind: "b" });
  await send("3", {});
  remove();
  remove();
  await send("4", { kind: "a" });
  expect(log).toEqual(["a 1", "ab 2", "rest 3", "ab 4"]);
  expect(world.hub.completed).toHaveLength(4);
});

test("a filter that throws has not said yes, and is told about", async () => {
  const world = new World();
  const errors: string[] = [];
  const texts: string[] = [];
  const client = await world.connect({ onError: (_error, where) => errors.push(where) });
  client.onMessage(() => undefined, {
    filter: () => {
      throw new Error("no");
    },
  });
  client.onMessage((message) => void texts.push(message.text()));
  await world.clock.settle();
  world.hub.c2d("x");
  await world.clock.settle();
  expect([errors, texts]).toEqual([["onMessage filter"], ["x"]]);
});

test("what came before a handler was there is handed to it, and loops share what filters leave", async () => {
  const world = new World();
  const client = await world.connect();
  const read: string[] = [];
  const loop = client.messages();
  await world.clock.settle();
  world.hub.c2d("held", { application: { kind: "a" } });
  await world.clock.settle();
  const handled: string[] = [];
  client.onMessage((message) => void handled.push(message.text()), {
    filter: (message) => message.properties["kind"] === "a",
  });
  await world.clock.settle();
  expect(handled).toEqual(["held"]);
  expect(() => client.onMessage(() => undefined)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
  void (async () => {
    for await (const message of loop) {
      read.push(message.text());
      await message.complete();
    }
  })();
  world.hub.c2d("other");
  await world.clock.settle();
  expect(read).toEqual(["other"]);
});

test("close waits for handlers at work, so that what they finish is completed", async () => {
  const world = new World();
  const slow = new Slow();
  const client = await world.connect({ onMessage: slow.handler });
  await world.clock.settle();
  const packetId = world.hub.c2d("x");
  await world.clock.settle();
  const closing = client.close();
  await world.clock.advance(5_000);
  slow.finish(0);
  await world.settle(closing, 0);
  expect(world.hub.completed).toEqual([packetId]);
});

test("a handler that outlasts close has its signal aborted, and acknowledges nothing any more", async () => {
  const world = new World();
  const slow = new Slow();
  const client = await world.connect({ onMessage: slow.handler });
  await world.clock.settle();
  world.hub.c2d("x");
  await world.clock.settle();
  await world.settle(client.close());
  expect(slow.signals[0]?.reason).toMatchObject({ code: "client.closed" });
  slow.finish(0);
  await world.clock.settle();
  expect(world.hub.completed).toEqual([]);
  expect(() => client.onMessage(() => undefined)).toThrow(
    expect.objectContaining({ code: "client.closed" }),
  );
});
