import fc from "fast-check";
import { mergePatch } from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import { VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { EventStream } from "../src/calls/event-stream.ts";
import { Agenda } from "../src/connection/agenda.ts";
import { TokenClock } from "../src/connection/token-clock.ts";
import { Deque } from "../src/telemetry/deque.ts";
import { TopicCache } from "../src/telemetry/topic-cache.ts";
import { patchBetween } from "../src/twin/patch-between.ts";

const runs = process.env["HUBWIRE_LONG"] === "1" ? 20_000 : 500;

test("a deque behaves as an array does", () => {
  const command = fc.oneof(
    { weight: 5, arbitrary: fc.record({ type: fc.constant("push" as const), value: fc.nat() }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("shift" as const), value: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("filter" as const), value: fc.nat(3) }) },
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 300 }), (commands) => {
      const deque = new Deque<number>();
      let model: number[] = [];
      for (const { type, value } of commands) {
        if (type === "push") {
          deque.push(value);
          model.push(value);
        } else if (type === "shift" && model.length > 0) {
          deque.shift();
          model.shift();
        } else if (type === "filter") {
          deque.filter((item) => item % 4 !== value);
          model = model.filter((item) => item % 4 !== value);
        }
        expect(deque.length).toBe(model.length);
      }
      expect(model.map((_, i) => deque.at(i))).toEqual(model);
    }),
    { numRuns: runs },
  );
});

/** Documents as twins hold them: no nulls outside arrays. */
const { document } = fc.letrec<{ document: JsonObject; value: unknown }>((tie) => ({
  document: fc.dictionary(
    fc.constantFrom("a", "b", "c", "__proto__", "constructor"),
    tie("value"),
    {
      maxKeys: 4,
    },
  ) as fc.Arbitrary<JsonObject>,
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.integer(),
    fc.string(),
    fc.boolean(),
    fc.array(fc.oneof(fc.integer(), fc.constant(null)), { maxLength: 3 }),
    tie("document"),
  ),
}));

