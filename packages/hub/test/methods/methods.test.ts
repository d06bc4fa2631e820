import { getEventListeners } from "node:events";
import { encodeUtf8 } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { methodsInFlightMax, parseLossless } from "../../src/domain/methods/index.ts";
import { createWorld, device, module, refusal, writeOf } from "../rest/world.ts";
import type { FakeConnection, World } from "../rest/world.ts";

type Call = Parameters<World["methods"]["invoke"]>[1];
const callOf = (more: Partial<Call> = {}): Call => ({
  methodName: "reboot",
  payload: encodeUtf8('{"in":5}'),
  responseTimeoutS: 30,
  connectTimeoutS: 0,
  ...more,
});
const never = new AbortController().signal;

async function registered() {
  const world = createWorld();
  const { generationId } = await world.identities.create(writeOf(device("d")));
  const connect = (kinds: readonly "methods"[] = ["methods"]) =>
    world.connections.connect(device("d"), generationId, kinds);
  const invoke = (more: Partial<Call> = {}, signal = never) =>
    world.methods.invoke(device("d"), callOf(more), signal);
  return { world, methods: world.methods, clock: world.clock, connect, invoke };
}

const ridOf = (connection: FakeConnection, index = 0): string => {
  const sent = connection.sent.filter((one) => one.type === "method")[index];
  if (sent === undefined) throw new Error("nothing was asked");
  return sent.rid;
};

test("a call reaches the device and its answer the caller, whatever status it chose", async () => {
  const { methods, clock, connect, invoke } = await registered();
  const connection = connect();
  const answer = invoke();
  await clock.settle();
  expect(connection.sent).toEqual([
    { type: "method", rid: "1", name: "reboot", payload: '{"in":5}' },
  ]);
  methods.respond(connection, "1", -500, encodeUtf8('{"ok":false}'));
  expect(await answer).toEqual({ status: -500, payload: { ok: false } });
});

test("request ids are a short hexadecimal counter", async () => {
  const { methods, clock, connect, invoke } = await registered();
  const connection = connect();
  for (let i = 1; i <= 20; i++) {
    const answer = invoke();
    await clock.settle();
    expect(ridOf(connection, i - 1)).toBe(i.toString(16));
    methods.respond(connection, i.toString(16), 200, new Uint8Array(0));
    expect(await answer).toEqual({ status: 200, payload: null });
  }
});

test("no payload reaches the device as null", async () => {
  const { clock, connect, invoke } = await registered();
  const connection = connect();
  const answer = refusal(invoke({ payload: new Uint8Array(0) }));
  await clock.settle();
  expect(connection.sent).toMatchObject([{ payload: "null" }]);
  connection.close();
  await answer;
});

// Azure IoT Hub docs, "Understand and invoke direct methods".
const badCalls: [sentence: string, Partial<Call>, string][] = [
  ["a response timeout of 4 s", { responseTimeoutS: 4 }, "argument.invalid"],
  ["a response timeout of 301 s", { responseTimeoutS: 301 }, "argument.invalid"],
  ["a response timeout of 5.5 s", { responseTimeoutS: 5.5 }, "argument.invalid"],
  ["a connect timeout of -1 s", { connectTimeoutS: -1 }, "argument.invalid"],
  ["a connect timeout of 301 s", { connectTimeoutS: 301 }, "argument.invalid"],
  ["no time at all", { responseTimeoutS: Number.NaN }, "argument.invalid"],
  ["no name", { methodName: "" }, "argument.invalid"],
  ["a name with a space", { methodName: "a b" }, "argument.invalid"],
  ["a name with a slash", { methodName: "a/b" }, "argument.invalid"],
  ["a name with a question mark", { methodName: "a?b" }, "argument.invalid"],
  ["a name that is a topic wildcard", { methodName: "a#" }, "argument.invalid"],
  ["a name outside ASCII", { methodName: "é" }, "argument.invalid"],
  ["a name of 129 characters", { methodName: "x".repeat(129) }, "argument.invalid"],
  ["a payload above 128 KB", { payload: new Uint8Array(131_073) }, "message.too_large"],
];

test.each(badCalls)("a call with %s is refused", async (_sentence, more, code) => {
  const { connect, invoke } = await registered();
  const connection = connect();
  expect(await refusal(invoke(more))).toBe(code);
  expect(connection.sent).toEqual([]);
});

test.each([
  { responseTimeoutS: 5 },
  { responseTimeoutS: 300, connectTimeoutS: 300 },
  { methodName: "component*command" },
  { methodName: "x".repeat(128) },
  { payload: new Uint8Array(131_072).fill(0x31) },
])("a call at the edge of the rules goes through: %j", async (more) => {
  const { methods, clock, connect, invoke } = await registered();
  const connection = connect();
  const answer = invoke(more);
  await clock.settle();
  methods.respond(connection, "1", 200, new Uint8Array(0));
  expect(await answer).toEqual({ status: 200, payload: null });
});

