import * as fc from "fast-check";
import { expect, test } from "vitest";
import { mergePatch, payloadOf, twinReportedSizeMax } from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import type { DeviceClient } from "@hubwire/device";
import type { HubScript } from "./support/script.ts";
import { Outcome, World } from "./support/world.ts";

const isReport = (topic: string): boolean => topic.includes("/reported/");

/** A connected device whose twin subscription stands, so that reports leave at once. */
async function ready(world: World, options = {}): Promise<DeviceClient> {
  const client = await world.connect(options);
  await world.settle(client.getTwin());
  return client;
}

/** Answers the first reports with these statuses, the others as usual. */
function refusing(statuses: number[], which = (_patch: JsonObject): boolean => true): HubScript {
  return {
    onEffect: (effect, connection, hub) => {
      if (effect.type !== "message" || !isReport(effect.topic)) return undefined;
      const patch = JSON.parse(Buffer.from(payloadOf(effect)).toString());
      if (statuses.length === 0 || !which(patch as JsonObject)) return undefined;
      const status = statuses.shift() as number;
      const rid = /\$rid=([^&]+)/.exec(effect.topic)?.[1] as string;
      hub.answerTwin(connection, status, rid, '{"message":"no"}');
      return "taken";
    },
  };
}

test("while one report is under way the later ones become one, and each caller gets the version of its carrier", async () => {
  const world = new World();
  const client = await ready(world);
  const versions = await world.settle(
    Promise.all([
      client.reportProperties({ a: 1, gone: null }),
      client.reportProperties({ a: 2, b: { c: 1 } }),
      client.reportProperties({ b: { d: null } }),
      client.reportProperties({ a: null }),
    ]),
  );
  expect(world.hub.reports).toEqual([
    { a: 1, gone: null },
    { a: null, b: { c: 1, d: null } },
  ]);
  expect(versions).toEqual([{ version: 2 }, { version: 3 }, { version: 3 }, { version: 3 }]);
  expect(client.stats().twinReports).toBe(2);
});

test("what is reported offline goes as one after the reconnect", async () => {
  const world = new World();
  const client = await ready(world);
  world.hub.cut();
  await world.clock.settle();
  const all = Promise.all(
    Array.from({ length: 200 }, (_, i) => client.reportProperties({ [`k${i % 20}`]: i })),
  );
  const versions = await world.settle(all);
  expect(world.hub.reports).toHaveLength(1);
  expect(Object.keys(world.hub.reports[0] as object)).toHaveLength(20);
  expect(new Set(versions.map(({ version }) => version))).toEqual(new Set([2]));
});

test("patches that no single one can replace go one after the other", async () => {
  const world = new World();
  const client = await ready(world);
  world.hub.reported = { a: { old: 1 } };
  await world.settle(
    Promise.all([
      client.reportProperties({ x: 0 }),
      client.reportProperties({ a: null }),
      client.reportProperties({ a: { b: 1 } }),
      client.reportProperties({ c: 1 }),
    ]),
  );
  expect(world.hub.reports).toEqual([{ x: 0 }, { a: null }, { a: { b: 1 }, c: 1 }]);
  expect(world.hub.reported).toEqual({ x: 0, a: { b: 1 }, c: 1 });
});

test("whatever is reported and wherever the connection breaks, the hub ends with what the calls say", async () => {
  const value = fc.oneof(
    fc.constantFrom(null, 1, "x"),
    fc.dictionary(fc.constantFrom("p", "q"), fc.constantFrom(null, 1, 2)),
  );
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.dictionary(fc.constantFrom("a", "b", "c"), value) },
    { weight: 1, arbitrary: fc.constant("cut" as const) },
    { weight: 2, arbitrary: fc.constant("settle" as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const world = new World();
      const client = await ready(world);
      let expected: JsonObject = {};
      const calls: Outcome<{ version: number }>[] = [];
      for (const one of steps) {
        if (one === "settle") await world.clock.settle();
        else if (one === "cut") {
          if (world.hub.isConnected) world.hub.cut();
        } else {
          expected = mergePatch(expected, one as JsonObject);
          calls.push(new Outcome(client.reportProperties(one)));
        }
      }
      await world.clock.runUntil(() => calls.every(({ isSettled }) => isSettled));
      expect(calls.every(({ code }) => code === "value")).toBe(true);
      expect(JSON.parse(JSON.stringify(world.hub.reported))).toEqual(
        JSON.parse(JSON.stringify(expected)),
      );
      const versions = calls.map((call) => call.value.version);
      expect(versions).toEqual(versions.toSorted((a, b) => a - b));
      await world.settle(client.close());
    }),
    { numRuns: process.env["HUBWIRE_LONG"] === "1" ? 2_000 : 60 },
  );
});