test("the patch between two documents turns one into the other, and is empty only for equal ones", () => {
  fc.assert(
    fc.property(document, document, (from, to) => {
      const patch = patchBetween(from, to);
      expect(JSON.stringify(sorted(mergePatch(from, patch)))).toBe(JSON.stringify(sorted(to)));
      const equal = JSON.stringify(sorted(from)) === JSON.stringify(sorted(to));
      expect(Object.keys(patch).length === 0).toBe(equal);
    }),
    { numRuns: runs },
  );
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.keys(value)
    .toSorted()
    .map((key) => [key, sorted(Object.getOwnPropertyDescriptor(value, key)?.value)]);
  // Told apart from an array: a list of members is an object here.
  return { members };
}

test("topics of repeated bags are the same string, of different bags different", () => {
  const cache = new TopicCache({ deviceId: "d" });
  const plain = cache.topicFor(undefined, false);
  expect(cache.topicFor({ timeoutMs: 5 }, false).topic).toBe(plain.topic);
  const one = cache.topicFor({ messageId: "1", properties: { a: "b" } }, false);
  expect(cache.topicFor({ messageId: "1", properties: { a: "b" }, qos: 0 }, false)).toBe(one);
  expect(one.propertyBytes).toBe(1 + 1 + 1);
  const others = [
    { messageId: "2", properties: { a: "b" } },
    { messageId: "1", properties: { a: "c" } },
    { messageId: "1", properties: { a: "b", c: "" } },
    { messageId: "1", correlationId: "1", properties: { a: "b" } },
    { messageId: "1" },
    { correlationId: "1", properties: { a: "b" } },
    { properties: { a: "b", messageId: "1" } },
  ];
  const topics = others.map((options) => cache.topicFor(options, false).topic);
  expect(new Set([one.topic, plain.topic, ...topics]).size).toBe(others.length + 2);
  // Seven other bags pushed it out; made anew it is the same text.
  expect(cache.topicFor({ messageId: "1", properties: { a: "b" } }, false).topic).toBe(one.topic);
  expect(cache.topicFor(undefined, true).topic).not.toBe(plain.topic);
});

test("a cached bag never hides a mistake in another option", () => {
  const cache = new TopicCache({ deviceId: "d" });
  cache.topicFor({ messageId: "1" }, false);
  const wrong = { messageId: "1", mesageId: "2" };
  expect(() => cache.topicFor(wrong, false)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
  const number = { messageId: "1", userId: 5 } as object;
  expect(() => cache.topicFor(number, false)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
});

test.each([{ deviceId: "a#b" }, { deviceId: "d", moduleId: "+" }])(
  "telemetry of %j is refused before it is queued: MQTT has no topic for it",
  (identity) => {
    const cache = new TopicCache(identity);
    for (const options of [undefined, { messageId: "1" }]) {
      expect(() => cache.topicFor(options, false)).toThrow(
        expect.objectContaining({ code: "argument.invalid" }),
      );
    }
  },
);

const password = (expiresAtMs: number, renewable = true) => ({
  bytes: undefined,
  expiresAtMs,
  renewable,
});

test("a token is due a seventh of its lifetime before its end, or when told", () => {
  expect(dueAt(new TokenClock(password(70_000), undefined, 0, 0))).toBe(60_000);
  expect(dueAt(new TokenClock(password(70_000), 20, 0, 0))).toBe(50_000);
  // Not more than half of its life is given away.
  expect(dueAt(new TokenClock(password(70_000), 69, 0, 0))).toBe(35_000);
  expect(dueAt(new TokenClock(password(70_000, false), undefined, 0, 0))).toBe(Infinity);
  expect(dueAt(new TokenClock(password(Infinity), undefined, 0, 0))).toBe(Infinity);
});

/** Jumps from deadline to deadline; wall and monotonic time go together. */
function dueAt(token: TokenClock): number {
  for (let nowMs = token.deadlineMs; nowMs < 1e9; nowMs = token.deadlineMs) {
    if (token.due(nowMs, nowMs)) return nowMs;
  }
  return Infinity;
}

test("an agenda ticks each machine once it is due, early timers cost nothing but themselves", async () => {
  const clock = new VirtualClock();
  const agenda = new Agenda(clock);
  const ticks: string[] = [];
  const machine = (name: string, times: number[]) => {
    const self = {
      get deadlineMs() {
        return times[0] ?? Infinity;
      },
      tick(nowMs: number) {
        ticks.push(`${name}@${nowMs}`);
        times.shift();
      },
    };
    agenda.add(self);
    agenda.expect(self.deadlineMs);
    return times;
  };
  const moved = machine("a", [10, 50]);
  machine("b", [30]);
  moved[0] = 20;
  await clock.advance(100);
  expect(ticks).toEqual(["a@20", "b@30", "a@50"]);
  agenda.expect(200);
  agenda.stop();
  expect(clock.nextMs).toBe(Infinity);
});

test("an event stream gives everything in order, then its end, to any number of waiting readers", async () => {
  const options = {
    what: "x",
    signal: undefined,
    bufferMax: 2,
    onOverflow: (buffer: number[], event: number) => void buffer.push(event * 100),
  };
  const stream = new EventStream<number>(options);
  const early = [stream.next(), stream.next()];
  for (const event of [1, 2, 3, 4, 5]) stream.push(event);
  expect(await Promise.all(early)).toEqual([
    { value: 1, done: false },
    { value: 2, done: false },
  ]);
  stream.end();
  stream.push(6);
  const rest: number[] = [];
  for await (const event of stream) rest.push(event);
  expect(rest).toEqual([3, 4, 500]);
  expect(await stream.next()).toEqual({ value: undefined, done: true });
});

test("a failed stream throws once, to one reader, and is over for the others", async () => {
  const options = { what: "x", signal: undefined, bufferMax: 2, onOverflow: () => undefined };
  const waiting = new EventStream<number>(options);
  const readers = [waiting.next(), waiting.next()];
  waiting.fail(new Error("broken"));
  await expect(readers[0]).rejects.toThrow("broken");
  expect(await readers[1]).toEqual({ value: undefined, done: true });
  const idle = new EventStream<number>(options);
  idle.fail(new Error("broken"));
  await expect(idle.next()).rejects.toThrow("broken");
  expect(await idle.next()).toEqual({ value: undefined, done: true });
});
