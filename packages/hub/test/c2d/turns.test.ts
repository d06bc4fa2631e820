import type { Qos } from "@hubwire/protocol";
import { systemClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { createC2d } from "../../src/domain/c2d/index.ts";
import type { C2dPort } from "../../src/domain/c2d/index.ts";
import { createHubMetrics, silentLogger } from "../../src/domain/observe.ts";
import type { C2dQueueStore } from "../../src/domain/ports.ts";
import { createMemoryStores } from "../../src/stores/memory/index.ts";

const clock = systemClock();
const ref = { deviceId: "dev1", moduleId: undefined };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A queue that answers `lock` and `release` only when told to, in any order. */
function setUp() {
  const { c2d: store } = createMemoryStores({ clock });
  const held: { name: string; go: () => void }[] = [];
  const hold = new Set<string>();
  const late = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    if (hold.has(name)) await new Promise<void>((go) => held.push({ name, go }));
    return work();
  };
  const lateStore = new Proxy(store, {
    get: (target, name: keyof C2dQueueStore) => {
      const method = target[name] as (...given: unknown[]) => Promise<unknown>;
      return (...given: unknown[]) => late(name, () => method.apply(target, given));
    },
  });
  const { delivery } = createC2d({
    store: lateStore,
    identities: { find: async () => undefined },
    clock,
    metrics: createHubMetrics(),
    logger: silentLogger,
    newMessageId: () => "id",
  });
  const release = (name: string): void => {
    hold.delete(name);
    for (const operation of held.splice(0)) {
      if (operation.name === name) operation.go();
      else held.push(operation);
    }
  };
  const enqueue = (text: string): Promise<unknown> =>
    store.enqueue(
      "dev1@1",
      {
        enqueuedAtMs: clock.wallMs(),
        expiresAtMs: clock.wallMs() + 1e6,
        properties: { version: 1, system: {}, application: [] },
        body: Buffer.from(text),
      },
      50,
    );
  return { store, delivery, hold, release, enqueue };
}

function port(): C2dPort & { sent: string[] } {
  let packetId = 0;
  return {
    ref,
    generationId: "1",
    c2dQos: 1 as Qos,
    windowFree: 5,
    writable: true,
    nextPacketId: 1,
    sent: [],
    publish(_, payload) {
      this.sent.push(Buffer.from(payload).toString());
      return ++packetId;
    },
    flush() {},
    resend() {},
    forget() {},
    close() {},
  };
}

test("a newer connection waits until the older one's locks are released", async () => {
  const { delivery, hold, release, enqueue, store } = setUp();
  await enqueue("a");
  const older = port();
  const first = await delivery.attach(older, { cleanSession: false });
  first.channel.open();
  await turn();
  expect(older.sent).toEqual(["a"]);
  hold.add("release");
  delivery.detach(older, first.channel, { cleanSession: false });
  const newer = port();
  const attaching = delivery.attach(newer, { cleanSession: false });
  await turn();
  await turn();
  let isIn = false;
  void attaching.then(() => (isIn = true));
  await turn();
  expect(isIn).toBe(false);
  release("release");
  const second = await attaching;
  expect(second.resend?.inflight.map(({ payload }) => Buffer.from(payload).toString())).toEqual([
    "a",
  ]);
  second.channel.open();
  second.channel.published(second.resend!.inflight[0]!.packetId);
  await turn();
  expect(await store.count("dev1@1")).toBe(0);
});

test("an older connection that is still attaching when it is taken over does not release the newer one's locks", async () => {
  const { delivery, hold, release, enqueue, store } = setUp();
  await enqueue("a");
  const before = port();
  const first = await delivery.attach(before, { cleanSession: false });
  first.channel.open();
  await turn();
  delivery.detach(before, first.channel, { cleanSession: false });
  hold.add("lock");
  const older = port();
  const olderAttaching = delivery.attach(older, { cleanSession: false });
  await turn();
  const newer = port();
  const newerAttaching = delivery.attach(newer, { cleanSession: false });
  await turn();
  release("lock");
  // Its connection is gone by now, so what it locked goes back.
  delivery.detach(older, (await olderAttaching).channel, { cleanSession: false });
  const { channel, resend } = await newerAttaching;
  channel.open();
  channel.published(resend!.inflight[0]!.packetId);
  await turn();
  expect(await store.count("dev1@1")).toBe(0);
});

test("an attach that fails lets the next one in", async () => {
  const { delivery, enqueue } = setUp();
  await enqueue("a");
  const broken = port();
  const first = await delivery.attach(broken, { cleanSession: false });
  first.channel.open();
  await turn();
  delivery.detach(broken, first.channel, { cleanSession: false });
  const unlucky = Object.defineProperty(port(), "c2dQos", {
    get: () => {
      throw new Error("unlucky");
    },
  });
  await expect(delivery.attach(unlucky, { cleanSession: false })).rejects.toThrow("unlucky");
  const { resend } = await delivery.attach(port(), { cleanSession: false });
  expect(resend?.inflight).toHaveLength(1);
});
