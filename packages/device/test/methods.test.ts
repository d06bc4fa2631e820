import { expect, test } from "vitest";
import { World } from "./support/world.ts";

test("a method gets its payload and answers with status and payload", async () => {
  const world = new World();
  const requests: unknown[] = [];
  await world.connect({
    methods: {
      reboot: (request) => {
        requests.push(request);
        return { status: 202, payload: { in: 5 } };
      },
    },
  });
  await world.clock.settle();
  world.hub.method("reboot", '{"now":true}', "a1");
  await world.clock.settle();
  expect(requests).toEqual([{ name: "reboot", payload: { now: true }, requestId: "a1" }]);
  expect(world.hub.methodAnswers).toEqual([
    { connection: 1, status: 202, rid: "a1", text: '{"in":5}' },
  ]);
});

test.each([
  ["nothing", undefined, 200, ""],
  ["only a payload", { payload: 1 }, 200, "1"],
  ["a null payload", { payload: null }, 200, "null"],
  ["only a status", { status: -7 }, -7, ""],
] as const)("a handler that returns %s", async (_name, response, status, text) => {
  const world = new World();
  await world.connect({ methods: { m: async () => response } });
  await world.clock.settle();
  world.hub.method("m", "", "r");
  await world.clock.settle();
  expect(world.hub.methodAnswers).toEqual([{ connection: 1, status, rid: "r", text }]);
});

test.each([
  ["an unknown method", "other", "null", 404, "unknown", "There is no method other"],
  ["a payload that is no JSON", "m", "{", 400, "bad_payload", "The document is not valid JSON"],
  ["a handler that throws", "throws", "null", 500, "failed", "The handler of throws failed"],
  [
    "a payload with no JSON form",
    "bigint",
    "null",
    500,
    "bad_response",
    "Method bigint returned a payload with no JSON form",
  ],
  [
    "a payload that throws when it is written",
    "toJson",
    "null",
    500,
    "bad_response",
    "Method toJson returned a payload with no JSON form",
  ],
  [
    "a payload that is a function",
    "fn",
    "null",
    500,
    "bad_response",
    "Method fn returned a payload with no JSON form",
  ],
  [
    "an answer that is no object",
    "text",
    "null",
    500,
    "bad_response",
    "Method text returned string, not { status, payload }",
  ],
  [
    "a status that is no integer",
    "status",
    "null",
    500,
    "bad_response",
    "Method status returned the status 1.5",
  ],
  [
    "a response over 128 KB",
    "huge",
    "null",
    500,
    "bad_response",
    "Method huge returned 131074 bytes, more than 131072",
  ],
])("%s is answered at once", async (_name, name, payload, status, code, message) => {
  const world = new World();
  const errors: string[] = [];
  await world.connect({
    onError: (_error, where) => errors.push(where),
    methods: {
      m: () => ({ payload: "unused" }),
      throws: () => {
        throw new Error("secret detail");
      },
      bigint: () => ({ payload: 1n }),
      toJson: () => ({
        payload: {
          toJSON() {
            throw new Error("no");
          },
        },
      }),
      fn: () => ({ payload: () => 1 }),
      text: () => "done" as never,
      status: () => ({ status: 1.5 }),
      huge: () => ({ payload: "x".repeat(131_072) }),
    },
  });
  await world.clock.settle();
  world.hub.method(name, payload, "r");
  await world.clock.settle();
  expect(world.hub.methodAnswers).toEqual([
    {
      connection: 1,
      status,
      rid: "r",
      text: JSON.stringify({ code: `device.method_${code}`, message }),
    },
  ]);
  expect(errors).toEqual(status === 500 ? [`method ${name}`] : []);
});

test("methods can come later, one handler per name, and go again", async () => {
  const world = new World();
  const client = await world.connect();
  await world.clock.settle();
  expect(world.hub.current.filters).toEqual([]);
  const remove = client.onMethod("m", () => ({ payload: 1 }));
  expect(() => client.onMethod("m", () => undefined)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
  await world.clock.settle();
  expect(world.hub.current.filters).toEqual(["$iothub/methods/POST/#"]);
  world.hub.method("m", "");
  remove();
  remove();
  client.onMethod("m", () => ({ payload: 2 }));
  world.hub.method("m", "");
  await world.clock.settle();
  expect(world.hub.methodAnswers.map(({ text }) => text)).toEqual(["2", "2"]);
});

test("calls run side by side, each answered by its own request id", async () => {
  const world = new World();
  await world.connect({
    methods: {
      wait: async ({ payload }) => {
        await world.clock.sleep(payload as number);
        return { payload };
      },
    },
  });
  await world.clock.settle();
  world.hub.method("wait", "300", "slow");
  world.hub.method("wait", "100", "fast");
  await world.clock.advance(1_000);
  expect(world.hub.methodAnswers.map(({ rid }) => rid)).toEqual(["fast", "slow"]);
});

test("more than a hundred calls at a time are answered 429", async () => {
  const world = new World();
  await world.connect({ methods: { m: () => new Promise(() => undefined) } });
  await world.clock.settle();
  for (let i = 0; i < 101; i++) world.hub.method("m", "", `r${i}`);
  await world.clock.settle();
  expect(world.hub.methodAnswers).toMatchObject([{ status: 429, rid: "r100" }]);
});

test("an answer that comes after its connection broke harms nobody", async () => {
  const world = new World();
  const client = await world.connect({
    methods: {
      slow: async () => {
        await world.clock.sleep(500);
      },
    },
  });
  await world.clock.settle();
  world.hub.method("slow", "");
  await world.clock.settle();
  world.hub.cut();
  await world.clock.advance(100_000);
  expect(client.status().state).toBe("connected");
});
