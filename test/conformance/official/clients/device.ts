import { match, ok } from "node:assert";
import { once } from "node:events";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import device from "azure-iot-device";
import type * as Device from "azure-iot-device";
import deviceMqtt from "azure-iot-device-mqtt";
import messages from "azure-iothub/dist/common-core/message.js";
import { Checks, given, refusal, report, within } from "../checks.ts";
import { surfaces } from "../operations.ts";
import { backEnd, generationOf, noRetry, Reader, registry, seen } from "./back-end.ts";
import { equal } from "./equal.ts";

const {
  Client,
  Message,
  SharedAccessKeyAuthenticationProvider,
  SharedAccessSignature,
  X509AuthenticationProvider,
} = device;
const { Mqtt, MqttWs } = deviceMqtt;
const reader = new Reader();
const text = "ä ö/&=?#+%$;";

async function check(transport: string): Promise<Checks> {
  const checks = new Checks("device", transport);
  const [over = "", proof = ""] = transport.split(", ");
  const Transport = over === "Mqtt" ? Mqtt : MqttWs;
  const kind = { key: "key", "own certificate": "own", CA: "ca" }[proof] ?? "";
  const deviceId = `${over}-${kind}`;
  const certificate = given().identities[deviceId];
  const hostName = "localhost";

  await registry.create({
    deviceId,
    ...(kind === "own"
      ? {
          authentication: {
            type: "selfSigned",
            x509Thumbprint: {
              primaryThumbprint: "0".repeat(40),
              secondaryThumbprint: certificate?.thumbprint,
            },
          },
        }
      : {}),
    ...(kind === "ca" ? { authentication: { type: "certificateAuthority" } } : {}),
  });
  const { responseBody: identity } = await registry.get(deviceId);
  const primaryKey = identity.authentication?.symmetricKey?.primaryKey ?? "";
  const proofText = kind === "key" ? `SharedAccessKey=${primaryKey}` : "x509=true";
  const connectionString = `HostName=${hostName};DeviceId=${deviceId};${proofText}`;
  const generation = await generationOf(deviceId);
  const soon = (): number => Math.floor(Date.now() / 1000) + 3600;
  const signature = (key: string): string =>
    SharedAccessSignature.create(hostName, deviceId, key, soon()).toString();
  const withProof = async (made: Device.Client): Promise<Device.Client> => {
    if (kind !== "key")
      await made.setOptions({ cert: certificate?.cert ?? "", key: certificate?.key ?? "" });
    return made;
  };
  const sendsThrough = async (made: Device.Client, messageId: string): Promise<void> => {
    const message = new Message("{}");
    message.messageId = `${deviceId} ${messageId}`.replaceAll(" ", "-");
    await made.open();
    await made.sendEvent(message);
    await reader.find((event) => event.messageId === message.messageId);
    await made.close();
  };

  if (kind === "key") {
    await checks.does("Client.fromSharedAccessSignature", () =>
      sendsThrough(Client.fromSharedAccessSignature(signature(primaryKey), Transport), "signature"),
    );
  } else {
    // Certificates have no signature; the factory has no place for them.
    await checks.does("Client.fromSharedAccessSignature", async () => {
      const made = Client.fromSharedAccessSignature(signature("YWJj"), Transport);
      equal((await refusal(() => made.open())).name, "UnauthorizedError");
    });
  }
  await checks.does("Client.fromAuthenticationProvider", async () => {
    const provider =
      kind === "key"
        ? SharedAccessKeyAuthenticationProvider.fromConnectionString(connectionString)
        : new X509AuthenticationProvider({ host: hostName, deviceId });
    const made = await withProof(Client.fromAuthenticationProvider(provider, Transport));
    await sendsThrough(made, "provider");
  });
  await checks.does("Client.open: refused with a wrong proof", async () => {
    const wrong = Client.fromConnectionString(
      kind === "key"
        ? `HostName=${hostName};DeviceId=${deviceId};SharedAccessKey=YWJj`
        : connectionString,
      Transport,
    );
    const { cert = "", key = "" } = given().identities["stranger"] ?? {};
    if (kind !== "key") await wrong.setOptions({ cert, key });
    equal((await refusal(() => wrong.open())).name, "UnauthorizedError");
  });

  let client = Client.fromConnectionString(connectionString, Transport);
  await checks.does("Client.fromConnectionString", () => ok(client instanceof Client));
  await checks.does("Client.setRetryPolicy", () => client.setRetryPolicy(noRetry));
  await checks.does("Client.setTransportOptions", async () => {
    const other = await withProof(Client.fromConnectionString(connectionString, Transport));
    const result = await other.setTransportOptions({ productInfo: "transport-options" });
    equal(result.constructor.name, "TransportConfigured");
  });
  await checks.does("Client.setOptions", async () => {
    const credentials =
      kind === "key" ? {} : { cert: certificate?.cert ?? "", key: certificate?.key ?? "" };
    const modelId = "dtmi:example:Pump;1";
    equal(await client.setOptions({ ...credentials, modelId, productInfo: "pump/1" }), undefined);
  });
  await checks.does("Client.open", async () => {
    equal((await client.open()).constructor.name, "Connected");
  });

  const systemOf = (more: object): object => ({
    "iothub-connection-device-id": deviceId,
    "iothub-connection-auth-method": {
      scope: "device",
      type: kind === "key" ? "sas" : "x509",
      issuer: kind === "key" ? "iothub" : "external",
      acceptingIpFilterRule: null,
    },
    "iothub-connection-auth-generation-id": generation,
    "iothub-enqueuedtime": "a time",
    "iothub-message-source": "Telemetry",
    "dt-dataschema": "dtmi:example:Pump;1",
    ...more,
  });
  await checks.does("Client.sendEvent", async () => {
    const message = new Message(JSON.stringify({ temperature: 21.5, name: "Köln" }));
    message.messageId = `${deviceId}-all`;
    message.correlationId = "c;1";
    message.userId = "user@example";
    message.to = "somewhere";
    message.contentType = "application/json";
    message.contentEncoding = "utf-8";
    message.expiryTimeUtc = new Date(1_900_000_000_000);
    message.setAsSecurityMessage();
    message.properties.add("plain", "1");
    message.properties.add("$odd name/é", text);
    message.properties.add("empty", "");
    message.properties.add("dt-subject", "thermostat1");
    equal((await client.sendEvent(message)).constructor.name, "MessageEnqueued");
    const event = await reader.find(({ messageId }) => messageId === message.messageId);
    equal(seen(event), {
      body: { temperature: 21.5, name: "Köln" },
      properties: { plain: "1", "$odd name/é": text, empty: "" },
      enqueuedTimeUtc: "a time",
      sequenceNumber: "a number",
      offset: "an offset",
      partitionKey: deviceId,
      contentType: "application/json",
      correlationId: "c;1",
      messageId: message.messageId,
      systemProperties: systemOf({
        "dt-subject": "thermostat1",
        "iothub-interface-id": "urn:azureiot:Security:SecurityAgent:1",
        messageId: message.messageId,
        correlationId: "c;1",
        userId: "user@example",
        to: "somewhere",
        contentType: "application/json",
        contentEncoding: "utf-8",
        absoluteExpiryTime: 1_900_000_000_000,
      }),
    });
  });
  await checks.does("Client.sendEvent: bytes, no properties", async () => {
    const bytes = Buffer.from([0, 255, 1, 254]);
    await client.sendEvent(new Message(bytes));
    const event = await reader.find(
      ({ body, partitionKey }) =>
        partitionKey === deviceId && Buffer.isBuffer(body) && body.equals(bytes),
    );
    const { properties = {}, ...rest } = seen(event);
    equal(properties, {});
    equal(rest, {
      body: bytes,
      enqueuedTimeUtc: "a time",
      sequenceNumber: "a number",
      offset: "an offset",
      partitionKey: deviceId,
      systemProperties: systemOf({}),
    });
  });
  await checks.does("Client.sendEvent: larger than 256 KiB", async () => {
    const error = await refusal(() => client.sendEvent(new Message(Buffer.alloc(262_145))));
    equal(error.name, "MessageTooLargeError");
    await client.sendEvent(new Message(Buffer.alloc(200_000, "x")));
    await reader.find(
      ({ body, partitionKey }) => partitionKey === deviceId && body?.length === 200_000,
    );
  });
  await checks.does("Client.sendEventBatch: refused by the client", async () => {
    const error = await refusal(() => client.sendEventBatch([new Message("a"), new Message("b")]));
    equal(error.name, "NotImplementedError");
  });

  const expiry = Date.now() + 3_600_000;
  const cloudMessage = (messageId: string): InstanceType<typeof messages.Message> => {
    const message = new messages.Message(JSON.stringify({ open: text }));
    message.messageId = messageId;
    message.correlationId = "c/1";
    message.contentType = "application/json";
    message.contentEncoding = "utf-8";
    message.ack = "none";
    // Its AMQP library cannot write a Date.
    message.expiryTimeUtc = expiry;
    message.properties.add("urgency", "high");
    message.properties.add("odd name/é", text);
    return message;
  };
  let received: Device.Message | undefined;
  await checks.does("Client.on: message", async () => {
    const arrived = once(client, "message") as Promise<[Device.Message]>;
    await backEnd.send(deviceId, cloudMessage("m-1"));
    [received] = await arrived;
    equal(JSON.parse(String(received.getData() as Buffer)), { open: text });
    const { messageId, correlationId, contentType, contentEncoding, to, userId } = received;
    equal(
      { messageId, correlationId, contentType, contentEncoding, to, userId },
      {
        messageId: "m-1",
        correlationId: "c/1",
        contentType: "application/json",
        contentEncoding: "utf-8",
        to: `/devices/${deviceId}/messages/devicebound`,
        // What a message of this client has unless it is told.
        userId: "",
      },
    );
    equal(Date.parse(String(received.expiryTimeUtc)), expiry);
    equal(
      received.properties.propertyList.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
      [
        { key: "iothub-ack", value: "none" },
        { key: "odd name/é", value: text },
        { key: "urgency", value: "high" },
      ],
    );
    equal([received.ack, received.lockToken], [undefined, ""]);
  });
  const some = (): Device.Message => received ?? new Message("");
  await checks.does("Client.complete", async () => {
    equal((await client.complete(some())).constructor.name, "MessageCompleted");
    // The acknowledgement is on its way, nothing tells when it is there.
    await untilRegistry(deviceId, (now) => Number(now.cloudToDeviceMessageCount) === 0);
  });
  await checks.does("Client.reject: refused by the client", async () => {
    equal((await refusal(() => client.reject(some()))).name, "NotImplementedError");
  });
  await checks.does("Client.abandon: refused by the client", async () => {
    equal((await refusal(() => client.abandon(some()))).name, "NotImplementedError");
  });
  await checks.does("Client.removeListener: messages wait for the next listener", async () => {
    client.removeAllListeners("message");
    // The client unsubscribes without telling when it is done; a round trip behind it does.
    await client.getTwin();
    await backEnd.send(deviceId, cloudMessage("m-2"));
    const [late] = (await once(client, "message")) as [Device.Message];
    equal(late.messageId, "m-2");
  });

  await checks.does("Client.onDeviceMethod", async () => {
    client.onDeviceMethod("reboot", (request, response) => {
      response.send(201, { echo: request.payload as object, of: request.methodName }, () => {});
    });
    const { result } = await backEnd.invokeDeviceMethod(deviceId, {
      methodName: "reboot",
      payload: { delay: 5, text },
      responseTimeoutInSeconds: 10,
      connectTimeoutInSeconds: 5,
    });
    equal(result, { status: 201, payload: { echo: { delay: 5, text }, of: "reboot" } });
  });
  await checks.does("Client.onDeviceMethod: an answer without payload", async () => {
    client.onDeviceMethod("quiet", (request, response) => {
      equal(request.payload, null);
      response.send(204, undefined, () => {});
    });
    const call = { methodName: "quiet", payload: null, responseTimeoutInSeconds: 10 };
    equal((await backEnd.invokeDeviceMethod(deviceId, call)).result, {
      status: 204,
      payload: null,
    });
  });

  let twin: Device.Twin | undefined;
  const held = (): Device.Twin => twin ?? (undefined as never);
  const patchDesired = (desired: unknown): Promise<unknown> =>
    registry.updateTwin(deviceId, { properties: { desired } }, "*");
  await checks.does("Client.getTwin", async () => {
    twin = await client.getTwin();
    equal(twin.properties.desired, { $version: 1 });
    const { update, ...reported } = twin.properties.reported as Record<string, unknown>;
    equal([typeof update, reported], ["function", { $version: 1 }]);
  });
  await checks.does("Twin.setRetryPolicy", () => held().setRetryPolicy(noRetry));
  await checks.does(
    "Twin.enableTwinDesiredPropertiesUpdates",
    () =>
      new Promise<void>((resolve, reject) => {
        held().enableTwinDesiredPropertiesUpdates((error) => (error ? reject(error) : resolve()));
      }),
  );
  const deltas: unknown[] = [];
  const delta = async (version: number): Promise<unknown> => {
    const isIt = (each: unknown): boolean => (each as { $version?: number }).$version === version;
    const deadline = Date.now() + 10_000;
    while (!deltas.some(isIt)) {
      if (Date.now() > deadline)
        throw new Error(`no version ${version}: ${JSON.stringify(deltas)}`);
      await sleep(10);
    }
    return deltas.find(isIt);
  };
  await checks.does("Twin.on: desired properties", async () => {
    held().on("properties.desired", (change: unknown) => deltas.push(structuredClone(change)));
    await patchDesired({ interval: 5, nested: { text, list: [1, "b", null] } });
    equal(await delta(2), { interval: 5, nested: { text, list: [1, "b", null] }, $version: 2 });
    await patchDesired({ interval: null });
    equal(await delta(3), { interval: null, $version: 3 });
  });
  await checks.does("Twin.properties.reported.update", async () => {
    const report = { firmware: "1.0", nested: { text, list: [1, { deep: true }] } };
    await within(10_000, updateReported(held(), report));
    await within(10_000, updateReported(held(), { firmware: null }));
    const { responseBody } = await registry.getTwin(deviceId);
    const { $metadata, ...reported } = responseBody.properties.reported;
    equal(reported, { nested: { text, list: [1, { deep: true }] }, $version: 3 });
    ok($metadata.nested.$lastUpdated);
    equal((responseBody as unknown as { modelId: string }).modelId, "dtmi:example:Pump;1");
  });
  await checks.does("Twin.properties.reported.update: refused", async () => {
    const error = await refusal(() => updateReported(held(), { "bad.name": 1 }));
    // The client drops all but the text.
    equal(error.name, "Error");
    match(error.message, /bad\.name|key/u);
  });
  await checks.does("Twin.get", async () => {
    const fresh = await held().get();
    const { nested, $version } = fresh.properties.desired;
    equal({ nested, $version }, { nested: { text, list: [1, "b"] }, $version: 3 });
    equal(fresh.properties.reported["$version"], 3);
  });
  await checks.does("Twin.on: desired properties emptied", async () => {
    await patchDesired(null);
    equal(await delta(4), { nested: null, $version: 4 });
  });

  await checks.does("Client.updateSharedAccessSignature", async () => {
    if (kind !== "key") {
      const error = await refusal(() => updateSignature(client, signature("YWJj")));
      match(error.name, /Error$/);
      return;
    }
    const own = await withProof(Client.fromSharedAccessSignature(signature(primaryKey), Transport));
    await client.close();
    await own.open();
    await updateSignature(
      own,
      signature(identity.authentication?.symmetricKey?.secondaryKey ?? ""),
    );
    await own.close();
    client = Client.fromConnectionString(connectionString, Transport);
    client.setRetryPolicy(noRetry);
    await client.open();
  });
  await checks.does("Client.uploadToBlob", () =>
    client.uploadToBlob("blob.txt", Readable.from("12345"), 5),
  );
  await checks.does("Client.getBlobSharedAccessSignature", async () => {
    const upload = await client.getBlobSharedAccessSignature("blob.txt");
    ok(upload.correlationId);
  });
  await checks.does("Client.notifyBlobUploadStatus", () =>
    client.notifyBlobUploadStatus("none", true, 200, "done"),
  );
  await checks.does("Client.on: disconnect when the device is disabled", async () => {
    const ended = once(client, "disconnect");
    const { authentication } = identity;
    await registry.update({ deviceId, status: "disabled", authentication });
    await within(10_000, ended);
    const again = await withProof(Client.fromConnectionString(connectionString, Transport));
    again.setRetryPolicy(noRetry);
    equal((await refusal(() => again.open())).name, "UnauthorizedError");
    await registry.update({ deviceId, status: "enabled", authentication });
  });
  await checks.does("Client.close", async () => {
    const other = await withProof(Client.fromConnectionString(connectionString, Transport));
    await other.open();
    equal((await other.close()).constructor.name, "Disconnected");
    await untilRegistry(deviceId, (now) => String(now.connectionState) === "Disconnected");
  });
  return checks;
}

type Identity = Awaited<ReturnType<typeof registry.get>>["responseBody"];

async function untilRegistry(deviceId: string, isThere: (now: Identity) => boolean): Promise<void> {
  for (let round = 0; round < 200; round += 1) {
    if (isThere((await registry.get(deviceId)).responseBody)) return;
    await sleep(10);
  }
  throw new Error("the registry does not show it");
}

function updateReported(twin: Device.Twin, patch: object): Promise<void> {
  return new Promise((resolve, reject) => {
    twin.properties.reported["update"](patch, (error?: Error) =>
      error ? reject(error) : resolve(),
    );
  });
}

function updateSignature(client: Device.Client, signature: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.updateSharedAccessSignature(signature, (error, result) =>
      error ? reject(error) : resolve(result),
    );
  });
}

await backEnd.open();
report(await Promise.all(surfaces.device.transports.map(check)));
