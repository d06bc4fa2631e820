import { describe, expect, test } from "vitest";
import type { DroppedMessage, OutboxOptions, Priority } from "@hubwire/device";
import { OutboxWorld } from "./support/outbox-world.ts";
import { Outcome } from "./support/world.ts";

type Bounds = Omit<Extract<OutboxOptions, { kind: "memory" }>, "kind">;

/** Both kinds of outbox keep the same promises about room. */
const kinds = ["memory", "durable"] as const;

async function offline(kind: (typeof kinds)[number], bounds: Bounds) {
  const world = new OutboxWorld({ onOpen: () => Promise.reject(new Error("no network")) });
  const dropped: DroppedMessage[] = [];
  const onDropped = (message: DroppedMessage): void => void dropped.push(message);
  const client =
    kind === "durable"
      ? await world.start({ drainRate: 1_000_000 }, { ...bounds, onDropped })
      : await world.start({ outbox: { kind: "memory", ...bounds, onDropped } });
  const give = async (text: string, priority: Priority = "normal"): Promise<string> => {
    const outcome = new Outcome(client.enqueue(text, { priority, messageId: `id-${text}` }));
    await world.until(() => outcome.isSettled);
    return outcome.code;
  };
  const online = async (): Promise<string[]> => {
    delete world.hub.script.onOpen;
    await world.until(() => client.stats().queueDepth === 0);
    return world.hub.texts;
  };
  return { world, client, give, online, dropped };
}

describe.each(kinds)("a full %s outbox", (kind) => {
  test("refuses: the caller is told to slow down, nothing is lost", async () => {
    const { client, give, online, dropped } = await offline(kind, { messagesMax: 3 });
    expect([await give("a"), await give("b"), await give("c"), await give("d")]).toEqual([
      "value",
      "value",
      "value",
      "device.queue_full",
    ]);
    expect(client.stats().queueDepth).toBe(3);
    expect(await online()).toEqual(["a", "b", "c"]);
    expect(dropped).toEqual([]);
  });

  test("drops the oldest: the newest are what is kept", async () => {
    const { client, give, online, dropped } = await offline(kind, {
      messagesMax: 3,
      whenFull: "drop-oldest",
    });
    for (const text of ["a", "b", "c", "d", "e"]) expect(await give(text)).toBe("value");
    expect(await online()).toEqual(["c", "d", "e"]);
    expect(client.stats().dropped.queue_full_oldest).toBe(2);
    expect(dropped).toEqual(
      ["id-a", "id-b"].map((messageId) => ({
        reason: "queue_full_oldest",
        messageId,
        priority: "normal",
      })),
    );
  });

  test("drops the newest: what happened first is kept", async () => {
    const { client, give, online } = await offline(kind, {
      messagesMax: 2,
      whenFull: "drop-newest",
    });
    expect([await give("a"), await give("b"), await give("c")]).toEqual([
      "value",
      "value",
      "device.dropped_newest",
    ]);
    expect(await online()).toEqual(["a", "b"]);
    expect(client.stats().dropped.queue_full_newest).toBe(1);
  });

  test("drops the lowest priority, and the new one when nothing is lower", async () => {
    const { client, give, online, dropped } = await offline(kind, {
      messagesMax: 3,
      whenFull: "drop-lowest-priority",
    });
    const codes = [
      await give("low 1", "low"),
      await give("normal 1"),
      await give("low 2", "low"),
      await give("high 1", "high"),
      await give("high 2", "high"),
      await give("normal 2"),
      await give("high 3", "high"),
      await give("high 4", "high"),
    ];
    expect(codes).toEqual([
      "value",
      "value",
      "value",
      "value",
      "value",
      "device.dropped_priority",
      "value",
      "device.dropped_priority",
    ]);
    expect(dropped.map(({ messageId }) => messageId)).toEqual([
      "id-low 1",
      "id-low 2",
      "id-normal 1",
    ]);
    expect(client.stats().dropped.priority).toBe(5);
    expect(await online()).toEqual(["high 1", "high 2", "high 3"]);
  });

  test("counts bytes as well as messages", async () => {
    const { give, online } = await offline(kind, { bytesMax: 8_000, whenFull: "drop-oldest" });
    const bodies = ["a", "b", "c"].map((text) => text.repeat(1_500));
    for (const body of bodies) expect(await give(body)).toBe("value");
    expect(await online()).toEqual(bodies.slice(1));
  });

  test("what waits too long is given up, and told so", async () => {
    const { world, client, give, online, dropped } = await offline(kind, {});
    const short = new Outcome(client.sendTelemetry("short", { ttlMs: 2_000 }));
    await give("long");
    await world.clock.advance(1_999);
    expect(short.code).toBe("pending");
    await world.clock.advance(1);
    expect(short.code).toBe("device.dropped_expired");
    expect(client.stats().dropped.expired).toBe(1);
    expect(dropped).toMatchObject([{ reason: "expired" }]);
    expect(await online()).toEqual(["long"]);
  });

  test("more urgent messages overtake, among equals order is kept", async () => {
    const { give, online } = await offline(kind, {});
    for (const n of [1, 2]) {
      await give(`low ${n}`, "low");
      await give(`normal ${n}`);
      await give(`high ${n}`, "high");
    }
    expect(await online()).toEqual(["high 1", "high 2", "normal 1", "normal 2", "low 1", "low 2"]);
  });
});

test("a backlog leaves at the drain rate, and what is urgent does not wait behind it", async () => {
  const { world, client, give } = await offline("durable", {});
  for (let i = 0; i < 50; i++) await give(`old ${i}`);
  await world.settle(client.close());
  delete world.hub.script.onOpen;
  const next = await world.start({ drainRate: 10 });
  await world.until(() => world.hub.isConnected);
  await world.clock.advance(1_000);
  const early = world.hub.texts.length;
  expect(early).toBeGreaterThanOrEqual(10);
  expect(early).toBeLessThanOrEqual(21);
  const urgent = new Outcome(next.sendTelemetry("urgent", { priority: "high" }));
  const live = new Outcome(next.sendTelemetry("live"));
  await world.clock.advance(100);
  expect(urgent.code).toBe("value");
  expect(live.code).toBe("pending");
  await world.clock.advance(5_000);
  expect(live.code).toBe("value");
  expect(world.hub.texts.filter((text) => text !== "urgent")).toEqual([
    ...Array.from({ length: 50 }, (_, i) => `old ${i}`),
    "live",
  ]);
});

test("with a durable outbox a call's time-out ends the call and not the message", async () => {
  const { world, client, online } = await offline("durable", {});
  const late = new Outcome(client.sendTelemetry("late", { timeoutMs: 1_000 }));
  const controller = new AbortController();
  const aborted = new Outcome(client.sendTelemetry("aborted", { signal: controller.signal }));
  await world.clock.advance(1_000);
  controller.abort();
  await world.clock.settle();
  expect([late.code, aborted.code]).toEqual(["call.timeout", "call.aborted"]);
  expect(late.error.message).toContain("it stays in the outbox");
  expect(await online()).toEqual(["late", "aborted"]);
});

test("the time to live goes on while no process runs", async () => {
  const { world, client } = await offline("durable", {});
  await world.settle(client.enqueue("short", { ttlMs: 60_000 }));
  await world.settle(client.enqueue("long"));
  await world.settle(client.close());
  await world.clock.advance(61_000);
  delete world.hub.script.onOpen;
  const next = await world.start();
  await world.until(() => next.stats().queueDepth === 0);
  expect(world.hub.texts).toEqual(["long"]);
  expect(next.stats().dropped.expired).toBe(1);
});