test("unknown devices and modules have codes of their own", async () => {
  const { methods } = await registered();
  expect(await refusal(methods.invoke(device("x"), callOf(), never))).toBe("device.not_found");
  expect(await refusal(methods.invoke(module("d", "x"), callOf(), never))).toBe("module.not_found");
});

test("without connect timeout an absent or unsubscribed device is not online at once", async () => {
  const { connect, invoke } = await registered();
  expect(await refusal(invoke())).toBe("device.not_online");
  connect([]);
  expect(await refusal(invoke())).toBe("device.not_online");
});

test("a connect timeout waits for the device to connect and to subscribe", async () => {
  const { world, methods, clock, connect, invoke } = await registered();
  const answer = invoke({ connectTimeoutS: 10, responseTimeoutS: 5 });
  await clock.advance(9_000);
  const connection = connect([]);
  await clock.settle();
  expect(connection.sent).toEqual([]);
  world.connections.subscribe(connection, "desired");
  expect(connection.sent).toEqual([]);
  await clock.advance(999);
  world.connections.subscribe(connection, "methods");
  expect(connection.sent).toHaveLength(1);
  await clock.advance(4_999);
  methods.respond(connection, "1", 200, encodeUtf8("1"));
  expect(await answer).toEqual({ status: 200, payload: 1 });
});

test("a device that subscribes twice is asked once", async () => {
  const { world, clock, connect, invoke } = await registered();
  const answer = refusal(invoke({ connectTimeoutS: 10 }));
  await clock.settle();
  const connection = connect();
  world.connections.subscribe(connection, "methods");
  expect(connection.sent).toHaveLength(1);
  connection.close();
  expect(await answer).toBe("method.timeout");
});

test("a connect timeout that passes is not online, a response timeout that passes is a timeout", async () => {
  const { clock, connect, invoke } = await registered();
  const waiting = refusal(invoke({ connectTimeoutS: 10 }));
  await clock.advance(10_000);
  expect(await waiting).toBe("device.not_online");
  const connection = connect();
  const asked = refusal(invoke({ connectTimeoutS: 10, responseTimeoutS: 5 }));
  await clock.advance(5_000);
  expect(await asked).toBe("method.timeout");
  expect(connection.sent).toHaveLength(1);
});

test("an answer that comes too late, twice or to nothing is dropped", async () => {
  const { world, methods, clock, connect, invoke } = await registered();
  const connection = connect();
  const asked = refusal(invoke({ responseTimeoutS: 5 }));
  await clock.advance(5_000);
  expect(await asked).toBe("method.timeout");
  methods.respond(connection, "1", 200, encodeUtf8("1"));
  methods.respond(connection, "1", 200, encodeUtf8("1"));
  methods.respond(connection, "ffff", 200, encodeUtf8("1"));
  expect(world.clock.nextMs).toBe(Infinity);
});

test("only the connection that was asked may answer", async () => {
  const { world, methods, clock, connect, invoke } = await registered();
  const other = await world.identities.create(writeOf(device("other")));
  const stranger = world.connections.connect(device("other"), other.generationId, ["methods"]);
  const first = connect();
  const taken = refusal(invoke());
  await clock.settle();
  const second = connect();
  expect(await taken).toBe("method.timeout");
  const answer = invoke();
  await clock.settle();
  const rid = ridOf(second);
  methods.respond(stranger, rid, 200, encodeUtf8('"stranger"'));
  methods.respond(first, rid, 200, encodeUtf8('"first"'));
  const numbered = { connectionId: { value: second.connectionId } };
  const sameNumber = Object.create(stranger, numbered) as FakeConnection;
  methods.respond(sameNumber, rid, 200, encodeUtf8('"same number"'));
  methods.respond(second, rid, 200, encodeUtf8('"second"'));
  expect(await answer).toEqual({ status: 200, payload: "second" });
});

test("when the asked connection closes the call ends at once; a call still waiting for it goes on", async () => {
  const { clock, connect, invoke } = await registered();
  const waiting = invoke({ connectTimeoutS: 60 }).catch((error: unknown) => error);
  await clock.settle();
  const connection = connect();
  connection.close();
  expect(await waiting).toMatchObject({ code: "method.timeout" });
  expect(clock.nowMs()).toBe(0);
  expect(clock.nextMs).toBe(Infinity);
});

