import { expect, test } from "vitest";
import { OutboxWorld } from "./support/outbox-world.ts";
import { Outcome } from "./support/world.ts";

const texts = (count: number, prefix = "m"): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/** First arrivals, in order. */
const distinct = (all: readonly string[]): string[] => [...new Set(all)];

test("a message accepted while offline survives kill -9 and is sent by the next process, once it is connected", async () => {
  const world = new OutboxWorld({ onOpen: () => Promise.reject(new Error("no network")) });
  const client = await world.start();
  const accepted = texts(10).map((text) => new Outcome(client.enqueue(text)));
  await world.until(() => accepted.every(({ isSettled }) => isSettled));
  const ids = accepted.map(({ value }) => value.messageId);
  expect(new Set(ids).size).toBe(10);
  world.kill("none");
  delete world.hub.script.onOpen;
  await world.start();
  await world.until(() => world.hub.telemetry.length === 10);
  expect(world.hub.texts).toEqual(texts(10));
  expect(world.hub.telemetry.map(({ topic }) => /%24\.mid=([^&]*)/.exec(topic)?.[1])).toEqual(ids);
});

test("what the hub acknowledged is not sent by the next process", async () => {
  const world = new OutboxWorld();
  const client = await world.start();
  for (const text of texts(5)) await world.settle(client.sendTelemetry(text));
  await world.clock.advance(2_000);
  world.kill("none");
  const next = await world.start();
  await world.settle(next.sendTelemetry("last"));
  expect(world.hub.texts).toEqual([...texts(5), "last"]);
});

test("close() saves what is done and keeps what is not", async () => {
  const world = new OutboxWorld();
  const client = await world.start();
  await world.settle(client.sendTelemetry("sent"));
  world.hub.script.onOpen = () => Promise.reject(new Error("no network"));
  world.hub.cut();
  await world.clock.settle();
  await world.settle(client.enqueue("kept"));
  await world.settle(client.close());
  world.kill("none");
  delete world.hub.script.onOpen;
  await world.start();
  await world.until(() => world.hub.telemetry.length === 2);
  expect(distinct(world.hub.texts)).toEqual(["sent", "kept"]);
});
