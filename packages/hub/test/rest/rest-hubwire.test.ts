import { decodeUtf8 } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { device, writeOf } from "./world.ts";
import { createRestWorld, faceOf, jsonOf } from "./rest-world.ts";
import type { RestResponse } from "../../src/listeners/rest/index.ts";

type Line = Record<string, unknown>;

const parseLines = (text: string): Line[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);

/** The lines of a stream that ends by itself. */
async function linesOf(response: RestResponse): Promise<Line[]> {
  if (typeof response.body !== "object") throw new Error(`no stream: ${String(response.body)}`);
  let text = "";
  for await (const chunk of response.body) text += decodeUtf8(chunk);
  return parseLines(text);
}

const numbersOf = (lines: readonly Line[]): string[] =>
  lines.map((line) => `${String(line["partition"])}:${String(line["sequenceNumber"])}`);

// ---- health and metrics ----

test("health needs no token; readiness tells why not", async () => {
  const { call, state, stopping } = await createRestWorld();
  const anonymous = { authorization: "" };
  expect(jsonOf(await call("GET", "/healthz", anonymous))).toEqual({ status: "ok" });
  expect(jsonOf(await call("GET", "/readyz?x=1", anonymous))).toEqual({ status: "ready" });
  state.unready = "documents: the disk is full";
  const unready = await call("GET", "/readyz", anonymous);
  expect([unready.status, jsonOf(unready)]).toEqual([
    503,
    { status: "not ready", reason: "documents: the disk is full" },
  ]);
  state.unready = undefined;
  stopping.abort();
  expect((await call("GET", "/readyz", anonymous)).status).toBe(503);
  expect((await call("HEAD", "/healthz", anonymous)).status).toBe(200);
});

test("the OpenAPI document is there for everybody", async () => {
  const { call } = await createRestWorld();
  const response = await call("GET", "/openapi.json", { authorization: "" });
  expect(response.status).toBe(200);
  expect(response.headers["content-type"]).toBe("application/json; charset=utf-8");
  expect(jsonOf(response)).toMatchObject({ openapi: "3.1.0", info: { version: "2021-04-12" } });
  const posted = await call("POST", "/openapi.json", { authorization: "" });
  expect(faceOf(posted)).toBe("405 GenericMethodNotAllowed route.method_not_allowed");
});

