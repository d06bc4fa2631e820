import { expect, expectTypeOf, test } from "vitest";
import { World } from "./support/world.ts";

const answers = (world: World): { status: number; rid: string; code: unknown }[] =>
  world.hub.methodAnswers.map(({ status, rid, text }) => ({
    status,
    rid,
    code: text === "" ? undefined : (JSON.parse(text) as { code?: string }).code,
  }));

test("parse gives the payload its type, and what it refuses is answered 400 with its words", async () => {
  const world = new World();
  const client = await world.connect();
  client.onMethod<{ inS: number }, { at: number }>(
    "reboot",
    ({ payload }) => {
      expectTypeOf(payload.inS).toBeNumber();
      return { payload: { at: payload.inS + 1 } };
    },
    {
      parse: (payload) => {
        if (typeof payload === "object" && payload !== null && "inS" in payload) {
          return payload as { inS: number };
        }
        throw new Error("inS is missing");
      },
    },
  );
  await world.clock.settle();
  world.hub.method("reboot", '{"inS":4}', "good");
  world.hub.method("reboot", "{}", "bad");
  await world.clock.settle();
  expect(world.hub.methodAnswers).toMatchObject([
    {
      rid: "bad",
      status: 400,
      text: '{"code":"device.method_bad_payload","message":"inS is missing"}',
    },
    { rid: "good", status: 200, text: '{"at":5}' },
  ]);
});

test("unknownMethod answers what has no handler, and is subscribed for", async () => {
  const world = new World();
  const client = await world.connect({
    unknownMethod: ({ name, payload }) => ({ status: 501, payload: { name, payload } }),
  });
  client.onMethod("known", () => ({ payload: 1 }));
  await world.clock.settle();
  world.hub.method("known", "", "a");
  world.hub.method("other", "[2]", "b");
  await world.clock.settle();
  expect(world.hub.methodAnswers).toMatchObject([
    { rid: "a", status: 200, text: "1" },
    { rid: "b", status: 501, text: '{"name":"other","payload":[2]}' },
  ]);
});

test("beyond methodsConcurrentMax a call is answered 429 at once, and a finished one makes room", async () => {
  const world = new World();
  const ends: (() => void)[] = [];
  const client = await world.connect({
    methodsConcurrentMax: 2,
    methods: { m: () => new Promise<void>((resolve) => ends.push(resolve)) },
  });
  await world.clock.settle();
  for (const rid of ["a", "b", "c"]) world.hub.method("m", "", rid);
  await world.clock.settle();
  expect(answers(world)).toEqual([{ status: 429, rid: "c", code: "device.method_busy" }]);
  ends[0]?.();
  await world.clock.settle();
  world.hub.method("m", "", "d");
  await world.clock.settle();
  expect(ends).toHaveLength(3);
  expect(client.stats()).toMatchObject({ methods: 2, methodFailures: 1 });
});

test("a handler over its time is answered 504, its signal aborted, its late answer dropped, its place free", async () => {
  const world = new World();
  const errors: string[] = [];
  let signal: AbortSignal | undefined;
  let finish = (): void => undefined;
  const client = await world.connect({
    methodsConcurrentMax: 1,
    onError: (error, where) => errors.push(`${where} ${(error as { code: string }).code}`),
  });
  client.onMethod(
    "slow",
    (request) => {
      ({ signal } = request);
      return new Promise<void>((resolve) => (finish = resolve));
    },
    { timeoutMs: 2_000 },
  );
  client.onMethod("quick", () => undefined);
  await world.clock.settle();
  world.hub.method("slow", "", "a");
  await world.clock.advance(1_999);
  expect(signal?.aborted).toBe(false);
  await world.clock.advance(2);
  expect(answers(world)).toEqual([{ status: 504, rid: "a", code: "device.method_timeout" }]);
  expect(signal?.reason).toMatchObject({ code: "device.method_timeout" });
  expect(errors).toEqual(["method slow device.method_timeout"]);
  world.hub.method("quick", "", "b");
  await world.clock.settle();
  finish();
  await world.clock.settle();
  expect(answers(world).map(({ rid }) => rid)).toEqual(["a", "b"]);
});

test("without an own time a method has five minutes, the longest a caller of IoT Hub waits", async () => {
  const world = new World();
  await world.connect({
    onError: () => undefined,
    methods: { m: () => new Promise(() => undefined) },
  });
  await world.clock.settle();
  world.hub.method("m", "", "a");
  await world.clock.advance(299_000);
  expect(answers(world)).toEqual([]);
  await world.clock.advance(2_000);
  expect(answers(world)).toMatchObject([{ status: 504 }]);
});

test("a handler that crashes answers 500 with a code and without details, and the client goes on", async () => {
  const world = new World();
  const errors: unknown[] = [];
  const client = await world.connect({
    onError: (error) => errors.push(error),
    methods: {
      sync: () => {
        throw new Error("secret");
      },
      async: () => Promise.reject(new Error("secret")),
      thenable: () =>
        ({
          // oxlint-disable-next-line no-thenable -- a thenable that throws is what is tested
          then() {
            throw new Error("secret");
          },
        }) as never,
      nothing: () => {
        // oxlint-disable-next-line no-throw-literal -- handlers throw anything
        throw undefined;
      },
    },
  });
  await world.clock.settle();
  for (const name of ["sync", "async", "thenable", "nothing"]) world.hub.method(name, "", name);
  await world.clock.settle();
  for (const answer of answers(world)) {
    expect(answer).toMatchObject({ status: 500, code: "device.method_failed" });
  }
  expect(world.hub.methodAnswers).toHaveLength(4);
  expect(JSON.stringify(world.hub.methodAnswers)).not.toContain("secret");
  expect(errors).toHaveLength(4);
  expect(client.status().state).toBe("connected");
});

test("a payload over 128 KB is answered 413", async () => {
  const world = new World();
  await world.connect({ methods: { m: () => undefined } });
  await world.clock.settle();
  world.hub.method("m", JSON.stringify("x".repeat(131_072)), "a");
  world.hub.method("m", JSON.stringify("x".repeat(131_070)), "b");
  await world.clock.settle();
  expect(answers(world)).toMatchObject([
    { status: 413, rid: "a" },
    { status: 200, rid: "b" },
  ]);
});

test("closing aborts the signals of handlers at work", async () => {
  const world = new World();
  let signal: AbortSignal | undefined;
  const client = await world.connect({
    methods: {
      m: (request) => {
        ({ signal } = request);
        return new Promise(() => undefined);
      },
    },
  });
  await world.clock.settle();
  world.hub.method("m", "");
  await world.clock.settle();
  await world.settle(client.close());
  expect(signal?.reason).toMatchObject({ code: "client.closed" });
});

test.each(["", "a b", "a/b", "ä", "x".repeat(129)])("%j is no method name", async (name) => {
  const world = new World();
  const client = await world.connect();
  expect(() => client.onMethod(name, () => undefined)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
});
