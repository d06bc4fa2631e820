import { expect, test } from "vitest";
import type { DesiredChange } from "@hubwire/device";
import { Outcome, seeded, World } from "./support/world.ts";

test("the copy is unknown at first, and getTwin fills it", async () => {
  const world = new World();
  world.hub.twin.desired = { a: 1 };
  world.hub.reported = { r: 1 };
  const client = await world.connect();
  expect(client.twin).toMatchObject({ desiredVersion: 0, reportedVersion: 0, isCurrent: false });
  expect(client.twin.ageMs).toBe(Infinity);
  await world.settle(client.getTwin());
  await world.clock.advance(500);
  expect(client.twin).toMatchObject({
    desired: { a: 1 },
    desiredVersion: 1,
    reported: { r: 1 },
    reportedVersion: 1,
    // Nobody follows the changes.
    isCurrent: false,
    ageMs: 500,
  });
});

test("followTwin keeps both sections current: notifications and acknowledged reports are merged in", async () => {
  const world = new World();
  const client = await world.connect();
  const twin = await world.settle(client.followTwin());
  expect(twin).toBe(client.twin);
  expect(twin.isCurrent).toBe(true);
  world.hub.desire({ a: 1 });
  await world.settle(client.reportProperties({ r: { s: 1 } }));
  await world.settle(client.reportProperties({ r: { t: 2 }, q: null }));
  expect(twin).toMatchObject({
    desired: { a: 1 },
    desiredVersion: 2,
    reported: { r: { s: 1, t: 2 } },
    reportedVersion: 3,
    isCurrent: true,
  });
  expect(() => {
    (twin.reported["r"] as Record<string, unknown>)["s"] = 2;
  }).toThrow(TypeError);
});

test("after a reconnect the copy is not current until the twin was read again, and then has what was missed", async () => {
  const world = new World();
  const client = await world.connect();
  await world.settle(client.followTwin());
  world.hub.cut();
  await world.clock.settle();
  expect(client.twin.isCurrent).toBe(false);
  world.hub.desire({ missed: 1 }, true);
  world.hub.reported = { elsewhere: 1 };
  world.hub.twin.reportedVersion = 9;
  await world.clock.runUntil(() => client.twin.isCurrent);
  expect(client.twin).toMatchObject({
    desired: { missed: 1 },
    reported: { elsewhere: 1 },
    reportedVersion: 9,
  });
  expect(client.stats().twinRepairs).toBe(1);
});

test("a twin made anew while the device was away is taken although its versions are lower", async () => {
  const world = new World();
  world.hub.twin = { desired: { old: 1 }, desiredVersion: 9, reportedVersion: 9 };
  world.hub.reported = { old: 1 };
  const client = await world.connect();
  await world.settle(client.followTwin());
  world.hub.cut();
  await world.clock.settle();
  world.hub.twin = { desired: {}, desiredVersion: 1, reportedVersion: 1 };
  world.hub.reported = {};
  await world.clock.runUntil(() => client.twin.isCurrent);
  expect(client.twin).toMatchObject({ desiredVersion: 1, reportedVersion: 1 });
  expect({ ...client.twin.reported }).toEqual({});
});

test("a report acknowledged with a lower version than before shows a twin made anew, which is read", async () => {
  const world = new World();
  world.hub.twin.reportedVersion = 9;
  world.hub.reported = { old: 1 };
  const client = await world.connect();
  await world.settle(client.followTwin());
  world.hub.twin.reportedVersion = 1;
  world.hub.reported = {};
  await world.settle(client.reportProperties({ mine: 1 }));
  await world.clock.settle();
  expect({ ...client.twin.reported }).toEqual({ mine: 1 });
  expect(client.twin).toMatchObject({ reportedVersion: 2, isCurrent: true });
});

test("a report acknowledged with a version too many makes the client read the twin", async () => {
  const world = new World();
  const client = await world.connect();
  await world.settle(client.followTwin());
  world.hub.reported = { other: 1 };
  world.hub.twin.reportedVersion = 5;
  await world.settle(client.reportProperties({ mine: 1 }));
  await world.clock.settle();
  expect(client.twin).toMatchObject({
    reported: { other: 1, mine: 1 },
    reportedVersion: 6,
    isCurrent: true,
  });
});