test("throttled (429): sent again later, together with what came meanwhile, before the calls' deadline", async () => {
  const world = new World(refusing([429, 429]));
  const client = await ready(world);
  const reports = [client.reportProperties({ a: 1 }), client.reportProperties({ a: 2, b: 2 })];
  await world.clock.advance(1_000);
  reports.push(client.reportProperties({ b: 3 }));
  const versions = await world.settle(Promise.all(reports));
  expect(versions).toEqual([{ version: 2 }, { version: 2 }, { version: 2 }]);
  expect(world.hub.reports).toEqual([{ a: 2, b: 3 }]);
  expect(client.stats().throttled).toBe(2);
});

test("a hub that throttles for ever: the call ends by its deadline and names the cause", async () => {
  const world = new World(refusing(Array.from({ length: 1_000 }, () => 429)));
  const client = await ready(world);
  const report = new Outcome(client.reportProperties({ a: 1 }, { timeoutMs: 100_000 }));
  await world.clock.advance(100_001);
  expect(report.code).toBe("call.timeout");
  expect(report.error.cause).toMatchObject({ code: "device.twin_throttled" });
  expect(client.stats().twinReports).toBeLessThan(12);
});

test.each([409, 412])("a conflict nobody asked about (%i) is tried again", async (status) => {
  const world = new World(refusing([status]));
  const client = await ready(world);
  expect(await world.settle(client.reportProperties({ a: 1 }))).toEqual({ version: 2 });
});

test("when several together are refused they go one by one, and only the culprit is told", async () => {
  const world = new World(refusing([400, 400], (patch) => "bad" in patch));
  const client = await ready(world);
  const outcomes = [{ x: 1 }, { a: 1 }, { bad: 1 }, { b: 1 }].map(
    (patch) => new Outcome(client.reportProperties(patch)),
  );
  await world.clock.runUntil(() => outcomes.every(({ isSettled }) => isSettled));
  expect(outcomes.map(({ code }) => code)).toEqual([
    "value",
    "value",
    "device.twin_refused",
    "value",
  ]);
  expect(world.hub.reports).toEqual([{ x: 1 }, { a: 1 }, { b: 1 }]);
});

test("a hub in trouble (5xx) is told at once to every caller of that request", async () => {
  const world = new World(refusing([503]));
  const client = await ready(world);
  const report = new Outcome(client.reportProperties({ a: 1 }));
  await world.clock.settle();
  expect(report.code).toBe("device.twin_unavailable");
});

test("a report given up while it waits is not sent; the others are", async () => {
  const world = new World();
  const client = await ready(world);
  world.hub.cut();
  await world.clock.settle();
  const controller = new AbortController();
  const aborted = new Outcome(client.reportProperties({ a: 1 }, controller));
  const late = new Outcome(client.reportProperties({ b: 1 }, { timeoutMs: 10 }));
  const kept = client.reportProperties({ c: 1 });
  controller.abort();
  await world.settle(kept);
  expect([aborted.code, late.code]).toEqual(["call.aborted", "call.timeout"]);
  expect(late.error.message).toContain("not sent");
  expect(world.hub.reports).toEqual([{ c: 1 }]);
});

test("a report nobody waits for any more does not hold up those behind it", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) =>
      silent && effect.type === "message" && isReport(effect.topic) ? "taken" : undefined,
  });
  const client = await ready(world);
  const lost = new Outcome(client.reportProperties({ a: 1 }, { timeoutMs: 1_000 }));
  const next = new Outcome(client.reportProperties({ b: 1 }));
  await world.clock.settle();
  silent = false;
  await world.clock.advance(2_000);
  expect(lost.code).toBe("call.timeout");
  expect(lost.error.message).toContain("sent, not answered");
  expect(next.code).toBe("value");
});

