import { once } from "node:events";
import { connect } from "@hubwire/device";
import type { DeviceClient } from "@hubwire/device";
import type * as Sdk from "@azure/event-hubs";
import type { EventHubConsumerClient, ReceivedEventData } from "@azure/event-hubs";
import { partitionForDevice } from "@hubwire/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Hub } from "../../src/index.ts";
import { entityToken, from, RawAmqp, require, take, trustedHub } from "./world.ts";
import type { Taken } from "./world.ts";

let hub: Hub;
let device: DeviceClient;
const deviceId = "sensor";
const partition = partitionForDevice(deviceId, 4);
const total = 40;
const address = (group = "$Default", index: number | string = partition): string =>
  `hubwire/ConsumerGroups/${group}/Partitions/${index}`;

beforeAll(async () => {
  hub = await trustedHub();
  const { connectionString } = await hub.createDevice({ deviceId });
  device = await connect({ connectionString, ca: hub.caPem } as never);
  for (let i = 0; i < total; i++) await device.sendTelemetry(`{"n":${i}}`);
});
afterAll(async () => {
  await device.close();
  await hub.stop();
});

async function reader(options: Record<string, unknown> = {}): Promise<RawAmqp> {
  const raw = await RawAmqp.open(hub, { username: "x", ...options });
  expect(await raw.put(entityToken(hub, "hubwire"))).toBe(202);
  return raw;
}
const numbers = (messages: Taken[]): unknown[] =>
  messages.map((message) => message.message_annotations?.["x-opt-sequence-number"]);

describe("start positions", () => {
  test.each([
    ["amqp.annotation.x-opt-offset > '-1'", 0],
    ["amqp.annotation.x-opt-offset >= '0'", 0],
    ["amqp.annotation.x-opt-offset > '0'", 1],
    ["amqp.annotation.x-opt-sequence-number > '5'", 6],
    ["amqp.annotation.x-opt-sequence-number >= '5'", 5],
    ["amqp.annotation.x-opt-sequence-number>=5", 5],
    ["amqp.annotation.x-opt-enqueued-time > '0'", 0],
    ["amqp.annotation.x-opt-enqueuedtimeutc >= 0", 0],
  ])("%s begins at %i", async (expression, first) => {
    const raw = await reader();
    const receiver = await raw.receiver(address(), { source: from(expression) });
    expect(numbers(await take(receiver, 3))).toEqual([first, first + 1, first + 2]);
    raw.close();
  });

  test("every event's own offset and time lead back to it", async () => {
    const raw = await reader();
    const all = await take(
      await raw.receiver(address(), { source: from("amqp.annotation.x-opt-offset > '-1'") }),
      total,
    );
    expect(numbers(all)).toEqual(Array.from({ length: total }, (_, i) => i));
    const { "x-opt-offset": offset } = all[7]!.message_annotations as Record<string, string>;
    const inclusive = from(`amqp.annotation.x-opt-offset >= '${offset}'`);
    expect(numbers(await take(await raw.receiver(address(), { source: inclusive }), 1))).toEqual([
      7,
    ]);
    const exclusive = from(`amqp.annotation.x-opt-offset > '${offset}'`);
    expect(numbers(await take(await raw.receiver(address(), { source: exclusive }), 1))).toEqual([
      8,
    ]);
    raw.close();
  });

  test.each(["amqp.annotation.x-opt-offset > '@latest'", undefined])(
    "%s begins behind what there is",
    async (expression) => {
      const raw = await reader();
      const options = expression === undefined ? {} : { source: from(expression) };
      const receiver = await raw.receiver(address(), options);
      const next = take(receiver, 1);
      const before = hub.telemetry.partition(partition).nextSequenceNumber;
      await device.sendTelemetry("new");
      expect(numbers(await next)).toEqual([before]);
      raw.close();
    },
  );

  test.each([
    ["amqp.annotation.x-opt-sequence-number > '999999'", "com.microsoft:argument-out-of-range"],
    ["amqp.annotation.x-opt-offset > '999999999'", "com.microsoft:argument-out-of-range"],
    ["amqp.annotation.x-opt-nothing > '1'", "com.microsoft:argument-error"],
    ["1 = 1", "com.microsoft:argument-error"],
  ])("the position %s is refused", async (expression, condition) => {
    const raw = await reader();
    const receiver = raw.receiver(address(), { source: from(expression) });
    await expect(receiver).rejects.toMatchObject({ condition });
    raw.close();
  });
});