test("metrics are for this machine, or for ServiceConnect", async () => {
  const { call, token } = await createRestWorld();
  const local = await call("GET", "/metrics", { authorization: "", isLoopback: true });
  expect(local.body).toContain("hubwire_connections 0");
  expect(local.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  const far = await call("GET", "/metrics", { authorization: "" });
  expect(faceOf(far)).toBe("401 IotHubUnauthorized auth.missing_authorization");
  const wrong = await call("GET", "/metrics", { authorization: await token("registryRead") });
  expect(faceOf(wrong)).toBe("401 IotHubUnauthorizedAccess auth.policy_permission");
  const right = await call("GET", "/metrics", { authorization: await token("service") });
  expect(right.status).toBe(200);
});

test.each([
  ["GET", "/hubwire/", "404 GenericNotFound route.not_found"],
  ["GET", "/hubwire/devices/d", "404 GenericNotFound route.not_found"],
  ["GET", "/hubwire/devices/d/messages", "405 GenericMethodNotAllowed route.method_not_allowed"],
  ["POST", "/hubwire/events", "405 GenericMethodNotAllowed route.method_not_allowed"],
  ["HEAD", "/hubwire/events", "405 GenericMethodNotAllowed route.method_not_allowed"],
  ["POST", "/healthz", "405 GenericMethodNotAllowed route.method_not_allowed"],
  ["GET", "/hubwire/%", "400 GenericBadRequest request.malformed"],
  ["TRACE", "/hubwire/events", "400 GenericBadRequest request.malformed"],
  ["GET", "/healthzz", "404 GenericNotFound route.not_found"],
])("%s %s is answered %s", async (method, path, face) => {
  const { call } = await createRestWorld();
  expect(faceOf(await call(method, path))).toBe(face);
});

// ---- cloud-to-device messages ----

test("a message is queued with all its properties", async () => {
  const { call, identities, stores } = await createRestWorld();
  const { generationId } = await identities.create(writeOf(device("d")));
  const body = {
    body: "héllo",
    properties: { a: "1", __proto2__: "2" },
    messageId: "mine",
    correlationId: "c",
    userId: "u",
    contentType: "text/plain",
    contentEncoding: "utf-8",
    ack: "full",
    expiryTimeUtc: "2025-01-01T01:30:00+01:00",
  };
  const sent = await call("POST", "/hubwire/devices/d/messages?api-version=2021-04-12", { body });
  expect([sent.status, jsonOf(sent)]).toEqual([201, { messageId: "mine", sequence: 1 }]);
  const [queued] = await stores.c2d.lock(`d@${generationId}`, {
    limit: 1,
    nowMs: 0,
    lockedUntilMs: 1,
  });
  expect(queued).toMatchObject({
    expiresAtMs: Date.UTC(2025, 0, 1, 0, 30),
    properties: {
      system: {
        messageId: "mine",
        correlationId: "c",
        userId: "u",
        contentType: "text/plain",
        contentEncoding: "utf-8",
        ack: "full",
      },
      application: [
        ["a", "1"],
        ["__proto2__", "2"],
      ],
    },
  });
  expect(decodeUtf8(queued!.body)).toBe("héllo");
});

test.each([
  [{ body: "text" }, "text"],
  [{ body: { a: [1] } }, '{"a":[1]}'],
  [{ body: null }, "null"],
  [{ body: 5 }, "5"],
  [{ bodyBase64: "AP8=" }, "\u0000\u00ff"],
  [{}, ""],
])("the body of %j is %j", async (body, bytes) => {
  const { call, identities, stores } = await createRestWorld();
  const { generationId } = await identities.create(writeOf(device("d")));
  const sent = await call("POST", "/hubwire/devices/d/messages", { body });
  expect(jsonOf(sent)).toEqual({ messageId: expect.any(String) as unknown, sequence: 1 });
  const [queued] = await stores.c2d.lock(`d@${generationId}`, {
    limit: 1,
    nowMs: 0,
    lockedUntilMs: 1,
  });
  expect(Buffer.from(queued!.body).toString("latin1")).toBe(bytes);
});

const badMessages: [sentence: string, body: unknown, face: string][] = [
  ["an array", [], "400 ArgumentInvalid argument.invalid"],
  ["two bodies", { body: "x", bodyBase64: "eA==" }, "400 ArgumentInvalid argument.invalid"],
  ["bytes that are not base64", { bodyBase64: "x" }, "400 ArgumentInvalid argument.invalid"],
  ["a property that is a number", { properties: { a: 1 } }, "400 ArgumentInvalid argument.invalid"],
  ["properties that are text", { properties: "a" }, "400 ArgumentInvalid argument.invalid"],
  ["a message id that is a number", { messageId: 1 }, "400 ArgumentInvalid argument.invalid"],
  ["an unknown ack", { ack: "maybe" }, "400 ArgumentInvalid argument.invalid"],
  [
    "a time without zone",
    { expiryTimeUtc: "2025-01-01T01:00:00" },
    "403 InvalidMessageExpiryTime message.bad_expiry",
  ],
  [
    "a time that is over",
    { expiryTimeUtc: "2024-12-31T00:00:00Z" },
    "403 InvalidMessageExpiryTime message.bad_expiry",
  ],
  [
    "a time beyond two days",
    { expiryTimeUtc: "2025-01-04T00:00:00Z" },
    "403 InvalidMessageExpiryTime message.bad_expiry",
  ],
  ["more than 64 KB", { body: "x".repeat(65_537) }, "413 MessageTooLarge message.too_large"],
  [
    "far more than that",
    { body: "x".repeat(600_000) },
    "413 GenericRequestEntityTooLarge request.too_large",
  ],
];

test.each(badMessages)("a message with %s is refused", async (_sentence, body, face) => {
  const { call, identities } = await createRestWorld();
  await identities.create(writeOf(device("d")));
  expect(faceOf(await call("POST", "/hubwire/devices/d/messages", { body }))).toBe(face);
});

test("a full queue, an unknown device and a missing permission have their faces", async () => {
  const { call, identities, token } = await createRestWorld();
  await identities.create(writeOf(device("d#1")));
  const send = (id: string, authorization?: string) =>
    call("POST", `/hubwire/devices/${encodeURIComponent(id)}/messages`, {
      body: { body: "x" },
      ...(authorization === undefined ? {} : { authorization }),
    });
  for (let i = 0; i < 50; i++) expect((await send("d#1")).status).toBe(201);
  expect(faceOf(await send("d#1"))).toBe("403 DeviceMaximumQueueDepthExceeded quota.queue_full");
  expect(faceOf(await send("x"))).toBe("404 DeviceNotFound device.not_found");
  expect(faceOf(await send("d#1", await token("registryReadWrite")))).toMatch(/^401 .*auth.policy/);
});

// ---- telemetry ----

test("an event is one line with everything about the message", async () => {
  const { call, telemetry } = await createRestWorld();
  telemetry.add(1, {
    bag: "%24.mid=m1&%24.ct=application%2Fjson&%24.ce=utf-8&a=b",
    text: '{"id":12345678901234567890}',
    moduleId: "m",
    modelId: "dtmi:com:example:T;1",
  });
  const response = await call("GET", "/hubwire/events?api-version=2021-04-12");
  expect([response.status, response.headers["content-type"]]).toEqual([
    200,
    "application/x-ndjson; charset=utf-8",
  ]);
  const text = await new Response(response.body as ReadableStream<Uint8Array>).text();
  expect(text).toMatch(/"body":\{"id":12345678901234567890\}\}\n$/);
  expect(JSON.parse(text)).toMatchObject({
    partition: 1,
    sequenceNumber: 0,
    offset: "0",
    enqueuedTimeUtc: "2025-01-01T00:00:00.000Z",
    deviceId: "d",
    moduleId: "m",
    generationId: "1",
    authMethod: { scope: "device", type: "sas", issuer: "iothub", acceptingIpFilterRule: null },
    messageSource: "Telemetry",
    modelId: "dtmi:com:example:T;1",
    properties: { a: "b" },
    systemProperties: {
      messageId: "m1",
      contentType: "application/json",
      contentEncoding: "utf-8",
    },
  });
});