test("ifVersion: taken at that version, refused by name at another", async () => {
  const world = new World();
  const client = await ready(world);
  expect(await world.settle(client.reportProperties({ a: 1 }, { ifVersion: 1 }))).toEqual({
    version: 2,
  });
  const stale = new Outcome(client.reportProperties({ a: 2 }, { ifVersion: 1 }));
  await world.clock.settle();
  expect(stale.code).toBe("device.twin_conflict");
  expect(world.hub.reports).toEqual([{ a: 1 }]);
});

test.each([
  ["had arrived", true, "value", [{ a: 1 }]],
  ["had not arrived", false, "value", [{ a: 1 }]],
])(
  "ifVersion and a lost answer: the patch %s, the twin tells",
  async (_name, arrives, code, reports) => {
    let losing = true;
    const world = new World({
      onEffect: (effect, _connection, hub) => {
        if (!losing || effect.type !== "message" || !isReport(effect.topic)) return undefined;
        losing = false;
        if (arrives) {
          hub.reports.push({ a: 1 });
          hub.reported = { a: 1 };
          hub.twin.reportedVersion += 1;
        }
        hub.cut();
        return "taken";
      },
    });
    const client = await ready(world);
    const report = new Outcome(client.reportProperties({ a: 1 }, { ifVersion: 1 }));
    await world.clock.runUntil(() => report.isSettled);
    expect(report.code).toBe(code);
    expect(report.value).toEqual({ version: 2 });
    expect(world.hub.reports).toEqual(reports);
  },
);

test("ifVersion, a lost answer and somebody else's write: a conflict", async () => {
  let losing = true;
  const world = new World({
    onEffect: (effect, _connection, hub) => {
      if (!losing || effect.type !== "message" || !isReport(effect.topic)) return undefined;
      losing = false;
      hub.reported = { other: 1 };
      hub.twin.reportedVersion += 1;
      hub.cut();
      return "taken";
    },
  });
  const client = await ready(world);
  const report = new Outcome(client.reportProperties({ a: 1 }, { ifVersion: 1 }));
  await world.clock.runUntil(() => report.isSettled);
  expect(report.code).toBe("device.twin_conflict");
});

test("a patch that no section can hold is refused before it is sent; so is one too many for a section that is known", async () => {
  const world = new World();
  const client = await ready(world);
  const half = (key: string): Record<string, string> =>
    Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`${key}${i}`, "x".repeat(4_000)]));
  const all = { ...half("a"), ...half("b") };
  expect(JSON.stringify(all).length).toBeGreaterThan(twinReportedSizeMax);
  await expect(client.reportProperties(all)).rejects.toMatchObject({ code: "twin.too_large" });
  await world.settle(client.reportProperties(half("a")));
  const second = new Outcome(client.reportProperties(half("b")));
  await world.clock.settle();
  expect(second.code).toBe("twin.too_large");
  expect(world.hub.reports).toHaveLength(1);
  // Deleting makes room.
  const swap = {
    ...Object.fromEntries(Object.keys(half("a")).map((key) => [key, null])),
    ...half("b"),
  };
  expect(await world.settle(client.reportProperties(swap))).toEqual({ version: 3 });
});

test("a thousand reports wait at most, and close settles them", async () => {
  const world = new World();
  const client = await ready(world);
  world.hub.cut();
  await world.clock.settle();
  const waiting = Array.from(
    { length: 1_000 },
    (_, i) => new Outcome(client.reportProperties({ i })),
  );
  await expect(client.reportProperties({ i: 0 })).rejects.toMatchObject({
    code: "device.queue_full",
  });
  await world.settle(client.close());
  await world.clock.settle();
  expect(new Set(waiting.map(({ code }) => code))).toEqual(new Set(["client.closed"]));
});

test("close waits for reports that are on their way or behind one", async () => {
  const world = new World();
  const client = await ready(world);
  const both = [{ a: 1 }, { b: 1 }].map((patch) => new Outcome(client.reportProperties(patch)));
  await world.settle(client.close());
  expect(both.map(({ code }) => code)).toEqual(["value", "value"]);
});

test("the rate limit is asked before each request, and holds back those behind one that must wait", async () => {
  const world = new World();
  const client = await ready(world, { rateLimit: { twinUpdatesPerS: 1, burstS: 1 } });
  const versions: number[] = [];
  for (let i = 0; i < 3; i++) {
    void client.reportProperties({ i }).then(({ version }) => versions.push(version));
    await world.clock.settle();
  }
  expect(versions).toEqual([2]);
  await world.clock.advance(2_500);
  expect(versions.length).toBeGreaterThanOrEqual(2);
});
