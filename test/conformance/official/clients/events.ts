import { ok } from "node:assert";
import {
  EventHubConsumerClient,
  earliestEventPosition,
  latestEventPosition,
} from "@azure/event-hubs";
import type {
  EventPosition,
  ReceivedEventData,
  SubscribeOptions,
  Subscription,
} from "@azure/event-hubs";
import device from "azure-iot-device";
import deviceMqtt from "azure-iot-device-mqtt";
import { Checks, given, refusal, report, within } from "../checks.ts";
import { surfaces } from "../operations.ts";
import { generationOf, registry, seen } from "./back-end.ts";
import { equal } from "./equal.ts";

const { responseBody: identity } = await registry.create({ deviceId: "source" });
const key = identity.authentication?.symmetricKey?.primaryKey ?? "";
const source = device.Client.fromConnectionString(
  `HostName=localhost;DeviceId=source;SharedAccessKey=${key}`,
  deviceMqtt.Mqtt,
);
const generation = await generationOf("source");
await source.open();
async function send(number: number): Promise<void> {
  const message = new device.Message(JSON.stringify({ number }));
  message.messageId = `m${number}`;
  message.properties.add("kind", "test");
  await source.sendEvent(message);
}
for (let number = 0; number < 10; number += 1) await send(number);
let sent = 10;

type Options = { group?: string; connectionString?: string; entity?: string };

