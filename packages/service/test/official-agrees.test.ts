import { earliestEventPosition, EventHubConsumerClient } from "@azure/event-hubs";
import { connect } from "@hubwire/device";
import { createAmqpClient } from "@hubwire/service/amqp";
import { Client, Registry } from "azure-iothub";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hubWorld, type HubWorld } from "./support/hub-world.ts";
import { leadHere } from "./support/lead-here.ts";

/** Microsoft's clients as a second implementation: asked the same, they get the same out of the hub. */
let world: HubWorld;
let registry: Registry;
let official: Client;
let release = (): void => {};

beforeAll(async () => {
  world = await hubWorld({ amqpPort: 0, amqpPlainPort: 0 });
  release = leadHere(world.hub.httpsPort, world.hub.caPem);
  const text = world.hub.connectionString().replace(/HostName=[^;]*/u, "HostName=localhost");
  registry = Registry.fromConnectionString(text);
  official = Client.fromConnectionString(text);
});
afterAll(async () => {
  release();
  await world[Symbol.asyncDispose]();
});

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

test("identities: what one writes the other reads, and what each creates looks the same", async () => {
  const { identities, modules } = world.client;
  const ours = await identities.create({ deviceId: "ours" });
  const theirs = (await registry.create({ deviceId: "theirs" })).responseBody;
  expect(Object.keys(ours).toSorted()).toEqual(Object.keys(plain(theirs) as object).toSorted());
  expect(plain((await registry.get("ours")).responseBody)).toEqual(ours);
  expect(await identities.get("theirs")).toEqual(plain(theirs));
  expect(plain((await registry.list()).responseBody)).toEqual(await identities.list());
  const module = (await registry.addModule({ deviceId: "ours", moduleId: "m" })).responseBody;
  expect(await modules.get("ours", "m")).toEqual(plain(module));
  expect(await modules.list("ours")).toEqual(
    plain((await registry.getModulesOnDevice("ours")).responseBody),
  );
});

test("twins: both see what either writes, and refuse the same stale etag", async () => {
  const { identities, twins } = world.client;
  await identities.create({ deviceId: "twin" });
  const first = await twins.update("twin", { tags: { a: 1 }, properties: { desired: { b: 2 } } });
  const { responseBody } = await registry.updateTwin("twin", { tags: { c: 3 } }, first.etag);
  expect(await twins.get("twin")).toMatchObject({ etag: responseBody.etag, tags: { a: 1, c: 3 } });
  const theirs = registry.updateTwin("twin", {}, first.etag);
  await expect(theirs).rejects.toMatchObject({ name: "InvalidEtagError" });
  const ours = twins.update("twin", {}, { ifMatch: first.etag });
  await expect(ours).rejects.toMatchObject({ code: "etag.mismatch" });
});

test("queries, statistics and bulk imports agree", async () => {
  const { identities, statistics } = world.client;
  const entries = ["b1", "b2"].map((id) => ({ id, importMode: "create" as const }));
  expect(await identities.bulk(entries)).toMatchObject({ isSuccessful: true, errors: [] });
  // Again: the same refusals, as a result here and as an error there.
  const again = await identities.bulk(entries);
  expect(again).toMatchObject({ isSuccessful: false });
  expect(again.errors.map(({ deviceId }) => deviceId)).toEqual(["b1", "b2"]);
  await expect(registry.addDevices([{ deviceId: "b1" }, { deviceId: "b2" }])).rejects.toMatchObject(
    { name: "ArgumentError" },
  );
  const text = "SELECT deviceId, status FROM devices";
  const { result } = await registry.createQuery(text, 100).next();
  expect(await world.client.query(text).toArray()).toEqual(plain(result));
  expect(await statistics.devices()).toEqual(
    plain((await registry.getRegistryStatistics()).responseBody),
  );
});