// The peer's mistakes (Azure IoT Hub docs: responses are JSON or empty, at most 128 KB).
test.each([
  ["not JSON", 200, encodeUtf8("{")],
  ["not UTF-8", 200, Uint8Array.of(0x22, 0xff, 0x22)],
  ["above 128 KB", 200, encodeUtf8(`"${"x".repeat(131_072)}"`)],
  ["nested out of hand", 200, encodeUtf8("[".repeat(10_000) + "]".repeat(10_000))],
  ["with a status beyond 32 bits", 2 ** 31, encodeUtf8("1")],
  ["with half a status", 1.5, encodeUtf8("1")],
])("an answer that is %s is a bad response", async (_sentence, status, body) => {
  const { methods, clock, connect, invoke } = await registered();
  const connection = connect();
  const asked = refusal(invoke());
  await clock.settle();
  methods.respond(connection, "1", status, body);
  expect(await asked).toBe("method.bad_response");
});

test.each([2 ** 31 - 1, -(2 ** 31), 0])("status %d is passed on", async (status) => {
  const { methods, clock, connect, invoke } = await registered();
  const connection = connect();
  const answer = invoke();
  await clock.settle();
  methods.respond(connection, "1", status, encodeUtf8("[1]"));
  expect(await answer).toEqual({ status, payload: [1] });
});

test.each([0, 60])(
  "a caller that goes away ends its call (connect timeout %d s)",
  async (connectTimeoutS) => {
    const { world, methods, connect, invoke, clock } = await registered();
    if (connectTimeoutS === 0) connect();
    const leaving = new AbortController();
    const asked = refusal(invoke({ connectTimeoutS }, leaving.signal));
    await clock.settle();
    leaving.abort();
    expect(await asked).toBe("call.aborted");
    expect(await refusal(invoke({}, leaving.signal))).toBe("call.aborted");
    expect(clock.nextMs).toBe(Infinity);
    expect(methods.inFlight).toBe(0);
    expect(world.connections.count).toBe(connectTimeoutS === 0 ? 1 : 0);
  },
);

test("a device has a bounded number of calls waiting, and the others have their own", async () => {
  const { world, methods, clock, connect, invoke } = await registered();
  const connection = connect();
  const other = await world.identities.create(writeOf(device("other")));
  const otherConnection = world.connections.connect(device("other"), other.generationId, [
    "methods",
  ]);
  const asked = Array.from({ length: methodsInFlightMax }, () => refusal(invoke()));
  await clock.settle();
  expect(await refusal(invoke())).toBe("method.too_many_in_flight");
  const unharmed = methods.invoke(device("other"), callOf(), never);
  await clock.settle();
  methods.respond(otherConnection, ridOf(otherConnection), 200, encodeUtf8("1"));
  expect(await unharmed).toEqual({ status: 200, payload: 1 });
  connection.close();
  expect(new Set(await Promise.all(asked))).toEqual(new Set(["method.timeout"]));
  expect(methods.inFlight).toBe(0);
});

test("of two calls under way one is answered, and the other still ends with the connection", async () => {
  const { methods, clock, connect, invoke } = await registered();
  const connection = connect();
  const first = invoke();
  const second = refusal(invoke());
  await clock.settle();
  methods.respond(connection, ridOf(connection, 0), 200, encodeUtf8("1"));
  expect(await first).toEqual({ status: 200, payload: 1 });
  connection.close();
  expect(await second).toBe("method.timeout");
});

test("a caller's signal is let go of when its call is over", async () => {
  const { methods, clock, connect, invoke } = await registered();
  const connection = connect();
  const { signal } = new AbortController();
  const answer = invoke({}, signal);
  await clock.settle();
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  methods.respond(connection, "1", 200, encodeUtf8("1"));
  await answer;
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("module methods go to the module", async () => {
  const { world, methods, clock, connect } = await registered();
  const onDevice = connect();
  const { generationId } = await world.identities.create(writeOf(module("d", "m")));
  const onModule = world.connections.connect(module("d", "m"), generationId, ["methods"]);
  const answer = methods.invoke(module("d", "m"), callOf(), never);
  await clock.settle();
  methods.respond(onDevice, ridOf(onModule), 200, encodeUtf8('"device"'));
  methods.respond(onModule, ridOf(onModule), 200, encodeUtf8('"module"'));
  expect(await answer).toEqual({ status: 200, payload: "module" });
});

test("a deleted device ends its calls", async () => {
  const { world, clock, connect, invoke } = await registered();
  connect();
  const asked = refusal(invoke());
  await clock.settle();
  await world.identities.delete(device("d"), "*");
  expect(await asked).toBe("method.timeout");
});

test.each([
  "9007199254740993",
  "-0",
  "1.0",
  "1e2",
  "1E400",
  '{"id":12345678901234567890,"x":[0.1,1e-7,100000000000000000000],"s":"1.0"}',
  '{"__proto__":{"a":1.50}}',
  '"text"',
])("JSON is passed on digit by digit: %s", (text) => {
  expect(JSON.stringify(parseLossless(encodeUtf8(text)))).toBe(text);
});
