import { expect, test } from "vitest";
import type { DesiredChange } from "@hubwire/device";
import { Outcome, World } from "./support/world.ts";

function collect(changes: AsyncIterable<DesiredChange>): {
  seen: DesiredChange[];
  done: Outcome<void>;
} {
  const seen: DesiredChange[] = [];
  const run = async (): Promise<void> => {
    for await (const change of changes) seen.push(change);
  };
  return { seen, done: new Outcome(run()) };
}

test("first the whole section, then each change with the section after it", async () => {
  const world = new World();
  world.hub.twin.desired = { a: 1, b: { c: 2 } };
  const client = await world.connect();
  const { seen } = collect(client.desiredProperties());
  await world.clock.settle();
  world.hub.desire({ a: 5 });
  world.hub.desire({ b: null });
  await world.clock.settle();
  expect(seen).toEqual([
    { patch: { a: 1, b: { c: 2 } }, desired: { a: 1, b: { c: 2 } }, version: 1 },
    { patch: { a: 5 }, desired: { a: 5, b: { c: 2 } }, version: 2 },
    { patch: { b: null }, desired: { a: 5 }, version: 3 },
  ]);
});

test("a missing notification is repaired by reading the twin: nothing is skipped, nothing told twice", async () => {
  const world = new World();
  const client = await world.connect();
  const { seen } = collect(client.desiredProperties());
  await world.clock.settle();
  world.hub.desire({ a: 1 });
  world.hub.desire({ b: 2 }, true);
  world.hub.desire({ c: 3 });
  await world.clock.settle();
  expect(seen.at(-1)).toEqual({
    patch: { b: 2, c: 3 },
    desired: { a: 1, b: 2, c: 3 },
    version: 4,
  });
  expect(seen.map(({ version }) => version)).toEqual([1, 2, 4]);
});

test("what changed while the device was away comes as one change after the reconnect", async () => {
  const world = new World();
  world.hub.twin.desired = { a: 1, b: 2 };
  const client = await world.connect();
  const { seen } = collect(client.desiredProperties());
  await world.clock.settle();
  world.hub.cut();
  await world.clock.settle();
  world.hub.desire({ a: 3, c: 4 }, true);
  world.hub.desire({ b: null }, true);
  await world.clock.runUntil(() => seen.length === 2);
  expect(seen[1]).toEqual({
    patch: { a: 3, b: null, c: 4 },
    desired: { a: 3, c: 4 },
    version: 3,
  });
  world.hub.cut();
  await world.clock.advance(60_000);
  // A reconnect without news is no event.
  expect(seen).toHaveLength(2);
});

test("notifications that overtake the first answer are not lost", async () => {
  const world = new World({
    onEffect: (effect, connection, hub) => {
      if (effect.type !== "message" || !effect.topic.startsWith("$iothub/twin/GET/"))
        return undefined;
      const rid = /\$rid=([^&]+)/.exec(effect.topic)?.[1] as string;
      const answer = JSON.stringify({ desired: { $version: 1 }, reported: { $version: 1 } });
      // Changed after the hub had read the twin and before its answer left.
      if (hub.twin.desiredVersion === 1) hub.desire({ a: 1 });
      hub.answerTwin(connection, 200, rid, answer);
      return "taken";
    },
  });
  const client = await world.connect();
  const { seen } = collect(client.desiredProperties());
  await world.clock.settle();
  expect(seen.map(({ desired, version }) => [desired, version])).toEqual([
    [{}, 1],
    [{ a: 1 }, 2],
  ]);
});

test("old, repeated and unreadable notifications change nothing", async () => {
  const world = new World();
  const client = await world.connect();
  const { seen } = collect(client.desiredProperties());
  await world.clock.settle();
  world.hub.desire({ a: 1 });
  const topic = "$iothub/twin/PATCH/properties/desired/?$version=";
  world.hub.publish(`${topic}2`, '{"a":"again","$version":2}', 0);
  world.hub.publish(`${topic}1`, '{"a":"old","$version":1}', 0);
  world.hub.publish(`${topic}3`, "no json", 0);
  world.hub.publish(`${topic}x`, "{}", 0);
  await world.clock.settle();
  expect(seen.map(({ desired }) => desired)).toEqual([{}, { a: 1 }]);
});