describe("credit", () => {
  const fromStart = { source: from("amqp.annotation.x-opt-offset > '-1'") };

  test("nothing is sent without credit, and no more than there is", async () => {
    const raw = await reader();
    const receiver = await raw.receiver(address(), fromStart);
    let got = 0;
    receiver.on("message", () => got++);
    // A round trip behind the attach: whatever was to come would have.
    await raw.put(entityToken(hub, "hubwire"));
    expect(got).toBe(0);
    receiver.add_credit(3);
    await raw.put(entityToken(hub, "hubwire"));
    await raw.put(entityToken(hub, "hubwire"));
    expect(got).toBe(3);
    raw.close();
  });

  test("a billion of credit is only credit, also when it is drained", async () => {
    const raw = await reader();
    const receiver = await raw.receiver(address(), fromStart);
    let got = 0;
    receiver.on("message", () => got++);
    receiver.add_credit(1_000_000_000);
    receiver.drain_credit();
    await once(receiver as never, "receiver_drained");
    expect(got).toBeGreaterThanOrEqual(total);
    raw.close();
  });

  test("events larger than the reader's frames come in parts", async () => {
    const body = "x".repeat(5_000);
    const before = hub.telemetry.partition(partition).nextSequenceNumber;
    await device.sendTelemetry(body);
    const raw = await reader({ max_frame_size: 512 });
    const source = from(`amqp.annotation.x-opt-sequence-number >= '${before}'`);
    const [message] = await take(await raw.receiver(address(), { source }), 1);
    const { content } = message!.body as { content: Buffer };
    expect(content.toString()).toBe(body);
    raw.close();
  });

  test("a reader that does not read holds nobody up", async () => {
    const raw = await reader();
    const stalled = await raw.receiver(address(), fromStart);
    stalled.add_credit(1_000_000);
    (raw.connection as unknown as { socket: { pause(): void } }).socket.pause();
    for (let i = 0; i < 50; i++) await device.sendTelemetry("y".repeat(20_000));
    const other = await reader();
    const newest = hub.telemetry.partition(partition).nextSequenceNumber - 1;
    const source = from(`amqp.annotation.x-opt-sequence-number >= '${newest}'`);
    expect(numbers(await take(await other.receiver(address(), { source }), 1))).toEqual([newest]);
    other.close();
    raw.connection.close();
    (raw.connection as unknown as { socket: { destroy(): void } }).socket.destroy();
  });
});

describe("owner levels", () => {
  const level = (epoch: number): Record<string, unknown> => ({
    properties: { "com.microsoft:epoch": epoch },
  });

  test("the same or a higher level takes the partition; a lower one and none are refused", async () => {
    const raw = await reader();
    const first = await raw.receiver(address(), level(1));
    const stolen = once(first as never, "receiver_error");
    await raw.receiver(address(), level(1));
    await stolen;
    expect(first.error).toMatchObject({ condition: "amqp:link:stolen" });
    const second = await raw.receiver(address(), level(5));
    await expect(raw.receiver(address(), level(4))).rejects.toMatchObject({
      condition: "amqp:link:stolen",
    });
    await expect(raw.receiver(address())).rejects.toMatchObject({ condition: "amqp:link:stolen" });
    expect(second.is_open()).toBe(true);
    await raw.receiver(address("$Default", (partition + 1) % 4));
    raw.close();
  });

  test("five share a partition without level, a sixth does not, and a level ends them all", async () => {
    await hub.consumerGroups.create("shared");
    const raw = await reader();
    const five = [];
    for (let i = 0; i < 5; i++) five.push(await raw.receiver(address("shared")));
    await expect(raw.receiver(address("SHARED"))).rejects.toMatchObject({
      condition: "amqp:resource-limit-exceeded",
    });
    const ended = five.map((receiver) => once(receiver as never, "receiver_error"));
    await raw.receiver(address("shared"), level(0));
    await Promise.all(ended);
    raw.close();
  });
});

