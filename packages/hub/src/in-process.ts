import { formatDeviceConnectionString, IotError } from "@hubwire/protocol";
import type { DeviceAuth } from "@hubwire/protocol";
import type { Domain } from "./compose.ts";
import { eventHubsConnectionString } from "./event-hubs.ts";
import { serviceConnectionString } from "./domain/auth/index.ts";
import type { Identity, IdentityRef } from "./domain/services.ts";
import type { Hub, InvokeOptions, NewDevice, SendOptions } from "./hub-types.ts";
import { standardHttpsPort, standardMqttPort } from "./listen.ts";

const defaultResponseTimeoutS = 30;

export type HubAddress = Pick<
  Hub,
  "hostName" | "gatewayHostName" | "mqttPort" | "httpsPort" | "amqpPort" | "amqpPlainPort"
>;

type InProcess = Pick<
  Hub,
  | "connectionString"
  | "eventHubsConnectionString"
  | "deviceConnectionString"
  | "createDevice"
  | "sendToDevice"
  | "invokeMethod"
>;

/** The hub's services in the words of somebody who plays a back end in the same process. */
export function inProcess(domain: Domain, address: HubAddress, stopping: AbortSignal): InProcess {
  const { hostName, gatewayHostName, mqttPort, httpsPort } = address;
  const dialled = gatewayHostName ?? hostName;
  const mqttHost = mqttPort === standardMqttPort ? dialled : `${dialled}:${mqttPort}`;
  const httpsHost = httpsPort === standardHttpsPort ? dialled : `${dialled}:${httpsPort}`;
  // Behind a gateway the hub keeps its pure name: user names and tokens are made of it.
  const hosts =
    gatewayHostName === undefined
      ? { hostName: mqttHost }
      : { hostName, gatewayHostName: mqttHost };

  const format = ({ deviceId, moduleId, authentication }: Identity): string => {
    const auth: DeviceAuth =
      authentication.type === "sas"
        ? { type: "key", sharedAccessKey: authentication.primaryKey }
        : { type: "x509" };
    const module = moduleId === undefined ? {} : { moduleId };
    return formatDeviceConnectionString({ ...hosts, deviceId, ...module, auth });
  };

  return {
    connectionString: (policyName) =>
      serviceConnectionString(domain.policies, httpsHost, policyName),

    eventHubsConnectionString: ({ policyName = "service", plain = false } = {}) =>
      eventHubsConnectionString(domain.policies, policyName, address, plain),

    async deviceConnectionString(deviceId, moduleId) {
      const identity = await domain.identities.find({ deviceId, moduleId });
      if (identity === undefined) throw notFound({ deviceId, moduleId });
      return format(identity);
    },

    async createDevice(device: NewDevice) {
      const identity = await domain.identities.create({
        deviceId: device.deviceId,
        moduleId: device.moduleId,
        status: device.status ?? "enabled",
        statusReason: device.statusReason,
        authentication: device.authentication,
        capabilities: { iotEdge: false },
        managedBy: undefined,
      });
      return { identity, connectionString: format(identity) };
    },

    sendToDevice: (deviceId, body, options: SendOptions = {}) =>
      domain.c2d.service.send(deviceId, {
        properties: {
          system: { ...options.properties?.system },
          application: { ...options.properties?.application },
        },
        ack: options.ack,
        expiresAtMs: options.expiresAtMs,
        body: typeof body === "string" ? new TextEncoder().encode(body) : body,
      }),

    async invokeMethod(deviceId, methodName, payload, options: InvokeOptions = {}) {
      const { moduleId, signal } = options;
      const either = signal === undefined ? stopping : AbortSignal.any([signal, stopping]);
      const text = payload === undefined ? "" : JSON.stringify(payload);
      const call = {
        methodName,
        payload: new TextEncoder().encode(text),
        responseTimeoutS: options.responseTimeoutS ?? defaultResponseTimeoutS,
        connectTimeoutS: options.connectTimeoutS ?? 0,
      };
      try {
        return await domain.methods.invoke({ deviceId, moduleId }, call, either);
      } catch (error) {
        const isCut = error instanceof IotError && error.code === "call.aborted";
        if (isCut && stopping.aborted && signal?.aborted !== true) {
          throw new IotError("hub.stopping", "The hub is stopping", { cause: error });
        }
        throw error;
      }
    },
  };
}

const notFound = ({ deviceId, moduleId }: IdentityRef): IotError =>
  moduleId === undefined
    ? new IotError("device.not_found", `Device "${deviceId}" is not registered`)
    : new IotError("module.not_found", `Device "${deviceId}" has no module "${moduleId}"`);