test("methods: the same answer, and the same call of a device that is not there", async () => {
  const { identities, methods } = world.client;
  await identities.create({ deviceId: "callee" });
  await expect(methods.invoke("callee", { name: "m" })).rejects.toMatchObject({
    code: "device.not_online",
  });
  await expect(official.invokeDeviceMethod("callee", { methodName: "m" })).rejects.toMatchObject({
    message: "Not found",
  });
  await using _device = await connect({
    connectionString: await world.hub.deviceConnectionString("callee"),
    ca: world.hub.caPem,
    methods: { m: ({ payload }) => ({ status: 201, payload: [payload] }) },
  });
  const ours = await methods.invoke("callee", { name: "m", payload: { n: 1 }, connectTimeoutS: 5 });
  const theirs = await official.invokeDeviceMethod("callee", {
    methodName: "m",
    payload: { n: 1 },
  });
  expect(ours).toEqual({ status: 201, payload: [{ n: 1 }] });
  expect(plain(theirs.result)).toEqual(ours);
});

test("events: @azure/event-hubs reads the same, partition by partition", async () => {
  const { hub } = world;
  const { connectionString } = await hub.createDevice({ deviceId: "source" });
  await using device = await connect({ connectionString, ca: hub.caPem });
  for (const n of [0, 1, 2, 3]) {
    await device.sendTelemetry(
      { n },
      { properties: { n: String(n) }, contentType: "application/json" },
    );
  }
  await using amqp = createAmqpClient({
    connectionString: hub.connectionString(),
    port: hub.amqpPort ?? 0,
    ca: hub.caPem,
  });
  const filter = ({ deviceId }: { deviceId: string | undefined }): boolean => deviceId === "source";
  const ours: object[] = [];
  for await (const event of amqp.events({ start: "earliest", follow: false, filter })) {
    const { partitionId, sequenceNumber, offset, properties } = event;
    ours.push({ partitionId, sequenceNumber, offset, properties, body: event.json() });
  }
  expect(ours).toHaveLength(4);

  const reader = new EventHubConsumerClient(
    "$Default",
    hub.eventHubsConnectionString({ plain: true }),
  );
  const theirs: object[] = [];
  const read = new Promise<void>((resolve, reject) => {
    reader.subscribe(
      {
        async processEvents(events, { partitionId }) {
          for (const { sequenceNumber, offset, properties, body, systemProperties } of events) {
            if (systemProperties?.["iothub-connection-device-id"] !== "source") continue;
            theirs.push(plain({ partitionId, sequenceNumber, offset, properties, body }) as object);
          }
          if (theirs.length >= 4) resolve();
        },
        async processError(error) {
          reject(error);
        },
      },
      { startPosition: earliestEventPosition },
    );
  });
  try {
    await read;
  } finally {
    await reader.close();
  }
  expect(theirs).toEqual(ours);
});

test("messages: what ours sends and what theirs sends reach the device alike", async () => {
  const { hub } = world;
  const { connectionString } = await hub.createDevice({ deviceId: "sink" });
  await using amqp = createAmqpClient({
    connectionString: hub.connectionString(),
    port: hub.amqpPort ?? 0,
    ca: hub.caPem,
  });
  const { messageId } = await amqp.sendToDevice("sink", {
    body: "hi",
    correlationId: "c",
    contentType: "text/plain",
    properties: { a: "b" },
    ack: "full",
  });
  await expect(amqp.sendToDevice("nobody", { body: "" })).rejects.toMatchObject({
    code: "device.not_found",
  });
  await using device = await connect({ connectionString, ca: hub.caPem });
  for await (const message of device.messages()) {
    expect(message).toMatchObject({ messageId, properties: { a: "b" } });
    expect(message.text()).toBe("hi");
    await message.complete();
    break;
  }
  for await (const batch of amqp.feedback()) {
    expect(batch.records).toMatchObject([{ originalMessageId: messageId, statusCode: "Success" }]);
    batch.complete();
    break;
  }
});