describe("consumer groups", () => {
  test("a group is created, listed, read and deleted; names ignore case", async () => {
    const { consumerGroups } = hub;
    expect(await consumerGroups.create("Analytics")).toMatchObject({ isNew: true });
    expect(await consumerGroups.create("analytics")).toMatchObject({
      isNew: false,
      group: { name: "Analytics" },
    });
    expect(consumerGroups.list().map(({ name }) => name)).toContain("Analytics");
    const raw = await reader();
    const receiver = await raw.receiver(address("ANALYTICS"));
    const ended = once(receiver as never, "receiver_error");
    await consumerGroups.delete("analyTics");
    await ended;
    await expect(raw.receiver(address("Analytics"))).rejects.toMatchObject({
      condition: "amqp:not-found",
    });
    raw.close();
  });

  test.each(["", "a b", "-x", "x".repeat(51), "$x"])("%j is no name for one", async (name) => {
    await expect(hub.consumerGroups.create(name)).rejects.toMatchObject({
      code: "argument.invalid",
    });
  });

  test("there may be twenty beside $Default, which stays", async () => {
    const { consumerGroups } = hub;
    const room = 21 - consumerGroups.list().length;
    for (let i = 0; i < room; i++) await consumerGroups.create(`g${i}`);
    await expect(consumerGroups.create("more")).rejects.toMatchObject({
      code: "events.consumer_groups_full",
    });
    await expect(consumerGroups.delete("$default")).rejects.toMatchObject({
      code: "argument.invalid",
    });
    for (let i = 0; i < room; i++) await consumerGroups.delete(`g${i}`);
  });
});

test.each([
  ["another entity", "elsewhere/ConsumerGroups/$Default/Partitions/0", "amqp:not-found"],
  [
    "a partition there is not",
    "hubwire/ConsumerGroups/$Default/Partitions/4",
    "com.microsoft:argument-out-of-range",
  ],
  ["a group there is not", "hubwire/ConsumerGroups/none/Partitions/0", "amqp:not-found"],
])("%s is refused", async (_, path, condition) => {
  const raw = await reader();
  await expect(raw.receiver(path)).rejects.toMatchObject({ condition });
  raw.close();
});

test("a token for one partition opens that one only", async () => {
  const raw = await RawAmqp.open(hub, { username: "x" });
  expect(await raw.put(entityToken(hub, address("$Default", 1)))).toBe(202);
  await raw.receiver(address("$Default", 1));
  await expect(raw.receiver(address("$Default", 2))).rejects.toMatchObject({
    condition: "amqp:unauthorized-access",
  });
  raw.close();
});

test("a token signed as IoT Hub's are opens no events", async () => {
  const key = /SharedAccessKey=([^;]*)/.exec(hub.connectionString("service"))![1]!;
  const { createHmac } = await import("node:crypto");
  const sr = encodeURIComponent(`sb://${hub.hostName}/hubwire`);
  const se = Math.floor(Date.now() / 1000) + 3600;
  const sig = createHmac("sha256", Buffer.from(key, "base64"))
    .update(`${sr}\n${se}`)
    .digest("base64");
  const raw = await RawAmqp.open(hub, { username: "x" });
  const token = `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}&skn=service`;
  expect(await raw.put(token)).toBe(401);
  raw.close();
});

