import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { Outcome, World } from "./support/world.ts";
import type { HubScript } from "./support/script.ts";

const never: HubScript = {
  onEffect: (effect) => (effect.type === "message" ? "taken" : undefined),
};

test("a message is acknowledged by the hub before its promise is fulfilled", async () => {
  const world = new World();
  const client = await world.connect();
  const sent = new Outcome(client.sendTelemetry("hello"));
  expect(sent.code).toBe("pending");
  await world.clock.settle();
  expect(sent.code).toBe("value");
  expect(world.hub.telemetry).toMatchObject([
    { topic: "devices/dev1/messages/events/", text: "hello", dup: false },
  ]);
});

test("bytes and text go as they are, other values as JSON with content type and encoding", async () => {
  const world = new World();
  const client = await world.connect();
  const bytes = Buffer.from("bytes");
  const all = [
    client.sendTelemetry(bytes),
    client.sendTelemetry('{"a":1}'),
    client.sendTelemetry({ a: 1 }),
    client.sendTelemetry([1, 2]),
    client.sendTelemetry(null),
    client.sendTelemetry({ a: 1 }, { contentType: "application/vnd.example" }),
  ];
  // The caller's buffer may be used again as soon as the call returned.
  bytes.fill(0);
  await world.settle(Promise.all(all));
  const json = "%24.ct=application%2Fjson&%24.ce=utf-8";
  expect(world.hub.telemetry.map(({ topic, text }) => [topic.slice(29), text])).toEqual([
    ["", "bytes"],
    ["", '{"a":1}'],
    [json, '{"a":1}'],
    [json, "[1,2]"],
    [json, "null"],
    ["%24.ct=application%2Fvnd.example&%24.ce=utf-8", '{"a":1}'],
  ]);
});

test("what has no JSON form is the caller's mistake", async () => {
  const world = new World();
  const client = await world.connect();
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  for (const body of [circle, undefined, () => 1, { big: 1n }]) {
    await expect(client.sendTelemetry(body as object)).rejects.toMatchObject({
      code: "argument.invalid",
    });
  }
});

test("system and application properties are in the topic, system ones first", async () => {
  const world = new World();
  const client = await world.connect();
  await world.settle(
    client.sendTelemetry("x", {
      properties: { alert: "a b", ü: "1/2" },
      messageId: "m 1",
      correlationId: "c",
      componentName: "thermostat",
      creationTimeUtc: "2026-01-01T00:00:00Z",
    }),
  );
  expect(world.hub.telemetry[0]?.topic).toBe(
    "devices/dev1/messages/events/%24.mid=m%201&%24.cid=c&%24.ctime=2026-01-01T00%3A00%3A00Z&%24.sub=thermostat&alert=a%20b&%C3%BC=1%2F2",
  );
});

test.each([
  ["a misspelt option", { messageid: "x" }, "argument.invalid"],
  ["a system property that only the hub sets", { connectionDeviceId: "x" }, "argument.invalid"],
  ["a system property that is no text", { messageId: 1 }, "argument.invalid"],
  [
    "an application property with a reserved name",
    { properties: { "$.mid": "x" } },
    "topic.reserved_property",
  ],
  ["an application property that is no text", { properties: { a: 1 } }, "topic.bad_property"],
  ["QoS 2", { qos: 2 }, "argument.invalid"],
  ["a time-out of zero", { timeoutMs: 0 }, "argument.invalid"],
  ["properties longer than a topic", { properties: { a: "x".repeat(70_000) } }, "topic.too_long"],
])("%s is refused and nothing is sent", async (_name, options, code) => {
  const world = new World();
  const client = await world.connect();
  await expect(client.sendTelemetry("x", options as object)).rejects.toMatchObject({ code });
  await world.settle(client.sendTelemetry("good"));
  expect(world.hub.texts).toEqual(["good"]);
});