const bodies: [bag: string, bytes: string, shown: object][] = [
  ["%24.ct=application%2Fjson", '{"a":1}', { body: { a: 1 } }],
  ["%24.ct=application%2Fvnd.x%2Bjson", "[1]", { body: [1] }],
  ["%24.ct=Application%2FJSON%3Bcharset%3Dutf-8", "null", { body: null }],
  ["%24.ct=application%2Fjson", "{", { bodyBase64: "ew==" }],
  ["%24.ct=application%2Fjson&%24.ce=utf-16", "{}", { bodyBase64: "e30=" }],
  ["%24.ct=text%2Fplain", "hé", { body: "hé" }],
  ["%24.ct=text%2Fplain", "\u0000\u00ff", { bodyBase64: "AP8=" }],
  ["%24.ct=application%2Foctet-stream", "abc", { bodyBase64: "YWJj" }],
  ["", '{"a":1}', { body: '{"a":1}', bodyBase64: "eyJhIjoxfQ==" }],
  ["", "\u0000\u00ff", { bodyBase64: "AP8=" }],
  ["", "\u0007", { bodyBase64: "Bw==" }],
  ["", "", { body: "", bodyBase64: "" }],
];

test.each(bodies)("with properties %j the bytes %j are shown as %j", async (bag, text, shown) => {
  const { call, telemetry } = await createRestWorld();
  const isBinary = text.startsWith("\u0000");
  telemetry.add(0, { bag, body: Buffer.from(text, isBinary ? "latin1" : "utf8") });
  const [line] = await linesOf(await call("GET", "/hubwire/events"));
  const { body, bodyBase64 } = line ?? {};
  expect({ body, bodyBase64 }).toEqual({ body: undefined, bodyBase64: undefined, ...shown });
});

