import { match, ok } from "node:assert";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import device from "azure-iot-device";
import deviceMqtt from "azure-iot-device-mqtt";
import iothub from "azure-iothub";
import messages from "azure-iothub/dist/common-core/message.js";
import { Checks, given, refusal, report, within } from "../checks.ts";
import { generationOf, noRetry, partsOf, registry } from "./back-end.ts";
import { equal } from "./equal.ts";

const { Amqp, AmqpWs, Client, SharedAccessSignature } = iothub;
const [, , transport = "Amqp"] = process.argv;
const Transport = transport === "Amqp" ? Amqp : AmqpWs;
const checks = new Checks("service", transport);
const connectionString = given().service["service"] ?? "";
type ServiceMessage = InstanceType<typeof messages.Message>;

const message = (messageId: string, ack = "none"): ServiceMessage => {
  const made = new messages.Message("body");
  made.messageId = messageId;
  made.ack = ack;
  return made;
};
/** A client that does not try again, ready to send. */
async function opened(policy = "service"): Promise<InstanceType<typeof Client>> {
  const client = Client.fromConnectionString(given().service[policy] ?? "", Transport);
  client.setRetryPolicy(noRetry);
  await client.open();
  return client;
}

await registry.addDevices(["d1", "full", "dark"].map((deviceId) => ({ deviceId })));
await registry.addModule({ deviceId: "d1", moduleId: "m1" } as never);
const keyOf = async (deviceId: string): Promise<string> =>
  (await registry.get(deviceId)).responseBody.authentication?.symmetricKey?.primaryKey ?? "";
const pump = device.Client.fromConnectionString(
  `HostName=localhost;DeviceId=d1;SharedAccessKey=${await keyOf("d1")}`,
  deviceMqtt.Mqtt,
);
await pump.open();
// Without a listener the client would not receive.
pump.on("message", () => {});

await checks.does("Client.fromSharedAccessSignature", async () => {
  const {
    HostName = "",
    SharedAccessKeyName = "",
    SharedAccessKey = "",
  } = partsOf(connectionString);
  const soon = Math.floor(Date.now() / 1000) + 3600;
  const signature = SharedAccessSignature.create(
    HostName,
    SharedAccessKeyName,
    SharedAccessKey,
    soon,
  );
  const client = Client.fromSharedAccessSignature(signature.toString(), Transport);
  await client.open();
  await client.close();
});
await checks.does("Client.fromTokenCredential", async () => {
  const getToken = async () => ({ token: "none", expiresOnTimestamp: Date.now() + 3_600_000 });
  const client = Client.fromTokenCredential("localhost", { getToken }, Transport);
  client.setRetryPolicy(noRetry);
  await client.open();
});
await checks.does("Client.open: a wrong key", async () => {
  const wrong = connectionString.replace(/SharedAccessKey=.*/u, "SharedAccessKey=YWJj");
  const client = Client.fromConnectionString(wrong, Transport);
  client.setRetryPolicy(noRetry);
  const error = await refusal(() => client.open());
  equal([error.name, (error["amqpError"] as Error).name], ["Error", "UnauthorizedError"]);
  equal(error.message, "AMQP Transport: Could not connect");
});
const client = Client.fromConnectionString(connectionString, Transport);
await checks.does("Client.fromConnectionString", () => ok(client instanceof Client));
await checks.does("Client.setRetryPolicy", () => client.setRetryPolicy(noRetry));
await checks.does("Client.open", async () => {
  equal((await client.open()).result?.constructor.name, "Connected");
});
await checks.does("Client.send", async () => {
  const arrived = once(pump, "message") as Promise<[ServiceMessage]>;
  const id = "123e4567-e89b-42d3-a456-426614174000";
  const sent = await client.send("d1", message(id));
  equal(sent.result?.constructor.name, "MessageEnqueued");
  const [got] = await arrived;
  equal([got.messageId, got.data.toString()], [id, "body"]);
});
await checks.does("Client.send: a device that is not there", async () => {
  const own = await opened();
  const error = await refusal(() => own.send("nobody", message("x")));
  equal(error.name, "DeviceNotFoundError");
  equal((error["amqpError"] as { condition?: string }).condition, "amqp:not-found");
});
await checks.does("Client.send: the queue of a device is full", async () => {
  const own = await opened();
  for (let i = 0; i < 50; i += 1) await own.send("full", message(`f${i}`, i < 2 ? "full" : "none"));
  const error = await refusal(() => own.send("full", message("one too many")));
  equal(error.name, "DeviceMaximumQueueDepthExceededError");
});
await checks.does("Client.send: a policy without the right", async () => {
  const own = await opened("registryRead");
  const error = await refusal(() => own.send("d1", message("x")));
  equal(error.name, "UnauthorizedError");
});

const generation = await generationOf("d1");
const startedAtMs = Date.now();
let receiver: Receiver | undefined;
type Receiver = {
  on(name: string, listener: (each: ServiceMessage) => void): void;
  once(name: string, listener: (each: ServiceMessage) => void): void;
  complete(batch: ServiceMessage): Promise<object>;
  abandon(batch: ServiceMessage): Promise<object>;
  reject(batch: ServiceMessage): Promise<object>;
  detach(): Promise<void>;
  forceDetach(): void;
};
const held = (): Receiver => receiver ?? (undefined as never);
const batch = (): Promise<ServiceMessage> => {
  const next = within(
    17_000,
    new Promise<ServiceMessage>((resolve) => held().once("message", resolve)),
  );
  // Who waits for it may have failed before.
  next.catch(() => {});
  return next;
};
const records = (of: ServiceMessage): Record<string, string>[] =>
  JSON.parse(String(of.getData() as Buffer)) as Record<string, string>[];