test("the last notification lost on a living connection is found by the next read for anybody", async () => {
  const world = new World();
  const client = await world.connect();
  const seen: DesiredChange[] = [];
  void (async () => {
    for await (const change of client.desiredProperties()) seen.push(change);
  })();
  await world.clock.settle();
  world.hub.desire({ a: 1 }, true);
  await world.settle(client.getTwin());
  await world.clock.settle();
  expect(seen.at(-1)).toEqual({ patch: { a: 1 }, desired: { a: 1 }, version: 2 });
});

test("a replacement that removes properties looks like a patch; the twin is read again and the removal told", async () => {
  const world = new World();
  world.hub.twin.desired = { keep: 1, gone: 2 };
  const client = await world.connect();
  const seen: DesiredChange[] = [];
  void (async () => {
    for await (const change of client.desiredProperties()) seen.push(change);
  })();
  await world.clock.settle();
  world.hub.replaceDesired({ keep: 5 });
  await world.clock.settle();
  expect(seen.at(-1)).toMatchObject({ patch: { keep: 5 }, desired: { keep: 5, gone: 2 } });
  await world.clock.advance(5_001);
  expect(seen.at(-1)).toEqual({ patch: { gone: null }, desired: { keep: 5 }, version: 2 });
  expect(client.stats().twinRepairs).toBe(1);
});

test("a burst of changes is confirmed by one read; confirmDesired: false reads nothing", async () => {
  for (const confirmDesired of [true, false]) {
    const world = new World();
    const client = await world.connect({ confirmDesired });
    await world.settle(client.followTwin());
    const before = client.stats().twinGets;
    for (let i = 0; i < 20; i++) {
      world.hub.desire({ [`k${i}`]: i });
      await world.clock.advance(50);
    }
    await world.clock.advance(10_000);
    expect(client.stats().twinGets - before).toBe(confirmDesired ? 1 : 0);
    expect(Object.keys(client.twin.desired)).toHaveLength(20);
  }
});

test("followTwin ends by its time, its signal, or with the client", async () => {
  const world = new World({
    onEffect: (effect) => (effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect();
  const timed = new Outcome(client.followTwin({ timeoutMs: 100 }));
  const controller = new AbortController();
  const aborted = new Outcome(client.followTwin(controller));
  const closing = new Outcome(client.followTwin());
  await world.clock.advance(101);
  controller.abort();
  await world.clock.settle();
  await world.settle(client.close());
  const late = new Outcome(client.followTwin());
  await world.clock.settle();
  expect([timed.code, aborted.code, closing.code, late.code]).toEqual([
    "call.timeout",
    "call.aborted",
    "client.closed",
    "client.closed",
  ]);
});

test("whatever is patched, replaced, lost and cut, the copy ends equal to the hub's", async () => {
  const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 500 : 40);
  for (let seed = 1; seed <= runs; seed++) {
    const random = seeded(seed);
    const world = new World();
    const client = await world.connect({ random });
    await world.settle(client.followTwin());
    const told: { desired: unknown; version: number }[] = [];
    void (async () => {
      for await (const { desired, version } of client.desiredProperties()) {
        told.push({ desired, version });
      }
    })();
    for (let i = 0; i < 30; i++) {
      const pick = random();
      const key = `k${Math.floor(random() * 4)}`;
      const isLost = !world.hub.isConnected || random() < 0.2;
      if (pick < 0.4) world.hub.desire({ [key]: i }, isLost);
      else if (pick < 0.5) world.hub.desire({ [key]: null }, isLost);
      else if (pick < 0.65 && world.hub.isConnected) world.hub.replaceDesired({ [key]: i });
      else if (pick < 0.75 && world.hub.isConnected) world.hub.cut();
      else if (pick < 0.9) await world.clock.advance(Math.floor(random() * 3_000));
      else void client.reportProperties({ [key]: i });
    }
    // A notification that arrives shows what was lost before it.
    await world.clock.runUntil(() => world.hub.isConnected && client.twin.isCurrent);
    world.hub.desire({ last: 1 });
    await world.clock.advance(60_000);
    const { twin } = client;
    expect({ ...twin.desired }, `seed ${seed}`).toEqual(world.hub.twin.desired);
    expect(twin.desiredVersion).toBe(world.hub.twin.desiredVersion);
    expect(JSON.stringify(twin.reported), `seed ${seed}`).toBe(JSON.stringify(world.hub.reported));
    expect(told.at(-1)).toEqual({ desired: twin.desired, version: twin.desiredVersion });
    await world.settle(client.close());
  }
});