test("256 KB of body and properties go, one byte more is refused", async () => {
  const world = new World();
  const client = await world.connect();
  const properties = { a: "bcd" };
  const body = Buffer.alloc(262_144 - 4);
  await world.settle(client.sendTelemetry(body, { properties }));
  await expect(
    client.sendTelemetry(Buffer.alloc(body.length + 1), { properties }),
  ).rejects.toMatchObject({ code: "device.message_too_large" });
});

test("messages leave in the order of the calls, with at most maxInflight unacknowledged", async () => {
  let inFlight = 0;
  let most = 0;
  const held: (() => void)[] = [];
  const world = new World({
    onEffect: (effect, { session, driver }, hub) => {
      if (effect.type !== "message") return undefined;
      inFlight += 1;
      most = Math.max(most, inFlight);
      hub.telemetry.push({
        topic: effect.topic,
        text: Buffer.from(effect.chunk.subarray(effect.payloadStart, effect.payloadEnd)).toString(),
        packetId: effect.packetId,
        dup: effect.dup,
      });
      held.push(() => {
        inFlight -= 1;
        session.ack(effect.receipt);
        driver.touch();
      });
      return "taken";
    },
  });
  const client = await world.connect({ maxInflight: 3 });
  const texts = Array.from({ length: 20 }, (_, i) => `m${i}`);
  const all = Promise.all(texts.map((text) => client.sendTelemetry(text)));
  for (let i = 0; i < texts.length; i++) {
    await world.clock.settle();
    held.shift()?.();
  }
  await world.settle(all);
  expect(world.hub.texts).toEqual(texts);
  expect(most).toBe(3);
});

test("what was on the way when the connection broke is sent again, before anything newer", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect({ maxInflight: 2 });
  const all = Promise.all(["a", "b", "c"].map((text) => client.sendTelemetry(text)));
  await world.clock.settle();
  silent = false;
  world.hub.cut();
  await world.settle(all);
  expect(world.hub.telemetry.map(({ text, dup }) => [text, dup])).toEqual([
    ["a", true],
    ["b", true],
    ["c", false],
  ]);
});

test("a hub that lost its session gets the unacknowledged messages again all the same", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect();
  const sent = client.sendTelemetry("a");
  await world.clock.settle();
  silent = false;
  world.hub.forgetSession();
  world.hub.cut();
  await world.settle(sent);
  expect(world.hub.texts).toEqual(["a"]);
});

test("the caller's bytes may change as soon as the call returned: what is sent, also again, is what was given", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect({ maxInflight: 1 });
  const bytes = Buffer.from("given");
  const all = Promise.all([client.sendTelemetry(bytes), client.sendTelemetry(bytes)]);
  bytes.fill("x");
  await world.clock.settle();
  silent = false;
  world.hub.cut();
  await world.settle(all);
  expect(world.hub.texts).toEqual(["given", "given"]);
});

test("a message sent again has all its time again", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect({ retryIntervalMs: 30_000, keepAliveS: 600 });
  const sent = new Outcome(client.sendTelemetry("x"));
  await world.clock.advance(25_000);
  world.hub.cut();
  await world.clock.runUntil(() => world.hub.opened === 2 && client.status().state === "connected");
  const connectedAtMs = world.clock.nowMs();
  await world.clock.advanceTo(connectedAtMs + 29_999);
  expect(client.status().state).toBe("connected");
  silent = false;
  await world.clock.advance(1);
  expect(client.status().state).toBe("waiting");
  await world.clock.runUntil(() => sent.isSettled);
  expect(sent.code).toBe("value");
});

test("rubbish behind an acknowledgement ends the connection and nothing else", async () => {
  const world = new World({
    onEffect: (effect, { driver }) => {
      if (effect.type !== "message" || effect.packetId !== 1 || effect.dup) return undefined;
      // PUBACK for the first message and a reserved packet type, in one piece.
      driver.stream.write(Uint8Array.of(0x40, 2, 0, 1, 0xf0, 0));
      return "taken";
    },
  });
  const client = await world.connect({ maxInflight: 1 });
  const causes: string[] = [];
  void (async () => {
    for await (const status of client.statusChanges()) {
      if (status.state === "waiting") causes.push(status.cause.code);
    }
  })();
  const all = Promise.all(["a", "b", "c"].map((text) => client.sendTelemetry(text)));
  await world.settle(all);
  expect(causes).toEqual(["mqtt.packet_type_reserved"]);
  expect(world.hub.texts).toEqual(["b", "c"]);
});