describe("@azure/event-hubs", () => {
  const { EventHubConsumerClient: Client, earliestEventPosition } =
    require("@azure/event-hubs") as typeof Sdk;

  /** The first events of a subscription. */
  function first(
    client: EventHubConsumerClient,
    count: number,
    options: Record<string, unknown> = {},
  ): Promise<ReceivedEventData[]> {
    const events: ReceivedEventData[] = [];
    return new Promise((resolve, reject) => {
      const subscription = client.subscribe(
        String(partition),
        {
          processEvents: async (received) => {
            events.push(...received);
            if (events.length < count) return;
            await subscription.close();
            resolve(events.slice(0, count));
          },
          processError: async (error) => reject(error),
        },
        { startPosition: earliestEventPosition, maxWaitTimeInSeconds: 1, ...options },
      );
    });
  }

  test.each([
    ["over TLS", () => new Client("$Default", hub.eventHubsConnectionString())],
    [
      "as an emulator",
      () => new Client("$Default", hub.eventHubsConnectionString({ plain: true })),
    ],
    [
      "over WebSocket",
      () =>
        new Client(
          "$Default",
          hub.eventHubsConnectionString().replace(`:${hub.amqpPort}`, `:${hub.httpsPort}`),
          { webSocketOptions: { webSocket: WebSocket as never } },
        ),
    ],
  ])("%s reads properties, events and everything they say", async (_, make) => {
    await device.sendTelemetry(JSON.stringify({ t: 21 }), {
      contentType: "application/json",
      contentEncoding: "utf-8",
      messageId: "m-1",
      correlationId: "c-1",
      properties: { room: "kitchen & hall" },
    } as never);
    const client = make();
    try {
      expect(await client.getEventHubProperties()).toMatchObject({
        name: "hubwire",
        partitionIds: ["0", "1", "2", "3"],
      });
      const info = await client.getPartitionProperties(String(partition));
      const { nextSequenceNumber } = hub.telemetry.partition(partition);
      expect(info).toMatchObject({
        partitionId: String(partition),
        beginningSequenceNumber: 0,
        lastEnqueuedSequenceNumber: nextSequenceNumber - 1,
        isEmpty: false,
      });
      const last = { sequenceNumber: nextSequenceNumber - 1, isInclusive: true };
      const [event] = await first(client, 1, {
        startPosition: last,
        trackLastEnqueuedEventProperties: true,
      });
      expect(event).toMatchObject({
        body: { t: 21 },
        properties: { room: "kitchen & hall" },
        partitionKey: deviceId,
        sequenceNumber: nextSequenceNumber - 1,
        offset: info.lastEnqueuedOffset === event!.offset ? event!.offset : expect.any(String),
        contentType: "application/json",
        messageId: "m-1",
        correlationId: "c-1",
        systemProperties: {
          "iothub-connection-device-id": deviceId,
          "iothub-message-source": "Telemetry",
          "iothub-connection-auth-method": expect.stringContaining('"type":"sas"'),
          "iothub-connection-auth-generation-id": expect.stringMatching(/^\d+$/),
          "iothub-enqueuedtime": event!.enqueuedTimeUtc.getTime(),
          contentEncoding: "utf-8",
        },
      });
    } finally {
      await client.close();
    }
  });

  test("two owners: the higher level takes over", async () => {
    const client = new Client("$Default", hub.eventHubsConnectionString());
    const error = await new Promise<Error>((resolve) => {
      client.subscribe(
        String(partition),
        { processEvents: async () => {}, processError: async (reason) => resolve(reason as Error) },
        { startPosition: earliestEventPosition, ownerLevel: 1 },
      );
      const rival = new Client("$Default", hub.eventHubsConnectionString());
      void first(rival, 1, { ownerLevel: 2 }).then(() => rival.close());
    });
    expect(error).toMatchObject({ code: "ReceiverDisconnectedError" });
    await client.close();
  });
});