async function check(transport: string): Promise<Checks> {
  const checks = new Checks("events", transport);
  const standard = transport === "emulator" ? given().eventsPlain : given().events;
  const more = transport === "WebSocket" ? { webSocketOptions: { webSocket: WebSocket } } : {};
  const clients: EventHubConsumerClient[] = [];
  const create = ({ group = "$Default", connectionString = standard }: Options = {}) => {
    const options = { ...more, retryOptions: { maxRetries: 0, timeoutInMs: 10_000 } };
    const client = new EventHubConsumerClient(group, connectionString, options);
    clients.push(client);
    return client;
  };
  const client = create();

  await checks.does("EventHubConsumerClient.getEventHubProperties", async () => {
    const { createdOn, ...properties } = await client.getEventHubProperties();
    ok(Math.abs(Date.now() - createdOn.getTime()) < 60_000, createdOn.toISOString());
    equal(
      { ...properties },
      {
        name: "hubwire",
        partitionIds: ["0", "1", "2", "3"],
        isGeoDrEnabled: false,
      },
    );
  });
  const codeOf = async (call: () => unknown): Promise<unknown[]> => {
    const { name, code } = await refusal(call);
    return [name, code];
  };
  await checks.does("EventHubConsumerClient.getEventHubProperties: a wrong key", async () => {
    const wrong = create({
      connectionString: standard.replace(/SharedAccessKey=[^;]*/u, "SharedAccessKey=YWJj"),
    });
    equal(await codeOf(() => wrong.getEventHubProperties()), [
      "MessagingError",
      "UnauthorizedError",
    ]);
  });
  await checks.does(
    "EventHubConsumerClient.getEventHubProperties: an entity that is not there",
    async () => {
      const nowhere = create({
        connectionString: standard.replace("EntityPath=hubwire", "EntityPath=nowhere"),
      });
      const [name, code] = await codeOf(() => nowhere.getEventHubProperties());
      equal([name, code], ["MessagingError", "MessagingEntityNotFoundError"]);
    },
  );
  await checks.does("EventHubConsumerClient.getPartitionIds", async () => {
    equal(await client.getPartitionIds(), ["0", "1", "2", "3"]);
  });
  let partitionId = "";
  await checks.does("EventHubConsumerClient.getPartitionProperties", async () => {
    for (const id of ["0", "1", "2", "3"]) {
      const { lastEnqueuedOnUtc, lastEnqueuedOffset, ...rest } =
        await client.getPartitionProperties(id);
      const isEmpty = rest.isEmpty;
      if (!isEmpty) {
        partitionId = id;
        ok(Math.abs(Date.now() - lastEnqueuedOnUtc.getTime()) < 60_000);
        ok(/^\d+$/u.test(String(lastEnqueuedOffset)), String(lastEnqueuedOffset));
      }
      equal(
        { ...rest },
        {
          beginningSequenceNumber: 0,
          eventHubName: "hubwire",
          lastEnqueuedSequenceNumber: isEmpty ? -1 : sent - 1,
          partitionId: id,
          isEmpty,
        },
      );
    }
    ok(partitionId !== "");
  });
  await checks.does(
    "EventHubConsumerClient.getPartitionProperties: a partition that is not there",
    async () => {
      equal(await codeOf(() => client.getPartitionProperties("99")), [
        "MessagingError",
        "ArgumentOutOfRangeError",
      ]);
    },
  );

  const errors = new Map<Subscription, (Error & { code?: unknown })[]>();
  const subscriptions: Subscription[] = [];
  /** Reads until there are `count` events, or, with `undefined`, until told. */
  const read = (
    options: SubscribeOptions,
    {
      from = create(),
      partition = partitionId,
    }: { from?: EventHubConsumerClient; partition?: string } = {},
  ) => {
    const events: ReceivedEventData[] = [];
    const failed: (Error & { code?: unknown })[] = [];
    const last: unknown[] = [];
    const handlers = {
      processEvents: async (
        batch: ReceivedEventData[],
        context: { lastEnqueuedEventProperties?: unknown },
      ) => {
        events.push(...batch);
        if (batch.length > 0) last.push(context.lastEnqueuedEventProperties);
      },
      processError: async (error: Error) => {
        failed.push(error);
      },
    };
    const quick = { maxWaitTimeInSeconds: 1, ...options };
    const subscription =
      partition === ""
        ? from.subscribe(handlers, quick)
        : from.subscribe(partition, handlers, quick);
    subscriptions.push(subscription);
    errors.set(subscription, failed);
    const until = async (isThere: () => boolean): Promise<void> => {
      const poll = async (): Promise<void> => {
        while (!isThere()) await new Promise((resolve) => setTimeout(resolve, 10));
      };
      await within(10_000, poll()).catch((error: unknown) => {
        const texts = failed.map(({ name, message }) => `${name}: ${message}`);
        throw new Error(`${events.length} events, errors: ${texts.join("; ")}`, { cause: error });
      });
    };
    const numbers = async (count: number): Promise<number[]> => {
      await until(() => events.length >= count);
      await subscription.close();
      return events.map(({ body }) => (body as { number: number }).number);
    };
    return { events, failed, last, until, numbers, subscription };
  };
  const upTo = (first: number): number[] =>
    Array.from({ length: sent - first }, (_, i) => first + i);

  let all: ReceivedEventData[] = [];
  await checks.does(
    "EventHubConsumerClient.subscribe: all partitions from the earliest event",
    async () => {
      const whole = read({ startPosition: earliestEventPosition }, { partition: "" });
      equal(await whole.numbers(sent), upTo(0));
      all = whole.events;
      const [first] = all;
      ok(first);
      equal(seen(first), {
        body: { number: 0 },
        properties: { kind: "test" },
        enqueuedTimeUtc: "a time",
        sequenceNumber: "a number",
        offset: "an offset",
        partitionKey: "source",
        messageId: "m0",
        systemProperties: {
          "iothub-connection-device-id": "source",
          "iothub-connection-auth-method": {
            scope: "device",
            type: "sas",
            issuer: "iothub",
            acceptingIpFilterRule: null,
          },
          "iothub-connection-auth-generation-id": generation,
          "iothub-enqueuedtime": "a time",
          "iothub-message-source": "Telemetry",
          messageId: "m0",
        },
      });
      equal(
        all.map(({ sequenceNumber }) => sequenceNumber),
        upTo(0),
      );
    },
  );
  const positions: [string, () => EventPosition, number][] = [
    ["after an offset", () => ({ offset: all[4]?.offset ?? "", isInclusive: false }), 5],
    ["from an offset on", () => ({ offset: all[4]?.offset ?? "", isInclusive: true }), 4],
    ["after a sequence number", () => ({ sequenceNumber: 6, isInclusive: false }), 7],
    ["from a sequence number on", () => ({ sequenceNumber: 6, isInclusive: true }), 6],
  ];
  for (const [what, position, first] of positions) {
    await checks.does(`EventHubConsumerClient.subscribe: ${what}`, async () => {
      const { numbers } = read({ startPosition: position() });
      equal(await numbers(sent - first), upTo(first));
    });
  }
  await checks.does("EventHubConsumerClient.subscribe: from a time", async () => {
    const at = all[3]?.enqueuedTimeUtc ?? new Date(0);
    const later = all.filter(({ enqueuedTimeUtc }) => enqueuedTimeUtc > at);
    const { numbers } = read({ startPosition: { enqueuedOn: at } });
    equal((await numbers(later.length)).length, later.length);
  });
  await checks.does("EventHubConsumerClient.subscribe: only what comes", async () => {
    const { events, until, subscription } = read({ startPosition: latestEventPosition });
    // Nothing tells when the link is there: events are sent until one comes.
    const before = sent;
    const sending = setInterval(() => void send(sent++), 200);
    await until(() => events.length > 0).finally(() => clearInterval(sending));
    await subscription.close();
    ok(events.every(({ body }) => (body as { number: number }).number >= before));
  });
  await checks.does("EventHubConsumerClient.subscribe: another consumer group", async () => {
    const { events, until } = read(
      { startPosition: earliestEventPosition },
      { from: create({ group: "analytics" }) },
    );
    await until(() => events.length >= 10);
    equal(events[0]?.body, { number: 0 });
  });
  await checks.does(
    "EventHubConsumerClient.subscribe: a consumer group that is not there",
    async () => {
      const { failed, until } = read({}, { from: create({ group: "nobody" }) });
      await until(() => failed.length > 0);
      equal([failed[0]?.name, failed[0]?.code], ["MessagingError", "MessagingEntityNotFoundError"]);
    },
  );
  await checks.does(
    "EventHubConsumerClient.subscribe: last enqueued event properties",
    async () => {
      const { last, until } = read({
        startPosition: earliestEventPosition,
        trackLastEnqueuedEventProperties: true,
      });
      await until(() => last.length > 0);
      const { sequenceNumber, offset, enqueuedOn, retrievedOn } = last[0] as Record<
        string,
        unknown
      >;
      ok(typeof sequenceNumber === "number" && sequenceNumber >= 9, String(sequenceNumber));
      ok(typeof offset === "string", String(offset));
      ok(enqueuedOn instanceof Date && retrievedOn instanceof Date);
    },
  );
  await checks.does(
    "EventHubConsumerClient.subscribe: a higher owner level takes over",
    async () => {
      const low = read({ startPosition: earliestEventPosition, ownerLevel: 1 });
      await low.until(() => low.events.length > 0);
      const high = read({ startPosition: earliestEventPosition, ownerLevel: 2 });
      await high.until(() => high.events.length > 0);
      await low.until(() => low.failed.length > 0);
      equal(
        [low.failed[0]?.name, low.failed[0]?.code],
        ["MessagingError", "ReceiverDisconnectedError"],
      );
    },
  );
  await checks.does(
    "EventHubConsumerClient.subscribe: a lower owner level is refused",
    async () => {
      const high = read({ startPosition: earliestEventPosition, ownerLevel: 5 });
      await high.until(() => high.events.length > 0);
      const low = read({ startPosition: earliestEventPosition, ownerLevel: 1 });
      await low.until(() => low.failed.length > 0);
      equal(
        [low.failed[0]?.name, low.failed[0]?.code],
        ["MessagingError", "ReceiverDisconnectedError"],
      );
      equal(low.events, []);
    },
  );
  await checks.does("EventHubConsumerClient.close", async () => {
    await Promise.all(subscriptions.map((each) => each.close()));
    for (const each of clients) await each.close();
  });
  return checks;
}

report([await check(process.argv[2] ?? surfaces.events.transports[0] ?? "")]);