test("a signal that outlives its calls does not collect listeners", async () => {
  const world = new World();
  const client = await world.connect();
  const { signal } = new AbortController();
  for (let i = 0; i < 20; i++) {
    await world.settle(client.sendTelemetry("x", { signal }));
    await world.settle(client.getTwin({ signal }));
    await client.messages({ signal }).return?.();
  }
  expect(getEventListeners(signal, "abort")).toHaveLength(0);
});

test("messages sent while there is no connection wait for one", async () => {
  const world = new World();
  const client = await world.connect();
  world.hub.cut();
  await world.clock.settle();
  const all = Promise.all([
    client.sendTelemetry("a"),
    client.sendTelemetry("b", { qos: 0 }),
    client.sendTelemetry("c"),
  ]);
  await world.settle(all);
  expect(world.hub.texts).toEqual(["a", "b", "c"]);
});

test("a hub that never acknowledges: the connection is given up and the message sent again, until its time is over", async () => {
  const world = new World(never);
  const client = await world.connect({ retryIntervalMs: 10_000 });
  const causes: string[] = [];
  const changes = client.statusChanges();
  void (async () => {
    for await (const status of changes)
      if (status.state === "waiting") causes.push(status.cause.code);
  })();
  const startMs = world.clock.nowMs();
  const sent = new Outcome(client.sendTelemetry("x", { timeoutMs: 45_000 }));
  await world.clock.runUntil(() => sent.isSettled);
  expect(sent.code).toBe("call.timeout");
  expect(sent.error.message).toContain("not acknowledged");
  expect(world.clock.nowMs() - startMs).toBe(45_000);
  expect(causes.length).toBeGreaterThanOrEqual(2);
  expect(new Set(causes)).toEqual(new Set(["device.ack_timeout"]));
});

test("a message whose caller was told it failed is not sent on the next connection", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect();
  const controller = new AbortController();
  const aborted = new Outcome(client.sendTelemetry("aborted", { signal: controller.signal }));
  const late = new Outcome(client.sendTelemetry("late", { timeoutMs: 500 }));
  const kept = client.sendTelemetry("kept");
  await world.clock.settle();
  controller.abort();
  await world.clock.advance(1_000);
  expect([aborted.code, late.code]).toEqual(["call.aborted", "call.timeout"]);
  silent = false;
  world.hub.cut();
  await world.settle(kept);
  expect(world.hub.texts).toEqual(["kept"]);
});

test("a call can be aborted before it is made, while it waits, and harmlessly after", async () => {
  const world = new World();
  const client = await world.connect({ maxInflight: 1 });
  const reason = new Error("enough");
  const before = client.sendTelemetry("x", { signal: AbortSignal.abort(reason) });
  await expect(before).rejects.toMatchObject({ code: "call.aborted", cause: reason });
  const controller = new AbortController();
  const first = client.sendTelemetry("first", { signal: controller.signal });
  const waiting = new Outcome(
    client.sendTelemetry("waiting", { signal: AbortSignal.any([controller.signal]) }),
  );
  controller.abort();
  await expect(first).rejects.toMatchObject({ code: "call.aborted" });
  await world.clock.settle();
  expect(waiting.code).toBe("call.aborted");
  const after = new AbortController();
  await world.settle(client.sendTelemetry("done", { signal: after.signal }));
  after.abort();
  await world.settle(client.sendTelemetry("next"));
  expect(world.hub.texts.slice(-2)).toEqual(["done", "next"]);
});

