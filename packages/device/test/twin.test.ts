import { expect, test } from "vitest";
import { Outcome, World } from "./support/world.ts";
import type { HubScript } from "./support/script.ts";

test("getTwin gives both sections with their versions", async () => {
  const world = new World();
  world.hub.twin = { desired: { interval: 5 }, desiredVersion: 3, reportedVersion: 7 };
  const client = await world.connect();
  expect(await world.settle(client.getTwin())).toEqual({
    desired: { interval: 5 },
    desiredVersion: 3,
    reported: {},
    reportedVersion: 7,
  });
  expect(world.hub.current.filters).toEqual(["$iothub/twin/res/#"]);
});

test("reportProperties sends a merge patch and gives the new version", async () => {
  const world = new World();
  const client = await world.connect();
  expect(await world.settle(client.reportProperties({ a: { b: null }, c: [1, "x"] }))).toEqual({
    version: 2,
  });
  expect(world.hub.reports).toEqual([{ a: { b: null }, c: [1, "x"] }]);
});

test.each([
  ["a key with a dot", { "a.b": 1 }, "twin.bad_key"],
  ["a function", { a: () => 1 }, "twin.bad_value"],
  ["an array", [1], "twin.not_object"],
  [
    "too many levels",
    { a: { b: { c: { d: { e: { f: { g: { h: { i: { j: { k: {} } } } } } } } } } } },
    "twin.too_deep",
  ],
])("a patch with %s is refused before it is sent", async (_name, patch, code) => {
  const world = new World();
  const client = await world.connect();
  await expect(
    client.reportProperties(patch as object as Record<string, unknown>),
  ).rejects.toMatchObject({ code });
  expect(world.hub.reports).toEqual([]);
});

const answering = (status: number, body: string, version?: number): HubScript => ({
  onEffect: (effect, connection, hub) => {
    if (effect.type !== "message" || !effect.topic.includes("/twin/")) return undefined;
    const rid = /\$rid=([^&]+)/.exec(effect.topic)?.[1] as string;
    hub.answerTwin(connection, status, rid, body, version);
    return "taken";
  },
});

test.each([
  [400, '{"errorCode":400004,"message":"bad"}', "device.twin_refused", "answered 400, bad"],
  [404, "", "device.twin_refused", "answered 404"],
  [412, "null", "device.twin_refused", "answered 412"],
  [429, '{"message":1}', "device.twin_throttled", "answered 429"],
  [500, "\u0000garbage", "device.twin_unavailable", "answered 500"],
  [200, "no json", "twin.bad_answer", "not usable"],
  [200, "", "twin.bad_answer", "not usable"],
  [200, "[]", "twin.bad_answer", "no JSON object"],
  [200, '{"desired":{"$version":1}}', "twin.bad_answer", "no reported"],
  [200, '{"desired":{"$version":"1"},"reported":{"$version":1}}', "twin.bad_answer", "$version"],
])("a twin answer %i %s rejects with %s", async (status, body, code, words) => {
  const world = new World(answering(status, body));
  const client = await world.connect();
  const got = new Outcome(client.getTwin());
  await world.clock.runUntil(() => got.isSettled);
  expect(got.code).toBe(code);
  expect(got.error.message).toContain(words);
});

test("a report taken without a version is said to be one", async () => {
  const world = new World(answering(204, ""));
  const client = await world.connect();
  const got = new Outcome(client.reportProperties({ a: 1 }));
  await world.clock.runUntil(() => got.isSettled);
  expect(got.code).toBe("twin.bad_answer");
});