let first: ServiceMessage | undefined;
await checks.does("Client.getFeedbackReceiver", async () => {
  const answer = await client.getFeedbackReceiver();
  receiver = (answer.result ?? answer) as unknown as Receiver;
  const next = batch();
  await client.send("d1", message("told", "full"));
  first = await next;
  const told = records(first);
  equal(told.length, 1);
  const [{ enqueuedTimeUtc = "", ...record } = {}] = told;
  equal(record, {
    originalMessageId: "told",
    description: "Success",
    statusCode: "Success",
    deviceId: "d1",
    deviceGenerationId: generation,
  });
  match(enqueuedTimeUtc, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/u);
  ok(Date.parse(enqueuedTimeUtc) >= startedAtMs - 5_000);
  equal(first.contentType, "application/vnd.microsoft.iothub.feedback.json");
  equal(first.properties.propertyList, []);
});
const some = (): ServiceMessage => first ?? message("none");
await checks.does("ServiceReceiver.complete", async () => {
  equal((await held().complete(some())).constructor.name, "MessageCompleted");
});
// This client's AMQP library accepts each batch before anybody sees it, so what is said of a batch afterwards changes nothing.
await checks.does("ServiceReceiver.abandon", async () => {
  const next = batch();
  await client.send("d1", message("thrown away", "positive"));
  first = await next;
  equal(
    records(first).map(({ originalMessageId }) => originalMessageId),
    ["thrown away"],
  );
  equal((await held().abandon(first)).constructor.name, "MessageAbandoned");
});
await checks.does("ServiceReceiver.reject", async () => {
  // Each batch is settled once.
  equal((await refusal(() => held().reject(some()))).name, "DeviceMessageLockLostError");
});
await checks.does("ServiceReceiver.detach", async () => {
  equal(await held().detach(), undefined);
});
await checks.does("ServiceReceiver.forceDetach", async () => {
  const own = await opened();
  const answer = await own.getFeedbackReceiver();
  ((answer.result ?? answer) as unknown as Receiver).forceDetach();
  await own.send("d1", message("after"));
});
await checks.does("Client.getFileNotificationReceiver", async () => {
  const own = await opened();
  // The client has its receiver before the hub has answered; a refusal ends the connection.
  const ended = once(own, "disconnect") as Promise<
    [{ reason?: { condition?: string; description?: string } }]
  >;
  await own.getFileNotificationReceiver();
  const [{ reason } = {}] = await Promise.race([ended, sleep(1_000, [])]);
  if (reason !== undefined)
    throw new Error(`${reason.condition ?? "none"}: ${reason.description ?? ""}`);
});

const call = { methodName: "turn", payload: { by: 90 }, responseTimeoutInSeconds: 5 };
await checks.does("Client.invokeDeviceMethod", async () => {
  pump.onDeviceMethod("turn", (request, response) => {
    response.send(200, { turned: request.payload as object }, () => {});
  });
  const late = { ...call, connectTimeoutInSeconds: 5 };
  const { result, message: response } = await client.invokeDeviceMethod("d1", late);
  equal(result, { status: 200, payload: { turned: { by: 90 } } });
  equal((response as { statusCode: number }).statusCode, 200);
});
await checks.does("Client.invokeDeviceMethod: on a module", async () => {
  const { responseBody } = await registry.getModule("d1", "m1");
  const key = responseBody.authentication?.symmetricKey?.primaryKey ?? "";
  const part = device.ModuleClient.fromConnectionString(
    `HostName=localhost;DeviceId=d1;ModuleId=m1;SharedAccessKey=${key}`,
    deviceMqtt.Mqtt,
  );
  part.onMethod("turn", (_request, response) => {
    response?.send(404, "no", () => {});
  });
  await part.open();
  const late = { ...call, connectTimeoutInSeconds: 5 };
  const { result } = await client.invokeDeviceMethod("d1", "m1", late);
  equal(result, { status: 404, payload: "no" });
});
await checks.does("Client.invokeDeviceMethod: a device that is not connected", async () => {
  const error = await refusal(() => client.invokeDeviceMethod("dark", call));
  equal([error.name, error.message], ["Error", "Not found"]);
  match(String(error["responseBody"]), /404103/u);
});
await checks.does("Client.invokeDeviceMethod: a device that is not there", async () => {
  equal(
    (await refusal(() => client.invokeDeviceMethod("nobody", call))).name,
    "DeviceNotFoundError",
  );
});
await checks.does("Client.invokeDeviceMethod: no answer in time", async () => {
  pump.onDeviceMethod("never", () => {});
  const error = await refusal(() =>
    client.invokeDeviceMethod("d1", { ...call, methodName: "never" }),
  );
  equal(error.name, "GatewayTimeoutError");
});
await checks.does("Client.invokeDeviceMethod: a time that is not allowed", async () => {
  const short = { ...call, responseTimeoutInSeconds: 1 };
  equal((await refusal(() => client.invokeDeviceMethod("d1", short))).name, "ArgumentError");
});
await checks.does("Client.close", async () => {
  equal((await client.close()).result?.constructor.name, "Disconnected");
});
report([checks]);
