import { ok } from "node:assert";
import device from "azure-iot-device";
import type * as Device from "azure-iot-device";
import deviceMqtt from "azure-iot-device-mqtt";
import { Checks, refusal, report } from "../checks.ts";
import { surfaces } from "../operations.ts";
import { backEnd, noRetry, Reader, registry, seen } from "./back-end.ts";
import { equal } from "./equal.ts";

const { Message, ModuleClient, SharedAccessKeyAuthenticationProvider, SharedAccessSignature } =
  device;
const reader = new Reader();
const hostName = "localhost";
const text = "ä ö/&=?#+%$;";

async function check(transport: string): Promise<Checks> {
  const checks = new Checks("module", transport);
  const Transport = transport === "Mqtt" ? deviceMqtt.Mqtt : deviceMqtt.MqttWs;
  const deviceId = `device-${transport}`;
  const moduleId = "pump";
  await registry.create({ deviceId });
  await registry.addModule({ deviceId, moduleId } as never);
  await registry.addModule({ deviceId, moduleId: "caller" } as never);
  const { responseBody: identity } = await registry.getModule(deviceId, moduleId);
  const { generationId } = identity as unknown as { generationId: string };
  const keyOf = async (id: string): Promise<string> =>
    (await registry.getModule(deviceId, id)).responseBody.authentication?.symmetricKey
      ?.primaryKey ?? "";
  const key = await keyOf(moduleId);
  const connectionString = `HostName=${hostName};DeviceId=${deviceId};ModuleId=${moduleId};SharedAccessKey=${key}`;
  const sendsThrough = async (made: Device.ModuleClient, name: string): Promise<void> => {
    const message = new Message("{}");
    message.messageId = `${transport}-${name}`;
    await made.open();
    await made.sendEvent(message);
    await reader.find(({ messageId }) => messageId === message.messageId);
    await made.close();
  };

  await checks.does("ModuleClient.fromSharedAccessSignature", () => {
    const soon = Math.floor(Date.now() / 1000) + 3600;
    const uri = `${hostName}/devices/${deviceId}/modules/${moduleId}`;
    const signature = SharedAccessSignature.create(
      hostName,
      `${deviceId}/modules/${moduleId}`,
      key,
      soon,
    );
    ok(decodeURIComponent(signature.toString()).includes(uri));
    return sendsThrough(
      ModuleClient.fromSharedAccessSignature(signature.toString(), Transport),
      "signature",
    );
  });
  await checks.does("ModuleClient.fromAuthenticationProvider", () =>
    sendsThrough(
      ModuleClient.fromAuthenticationProvider(
        SharedAccessKeyAuthenticationProvider.fromConnectionString(connectionString),
        Transport,
      ),
      "provider",
    ),
  );
  await checks.does("ModuleClient.fromEnvironment", async () => {
    process.env["EdgeHubConnectionString"] = connectionString;
    await sendsThrough(await ModuleClient.fromEnvironment(Transport), "environment");
  });

  const client = ModuleClient.fromConnectionString(connectionString, Transport);
  await checks.does("ModuleClient.fromConnectionString", () => ok(client instanceof ModuleClient));
  await checks.does("ModuleClient.setRetryPolicy", () => client.setRetryPolicy(noRetry));
  await checks.does("ModuleClient.setOptions", async () => {
    equal(await client.setOptions({ modelId: "dtmi:example:Part;1" }), undefined);
  });
  await checks.does("ModuleClient.open", async () => {
    equal((await client.open()).constructor.name, "Connected");
  });
  const event = (messageId: string, properties: object): object => ({
    body: { of: "module" },
    properties,
    enqueuedTimeUtc: "a time",
    sequenceNumber: "a number",
    offset: "an offset",
    partitionKey: deviceId,
    messageId,
    systemProperties: {
      "iothub-connection-device-id": deviceId,
      "iothub-connection-module-id": moduleId,
      "iothub-connection-auth-method": {
        scope: "module",
        type: "sas",
        issuer: "iothub",
        acceptingIpFilterRule: null,
      },
      "iothub-connection-auth-generation-id": generationId,
      "iothub-enqueuedtime": "a time",
      "iothub-message-source": "Telemetry",
      "dt-dataschema": "dtmi:example:Part;1",
      messageId,
    },
  });
  const message = (messageId: string): Device.Message => {
    const made = new Message(JSON.stringify({ of: "module" }));
    made.messageId = messageId;
    made.properties.add("last", text);
    return made;
  };
  await checks.does("ModuleClient.sendEvent", async () => {
    const id = `${transport}-event`;
    equal((await client.sendEvent(message(id))).constructor.name, "MessageEnqueued");
    equal(seen(await reader.find(({ messageId }) => messageId === id)), event(id, { last: text }));
  });
  await checks.does("ModuleClient.sendOutputEvent", async () => {
    const id = `${transport}-output`;
    await client.sendOutputEvent("out1", message(id));
    const got = seen(await reader.find(({ messageId }) => messageId === id));
    const { systemProperties, ...rest } = event(id, { last: text }) as { systemProperties: object };
    equal(got, { ...rest, systemProperties: { ...systemProperties, "iothub-outputname": "out1" } });
  });
  await checks.does("ModuleClient.sendOutputEventBatch: refused by the client", async () => {
    const error = await refusal(() => client.sendOutputEventBatch("out1", [message("a")]));
    equal(error.name, "NotImplementedError");
  });
  await checks.does("ModuleClient.setTransportOptions", async () => {
    const other = ModuleClient.fromConnectionString(connectionString, Transport);
    const result = await other.setTransportOptions({ productInfo: "transport-options" });
    equal(result.constructor.name, "TransportConfigured");
  });
  await checks.does("ModuleClient.sendEventBatch: refused by the client", async () => {
    const error = await refusal(() => client.sendEventBatch([message("a")]));
    equal(error.name, "NotImplementedError");
  });
  await checks.does("ModuleClient.complete", async () => {
    equal((await client.complete(message("a"))).constructor.name, "MessageCompleted");
  });
  await checks.does("ModuleClient.reject: refused by the client", async () => {
    equal((await refusal(() => client.reject(message("a")))).name, "NotImplementedError");
  });
  await checks.does("ModuleClient.abandon: refused by the client", async () => {
    equal((await refusal(() => client.abandon(message("a")))).name, "NotImplementedError");
  });
  await checks.does("ModuleClient.updateSharedAccessSignature", async () => {
    const { responseBody } = await registry.getModule(deviceId, "caller");
    const { primaryKey = "", secondaryKey = "" } = responseBody.authentication?.symmetricKey ?? {};
    const sign = (signer: string): string => {
      const soon = Math.floor(Date.now() / 1000) + 3600;
      const name = `${deviceId}/modules/caller`;
      return SharedAccessSignature.create(hostName, name, signer, soon).toString();
    };
    const other = ModuleClient.fromSharedAccessSignature(sign(primaryKey), Transport);
    await other.open();
    await new Promise<void>((resolve, reject) => {
      other.updateSharedAccessSignature(sign(secondaryKey), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    await other.close();
  });
  await checks.does("ModuleClient.onMethod", async () => {
    client.onMethod("turn", (request, response) => {
      response?.send(200, { turned: request?.payload as object }, () => {});
    });
    const { result } = await backEnd.invokeDeviceMethod(deviceId, moduleId, {
      methodName: "turn",
      payload: { by: 90 },
      responseTimeoutInSeconds: 10,
      connectTimeoutInSeconds: 5,
    });
    equal(result, { status: 200, payload: { turned: { by: 90 } } });
  });
  await checks.does("ModuleClient.invokeMethod", async () => {
    const callerKey = await keyOf("caller");
    const caller = ModuleClient.fromConnectionString(
      `HostName=${hostName};DeviceId=${deviceId};ModuleId=caller;SharedAccessKey=${callerKey}`,
      Transport,
    );
    caller.setRetryPolicy(noRetry);
    await caller.open();
    try {
      const call = {
        methodName: "turn",
        payload: { by: 45 },
        responseTimeoutInSeconds: 10,
        connectTimeoutInSeconds: 0,
      };
      const { payload } = await caller.invokeMethod(deviceId, moduleId, call);
      equal(payload, { turned: { by: 45 } });
    } finally {
      await caller.close();
    }
  });
  const twin = await client.getTwin();
  await checks.does("ModuleClient.getTwin", async () => {
    const { desired } = (await client.getTwin()).properties;
    equal(desired, { $version: 1 });
  });
  await checks.does("Twin.on: desired properties", async () => {
    const delta = new Promise<unknown>((resolve) => {
      twin.on("properties.desired", (change: { $version: number }) => {
        if (change.$version === 2) resolve(structuredClone(change));
      });
    });
    await new Promise<void>((resolve, reject) => {
      twin.enableTwinDesiredPropertiesUpdates((error) => (error ? reject(error) : resolve()));
    });
    await registry.updateModuleTwin(
      deviceId,
      moduleId,
      { properties: { desired: { speed: 3 } } },
      "*",
    );
    equal(await delta, { speed: 3, $version: 2 });
  });
  await checks.does("Twin.properties.reported.update", async () => {
    await new Promise<void>((resolve, reject) => {
      twin.properties.reported["update"]({ running: true }, (error?: Error) =>
        error ? reject(error) : resolve(),
      );
    });
    const { responseBody } = await registry.getModuleTwin(deviceId, moduleId);
    const { $metadata: _, ...reported } = responseBody.properties.reported;
    equal(reported, { running: true, $version: 2 });
  });
  await checks.does("ModuleClient.close", async () => {
    equal((await client.close()).constructor.name, "Disconnected");
  });
  return checks;
}

await backEnd.open();
// The environment is the process's, so one after the other.
const all: Checks[] = [];
for (const transport of surfaces.module.transports) all.push(await check(transport));
report(all);