test("answers that come twice, late, in another order or to questions nobody asked harm nobody", async () => {
  const questions: string[] = [];
  const world = new World({
    onEffect: (effect) => {
      if (effect.type !== "message") return undefined;
      questions.push(/\$rid=([^&]+)/.exec(effect.topic)?.[1] as string);
      return "taken";
    },
  });
  const client = await world.connect();
  const first = new Outcome(client.getTwin());
  const second = new Outcome(client.reportProperties({ a: 2 }));
  const late = new Outcome(client.getTwin({ timeoutMs: 1_000 }));
  await world.clock.settle();
  const { current } = world.hub;
  // A report waits for the answers' subscription apart from the reads.
  const [one, three, two] = questions as [string, string, string];
  expect(new Set(questions).size).toBe(3);
  world.hub.answerTwin(current, 204, two, "", 12);
  world.hub.answerTwin(current, 204, two, "", 99);
  world.hub.answerTwin(current, 204, "invented", "", 1);
  const twin = { desired: { $version: 1 }, reported: { $version: 11 } };
  world.hub.answerTwin(current, 200, one, JSON.stringify(twin));
  world.hub.publish("$iothub/twin/res/xyz/?$rid=a", "", 0);
  world.hub.publish("$iothub/something/else", "", 1);
  await world.clock.advance(2_000);
  world.hub.answerTwin(current, 200, three, "{}");
  await world.clock.settle();
  expect(first.value.reportedVersion).toBe(11);
  expect(second.value).toEqual({ version: 12 });
  expect(late.code).toBe("call.timeout");
  expect(late.error.message).toContain("not answered");
  expect(client.status().state).toBe("connected");
});

test("requests whose answer was lost are asked again on the next connection, in order", async () => {
  let silent = false;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect();
  await world.settle(client.getTwin());
  silent = true;
  const all = Promise.all([
    client.reportProperties({ a: 1 }),
    client.reportProperties({ a: 2 }),
    client.reportProperties({ b: 3 }),
    client.getTwin(),
  ]);
  await world.clock.settle();
  silent = false;
  world.hub.cut();
  const [first, second, third] = await world.settle(all);
  expect(world.hub.reports).toEqual([{ a: 1 }, { a: 2, b: 3 }]);
  expect([first, second, third]).toEqual([{ version: 2 }, { version: 3 }, { version: 3 }]);
});

test("a request waits for the subscription its answer needs, on every connection", async () => {
  const seen: string[] = [];
  let granting = true;
  const world = new World({
    onEffect: (effect) => {
      if (effect.type === "subscribe" && !granting) return "taken";
      if (effect.type === "message") seen.push(effect.topic);
      return undefined;
    },
  });
  const client = await world.connect({ retryIntervalMs: 5_000 });
  await world.settle(client.getTwin());
  granting = false;
  world.hub.forgetSession();
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "connected");
  const waiting = client.getTwin();
  await world.clock.advance(1_000);
  expect(seen).toHaveLength(1);
  granting = true;
  await world.settle(waiting);
  expect(seen).toHaveLength(2);
});

test("requests made while there is no connection wait for one, within their time", async () => {
  const world = new World();
  const client = await world.connect();
  world.hub.cut();
  await world.clock.settle();
  const short = new Outcome(client.getTwin({ timeoutMs: 10 }));
  const long = client.getTwin();
  await world.settle(long);
  expect(short.code).toBe("call.timeout");
  expect(short.error.message).toContain("not sent");
  expect(short.error.cause).toMatchObject({ code: "device.connection_lost" });
});

test("a hub that never grants twin/res fails the calls by name", async () => {
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
  const got = new Outcome(client.getTwin());
  await world.clock.settle();
  expect(got.code).toBe("device.subscription_refused");
  const again = new Outcome(client.getTwin());
  await world.clock.settle();
  expect(again.code).toBe("device.subscription_refused");
});

test("calls can be aborted before they are made and while they wait; a hundred wait at most", async () => {
  const world = new World({
    onEffect: (effect) => (effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect();
  await expect(client.getTwin({ signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: "call.aborted",
  });
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = Array.from({ length: 100 }, () => new Outcome(client.getTwin({ signal })));
  await expect(client.getTwin()).rejects.toMatchObject({ code: "device.queue_full" });
  await world.clock.settle();
  controller.abort();
  await world.clock.settle();
  expect(new Set(waiting.map(({ code }) => code))).toEqual(new Set(["call.aborted"]));
  const next = new Outcome(client.getTwin({ timeoutMs: 5_000 }));
  await world.clock.advance(5_000);
  expect(next.code).toBe("call.timeout");
});
