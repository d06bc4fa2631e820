import { createAmqpClient, type AmqpClient, type DeviceEvent } from "@hubwire/service/amqp";
import { testCertificates } from "@hubwire/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { amqpStub, type AmqpStub } from "./support/amqp-stub.ts";

// A key pair of its own for each test would cost more than the tests.
const certificates = testCertificates();
let stub: AmqpStub;
let client: AmqpClient;
const connectionString = "HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=QUJD";
const clientOf = (): AmqpClient =>
  createAmqpClient({ connectionString, ca: stub.ca, port: stub.port });

beforeEach(async () => {
  stub = await amqpStub(await certificates);
  client = clientOf();
});
afterEach(async () => {
  await client.close();
  await stub[Symbol.asyncDispose]();
});

const fill = (partitions: Record<string, number>): void => {
  for (const [id, count] of Object.entries(partitions)) {
    stub.events.set(
      id,
      Array.from({ length: count }, (_, sequenceNumber) => ({
        sequenceNumber,
        deviceId: `d${id}`,
        body: `{"n":${sequenceNumber}}`,
      })),
    );
  }
};

async function take(events: AsyncIterable<DeviceEvent>, count = Infinity): Promise<string[]> {
  const seen: string[] = [];
  for await (const { partitionId, sequenceNumber } of events) {
    seen.push(`${partitionId}:${sequenceNumber}`);
    if (seen.length === count) break;
  }
  return seen.toSorted();
}

// ---- cloud-to-device messages ----

test("a message is sent with everything that stands on it, after a token for the hub was put", async () => {
  const expiresAt = new Date(1_800_000_000_000);
  const { messageId } = await client.sendToDevice("dev#1", {
    body: "hello",
    messageId: "m1",
    correlationId: "c1",
    userId: "u1",
    contentType: "text/plain",
    contentEncoding: "utf-8",
    expiresAt,
    ack: "full",
    properties: { k: "v" },
  });
  expect(messageId).toBe("m1");
  expect(stub.audiences).toEqual(["localhost"]);
  expect(stub.tokens[0]).toMatch(
    /^SharedAccessSignature sr=localhost&sig=[^&]+&se=\d+&skn=service$/u,
  );
  const [message] = stub.sent;
  expect(message).toMatchObject({
    message_id: "m1",
    correlation_id: "c1",
    to: "/devices/dev%231/messages/devicebound",
    content_type: "text/plain",
    content_encoding: "utf-8",
    application_properties: { k: "v", "iothub-ack": "full" },
  });
  expect(Number(message?.absolute_expiry_time)).toBe(expiresAt.getTime());
  expect(String(message?.user_id)).toBe("u1");
  expect(message?.body).toMatchObject({ content: Buffer.from("hello") });
});

test("messages share one connection, and one to a module names it", async () => {
  await Promise.all([
    client.sendToDevice("a", { body: "1" }),
    client.sendToDevice({ deviceId: "a", moduleId: "m" }, { body: new Uint8Array([0, 255]) }),
  ]);
  expect(stub.connections).toBe(1);
  expect(stub.sent.map(({ to = "" }) => to).toSorted()).toEqual([
    "/devices/a/messages/devicebound",
    "/devices/a/modules/m/messages/devicebound",
  ]);
});

test.each([
  ["amqp:not-found", "device.not_found"],
  ["amqp:resource-limit-exceeded", "quota.queue_full"],
  ["amqp:link:message-size-exceeded", "message.too_large"],
  ["com.microsoft:argument-error", "argument.invalid"],
  ["com.microsoft:device-container-throttled", "quota.throttled"],
  ["x:unheard-of", "service.message_rejected"],
  ["release", "service.message_rejected"],
  ["cut", "service.link_closed"],
])("a message settled with %s is %s", async (condition, code) => {
  stub.rejections.set("bad", condition);
  await expect(client.sendToDevice("bad", { body: "" })).rejects.toMatchObject({ code });
  // The next one finds a connection that works.
  await client.sendToDevice("good", { body: "" });
  expect(stub.sent).toHaveLength(1);
});

test("a hub that never settles is not waited for", async () => {
  stub.rejections.set("d", "silence");
  const late = client.sendToDevice("d", { body: "" }, { timeoutMs: 200 });
  await expect(late).rejects.toMatchObject({ code: "call.timeout" });
  const controller = new AbortController();
  const aborted = client.sendToDevice("d", { body: "" }, { signal: controller.signal });
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ code: "call.aborted" });
});

test("a token that is refused is told as such", async () => {
  stub.tokenStatus = 401;
  const refused = { code: "service.unauthorized" };
  await expect(client.sendToDevice("d", { body: "" })).rejects.toMatchObject(refused);
  await expect(client.feedback().next()).rejects.toMatchObject(refused);
});

test("nobody there, and a certificate nobody trusts, are told apart", async () => {
  await using nobody = createAmqpClient({ connectionString, port: 1 });
  await expect(nobody.sendToDevice("d", { body: "" })).rejects.toMatchObject({
    code: "transport.refused",
  });
  await using stranger = createAmqpClient({ connectionString, port: stub.port });
  await expect(stranger.sendToDevice("d", { body: "" })).rejects.toMatchObject({
    code: "transport.tls_untrusted",
  });
});

test("a closed client says so", async () => {
  await client.close();
  await expect(client.sendToDevice("d", { body: "" })).rejects.toMatchObject({
    code: "client.closed",
  });
});

// ---- feedback ----

const record = { originalMessageId: "m1", statusCode: "Success", deviceId: "d" };