const starts: [query: string, numbers: string[]][] = [
  ["", ["0:0", "1:0", "0:1", "1:1"]],
  ["from=first", ["0:0", "1:0", "0:1", "1:1"]],
  ["from=end", []],
  ["from=1", ["0:1", "1:1"]],
  ["partition=1", ["1:0", "1:1"]],
  ["partition=0&from=1", ["0:1"]],
  ["from=2025-01-01T00:00:00.002Z", ["0:1", "1:1"]],
  ["from=2030-01-01T00:00:00Z&follow=false", []],
];

test.each(starts)("events?%s gives %j", async (query, numbers) => {
  const { call, telemetry } = await createRestWorld();
  for (const partition of [0, 1, 0, 1]) telemetry.add(partition);
  expect(numbersOf(await linesOf(await call("GET", `/hubwire/events?${query}`)))).toEqual(numbers);
});

test.each([
  "partition=2",
  "partition=-1",
  "partition=x",
  "from=yesterday",
  "follow=maybe",
  "from=",
])("events?%s is refused", async (query) => {
  const { call } = await createRestWorld();
  const response = await call("GET", `/hubwire/events?${query}`);
  expect(faceOf(response)).toBe("400 ArgumentInvalid argument.invalid");
});

test("reading needs ServiceConnect", async () => {
  const { call, token } = await createRestWorld();
  const authorization = await token("registryReadWrite");
  expect(faceOf(await call("GET", "/hubwire/events", { authorization }))).toMatch(/^401 /);
});

test("without follow it ends at what was there when it began", async () => {
  const { call, telemetry } = await createRestWorld();
  for (let i = 0; i < 600; i++) telemetry.add(0);
  const response = await call("GET", "/hubwire/events");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let count = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    count += parseLines(decodeUtf8(next.value)).length;
    telemetry.add(0);
  }
  expect(count).toBe(600);
});

test("with follow it sends what comes, and ends when the hub stops", async () => {
  const { call, telemetry, stopping } = await createRestWorld();
  telemetry.add(0);
  const response = await call("GET", "/hubwire/events?follow=true&from=end");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const first = reader.read();
  await new Promise(setImmediate);
  telemetry.add(0);
  telemetry.add(1);
  const seen = parseLines(decodeUtf8((await first).value!));
  while (seen.length < 2) seen.push(...parseLines(decodeUtf8((await reader.read()).value!)));
  expect(numbersOf(seen)).toEqual(["0:1", "1:0"]);
  const last = reader.read();
  stopping.abort();
  expect((await last).done).toBe(true);
  expect(telemetry.listeners.size).toBe(0);
});

test("what is committed while a read is under way is not waited past", async () => {
  const { call, telemetry } = await createRestWorld();
  telemetry.duringRead = () => {
    telemetry.duringRead = undefined;
    telemetry.add(0);
  };
  const response = await call("GET", "/hubwire/events?follow=true&partition=0");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(numbersOf(parseLines(decodeUtf8((await reader.read()).value!)))).toEqual(["0:0"]);
});

test("a reader that takes nothing costs one round of reading, and none is left when it goes", async () => {
  const { call, telemetry } = await createRestWorld();
  for (let i = 0; i < 5_000; i++) telemetry.add(0);
  const leaving = new AbortController();
  const response = await call("GET", "/hubwire/events?follow=true", { signal: leaving.signal });
  await new Promise(setImmediate);
  expect(telemetry.reads).toBe(0);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const chunk = await reader.read();
  await new Promise(setImmediate);
  expect(parseLines(decodeUtf8(chunk.value!))).toHaveLength(256);
  expect(telemetry.reads).toBe(2);
  leaving.abort();
  await reader.cancel();
  expect(telemetry.listeners.size).toBe(0);
});

test("a hundred readers may be there, and one that left makes room", async () => {
  const { call } = await createRestWorld();
  const readers = await Promise.all(
    Array.from({ length: 100 }, () => call("GET", "/hubwire/events?follow=true")),
  );
  expect(faceOf(await call("GET", "/hubwire/events"))).toBe("503 ServerBusy hub.busy");
  await (readers[0]!.body as ReadableStream).cancel();
  expect((await call("GET", "/hubwire/events")).status).toBe(200);
});