test("later readers begin with the whole section, and all hear the same from then on", async () => {
  const world = new World();
  const client = await world.connect();
  const first = collect(client.desiredProperties());
  await world.clock.settle();
  world.hub.desire({ a: 1 });
  await world.clock.settle();
  const second = collect(client.desiredProperties());
  await world.clock.settle();
  expect(second.seen).toEqual([{ patch: { a: 1 }, desired: { a: 1 }, version: 2 }]);
  world.hub.desire({ b: 2 });
  await world.clock.settle();
  expect(first.seen.at(-1)).toEqual(second.seen.at(-1));
});

test("a reader that comes back after nobody read gets the present state", async () => {
  const world = new World();
  const client = await world.connect();
  const controller = new AbortController();
  const first = collect(client.desiredProperties({ signal: controller.signal }));
  await world.clock.settle();
  controller.abort();
  await world.clock.settle();
  expect(first.done.code).toBe("call.aborted");
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "connected" && world.hub.opened === 2);
  world.hub.desire({ a: 1 }, true);
  const second = collect(client.desiredProperties());
  await world.clock.settle();
  expect(second.seen).toEqual([{ patch: { a: 1 }, desired: { a: 1 }, version: 2 }]);
});

test("a slow reader gets everything it missed as one change, from bounded memory", async () => {
  const world = new World();
  const client = await world.connect();
  const changes = client.desiredProperties();
  const first = await world.settle(changes.next());
  expect(first.value?.version).toBe(1);
  for (let i = 0; i < 200; i++) {
    world.hub.desire({ [`k${i % 10}`]: i });
    await world.clock.settle();
  }
  const read: DesiredChange[] = [];
  for (;;) {
    const { value } = await world.settle(changes.next());
    read.push(value as DesiredChange);
    if (value?.version === 201) break;
  }
  expect(read.length).toBeLessThanOrEqual(64);
  let section: Record<string, unknown> = {};
  for (const { patch, desired } of read) {
    section = { ...section, ...patch };
    expect(section).toEqual(desired);
  }
});

test("documents are frozen: one reader cannot change another's", async () => {
  const world = new World();
  world.hub.twin.desired = { a: { b: 1 } };
  const client = await world.connect();
  const { seen } = collect(client.desiredProperties());
  await world.clock.settle();
  expect(() => {
    ((seen[0] as DesiredChange).desired["a"] as Record<string, unknown>)["b"] = 2;
  }).toThrow(TypeError);
});

test("a hub that cannot answer the first GET is asked again; a refusal ends the loop", async () => {
  for (const [status, expected] of [
    [500, "pending"],
    [429, "pending"],
    [404, "device.twin_refused"],
  ] as const) {
    let failing = true;
    const world = new World({
      onEffect: (effect, connection, hub) => {
        if (!failing || effect.type !== "message") return undefined;
        const rid = /\$rid=([^&]+)/.exec(effect.topic)?.[1] as string;
        hub.answerTwin(connection, status, rid, "");
        return "taken";
      },
    });
    const client = await world.connect();
    const read = collect(client.desiredProperties());
    await world.clock.advance(12_000);
    expect(read.done.code).toBe(expected);
    failing = false;
    // After 429 the client slows down as a whole.
    await world.clock.advance(status === 429 ? 60_000 : 5_000);
    expect(read.seen).toHaveLength(expected === "pending" ? 1 : 0);
    if (expected === "pending") continue;
    const again = collect(client.desiredProperties());
    await world.clock.settle();
    expect(again.seen).toHaveLength(1);
  }
});

test("a twin made anew, with versions from the beginning, is taken as it is", async () => {
  const world = new World();
  world.hub.twin = { desired: { a: 1 }, desiredVersion: 9, reportedVersion: 1 };
  const client = await world.connect();
  const { seen } = collect(client.desiredProperties());
  await world.clock.settle();
  world.hub.twin = { desired: { b: 2 }, desiredVersion: 1, reportedVersion: 1 };
  world.hub.cut();
  await world.clock.runUntil(() => seen.length === 2);
  expect(seen[1]).toEqual({ patch: { a: null, b: 2 }, desired: { b: 2 }, version: 1 });
  world.hub.desire({ c: 3 });
  await world.clock.settle();
  expect(seen[2]).toMatchObject({ version: 2, desired: { b: 2, c: 3 } });
});

test("loops end quietly on close and are refused after it", async () => {
  const world = new World();
  const client = await world.connect();
  const read = collect(client.desiredProperties());
  await world.clock.settle();
  await world.settle(client.close());
  expect(read.done.code).toBe("value");
  const late = collect(client.desiredProperties());
  await world.clock.settle();
  expect(late.done.code).toBe("client.closed");
});