test("feedback is settled as its reader says; what was abandoned comes again", async () => {
  stub.feedback.push([record], [{ ...record, originalMessageId: "m2" }]);
  const seen: string[] = [];
  for await (const batch of client.feedback()) {
    seen.push(batch.records[0]?.originalMessageId ?? "");
    if (seen.length === 1) batch.abandon();
    else batch.complete();
    if (seen.length === 3) break;
  }
  expect(seen).toEqual(["m1", "m2", "m1"]);
  await expect.poll(() => stub.outcomes).toEqual(["released", "accepted", "accepted"]);
});

test("settling on a lost link says that the batch comes again", async () => {
  stub.feedback.push([record]);
  const feedback = client.feedback();
  const { value: batch } = await feedback.next();
  const lost = feedback.next();
  stub.cut();
  stub.feedback.push([record]);
  await lost;
  expect(() => batch?.complete()).toThrow(expect.objectContaining({ code: "service.lock_lost" }));
  await feedback.return();
});

// ---- events ----

test("events come from all partitions, each in order, found by asking the hub", async () => {
  fill({ 0: 3, 1: 2 });
  const seen: DeviceEvent[] = [];
  for await (const event of client.events({ start: "earliest", follow: false })) seen.push(event);
  const of = (id: string): number[] =>
    seen.filter((event) => event.partitionId === id).map((event) => event.sequenceNumber);
  expect([of("0"), of("1")]).toEqual([
    [0, 1, 2],
    [0, 1],
  ]);
  const first = seen.find((event) => event.partitionId === "0");
  expect(first).toMatchObject({
    deviceId: "d0",
    offset: "0",
    enqueuedTime: new Date(1_767_225_600_000),
    partitionKey: "d0",
    messageSource: "Telemetry",
    system: { messageId: "m-1", contentType: "application/json" },
    properties: { room: "kitchen" },
  });
  expect(first?.json()).toEqual({ n: 0 });
  // Signed with the characters of the key, for each link by itself.
  expect(stub.audiences).toContain(
    `sb://localhost:${stub.port}/the-events/ConsumerGroups/$Default/Partitions/1`,
  );
});

test.each([
  ["earliest" as const, "amqp.annotation.x-opt-offset > '-1'"],
  ["latest" as const, "amqp.annotation.x-opt-offset > '@latest'"],
  [{ sequenceNumber: 5 }, "amqp.annotation.x-opt-sequence-number >= '5'"],
  [{ sequenceNumber: 5, isInclusive: false }, "amqp.annotation.x-opt-sequence-number > '5'"],
  [{ offset: "500" }, "amqp.annotation.x-opt-offset > '500'"],
  [{ offset: "500", isInclusive: true }, "amqp.annotation.x-opt-offset >= '500'"],
  [
    { enqueuedTime: new Date(1_700_000_000_000) },
    "amqp.annotation.x-opt-enqueued-time > '1700000000000'",
  ],
])("the start %j is asked for as %s", async (start, selector) => {
  fill({ 0: 10, 1: 1 });
  const ends = new AbortController();
  const reading = take(client.events({ start, partitions: ["0"], signal: ends.signal }));
  await expect.poll(() => stub.selectors).toEqual([`0: ${selector}`]);
  ends.abort();
  await reading;
});

test("reading goes on behind the last event after a lost connection, without a gap or a repeat", async () => {
  fill({ 0: 1000 });
  const lost: string[] = [];
  const seen: number[] = [];
  const events = client.events({
    start: "earliest",
    follow: false,
    delayMsMin: 1,
    onReconnecting: (error) => lost.push(error.code),
  });
  for await (const event of events) {
    seen.push(event.sequenceNumber);
    if (seen.length === 400) stub.cut();
  }
  expect(seen).toEqual(Array.from({ length: 1000 }, (_, n) => n));
  expect(lost).toEqual(["service.link_closed"]);
});

test("what is filtered out is not seen, and does not stop the reading", async () => {
  fill({ 0: 5 });
  const filter = ({ sequenceNumber }: DeviceEvent): boolean => sequenceNumber % 2 === 1;
  const options = { start: "earliest", follow: false, filter } as const;
  expect(await take(client.events(options))).toEqual(["0:1", "0:3"]);
});

test("without following, an empty stream ends at once, and so does one read from its end", async () => {
  fill({ 0: 0, 1: 3 });
  expect(await take(client.events({ follow: false }))).toEqual([]);
  const ahead = { sequenceNumber: 3 };
  expect(await take(client.events({ follow: false, start: ahead }))).toEqual([]);
  const each = { "0": "earliest", "1": { sequenceNumber: 2 } } as const;
  expect(await take(client.events({ follow: false, start: each }))).toEqual(["1:2"]);
});

test("a partition that is not there, and one taken by another reader, end the reading", async () => {
  fill({ 0: 1 });
  const missing = take(client.events({ partitions: ["9"] }));
  await expect(missing).rejects.toMatchObject({ code: "service.unknown_address" });
  const events = client.events({ start: "earliest" });
  await events.next();
  stub.detachReaders("amqp:link:stolen");
  await expect(events.next()).rejects.toMatchObject({ code: "service.link_stolen" });
});

test("closing the client ends what is being read, quietly", async () => {
  fill({ 0: 1 });
  const events = client.events({ start: "earliest" });
  await events.next();
  const next = events.next();
  await client.close();
  expect(await next).toEqual({ done: true, value: undefined });
});

test("partitions are described", async () => {
  fill({ 0: 3, 1: 0 });
  expect(await client.partitions()).toMatchObject([
    { partitionId: "0", beginningSequenceNumber: 0, lastEnqueuedSequenceNumber: 2, isEmpty: false },
    { partitionId: "1", lastEnqueuedSequenceNumber: -1, isEmpty: true },
  ]);
});