test("the queue is bounded in messages and in bytes, and takes more when it empties", async () => {
  const world = new World();
  const client = await world.connect({ queueMessagesMax: 3, queueBytesMax: 2_000 });
  world.hub.cut();
  await world.clock.settle();
  const first = [1, 2, 3].map(() => client.sendTelemetry("x"));
  await expect(client.sendTelemetry("x")).rejects.toMatchObject({
    code: "device.queue_full",
    retryable: true,
  });
  await world.settle(Promise.all(first));
  world.hub.cut();
  await world.clock.settle();
  const large = client.sendTelemetry(Buffer.alloc(1_900));
  await expect(client.sendTelemetry(Buffer.alloc(100))).rejects.toMatchObject({
    code: "device.queue_full",
  });
  await world.settle(large);
  await world.settle(Promise.all([1, 2].map(() => client.sendTelemetry(Buffer.alloc(900)))));
});

test("a message larger than the whole queue goes when the queue is empty", async () => {
  const world = new World();
  const client = await world.connect({ queueBytesMax: 1_024 });
  await world.settle(client.sendTelemetry(Buffer.alloc(100_000)));
  expect(world.hub.telemetry).toHaveLength(1);
});

test("thousands of calls given up behind one that waits leave room and order as they were", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect({ maxInflight: 1, queueMessagesMax: 600 });
  const texts = ["first"];
  const kept = [client.sendTelemetry("first")];
  for (let round = 0; round < 20; round++) {
    const controller = new AbortController();
    const { signal } = controller;
    const calls = Array.from({ length: 500 }, () => client.sendTelemetry("x", { signal }));
    texts.push(`kept ${round}`);
    kept.push(client.sendTelemetry(`kept ${round}`));
    controller.abort();
    await Promise.allSettled(calls);
  }
  silent = false;
  world.hub.cut();
  await world.settle(Promise.all(kept));
  expect(world.hub.texts).toEqual(texts);
});

test("QoS 0 is fulfilled when the message was given to the socket, without any answer", async () => {
  const world = new World(never);
  const client = await world.connect({ qos: 0 });
  const one = new Outcome(client.sendTelemetry("a"));
  const two = new Outcome(client.sendTelemetry("b"));
  await Promise.resolve();
  expect(one.code).toBe("pending");
  await world.clock.settle();
  expect([one.code, two.code]).toEqual(["value", "value"]);
});

test("QoS 0 cannot run away from a socket that takes nothing: what is not taken waits", async () => {
  const world = new World();
  const client = await world.connect({ qos: 0, queueBytesMax: 64 * 2 ** 20 });
  const { stream } = world.hub.current.driver;
  stream.pause();
  const body = Buffer.alloc(100_000);
  const all = Array.from({ length: 50 }, () => new Outcome(client.sendTelemetry(body)));
  await world.clock.settle();
  const settled = (): number => all.filter(({ isSettled }) => isSettled).length;
  expect(settled()).toBeGreaterThan(5);
  expect(settled()).toBeLessThan(20);
  stream.resume();
  await world.clock.settle();
  expect(settled()).toBe(50);
  expect(world.hub.telemetry).toHaveLength(50);
});

test("acknowledgements that come in another order settle the right messages", async () => {
  const receipts: number[] = [];
  const world = new World({
    onEffect: (effect) => {
      if (effect.type !== "message") return undefined;
      receipts.push(effect.packetId);
      return "taken";
    },
  });
  const client = await world.connect();
  const all = ["a", "b", "c"].map((text) => new Outcome(client.sendTelemetry(text)));
  await world.clock.settle();
  const { stream } = world.hub.current.driver;
  for (const index of [2, 0, 1]) {
    // A PUBACK by hand: the server session would insist on its order.
    stream.write(Uint8Array.of(0x40, 2, 0, receipts[index] as number));
    await world.clock.settle();
    expect(all[index]?.code).toBe("value");
  }
  // And one for nothing at all.
  stream.write(Uint8Array.of(0x40, 2, 0x12, 0x34));
  await world.clock.settle();
  expect(client.status().state).toBe("connected");
});
