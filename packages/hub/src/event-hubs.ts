import { IotError } from "@hubwire/protocol";
import type { Policy } from "./domain/auth/index.ts";
import type { Hub } from "./hub-types.ts";

export const standardAmqpPort = 5671;
export const standardAmqpPlainPort = 5672;

/** The entity's name where the host name has none to give. */
const defaultEntity = "hubwire";

/** `EntityPath` of the Event Hubs-compatible endpoint: the first label of the hub's name, as hubs on Azure are called. */
export function eventHubName(hostName: string): string {
  const [first = ""] = hostName.split(".");
  const isName = /^[a-z][a-z0-9-]*$/i.test(first) && first.toLowerCase() !== "localhost";
  return isName ? first : defaultEntity;
}

/** @throws IotError `auth.policy_unknown`, `argument.invalid` when that listener is off */
export function eventHubsConnectionString(
  policies: readonly Policy[],
  policyName: string,
  {
    hostName,
    gatewayHostName,
    amqpPort,
    amqpPlainPort,
  }: Pick<Hub, "hostName" | "gatewayHostName" | "amqpPort" | "amqpPlainPort">,
  plain: boolean,
): string {
  const policy = policies.find(({ name }) => name === policyName);
  if (policy === undefined) {
    throw new IotError("auth.policy_unknown", `The hub has no policy named ${policyName}`);
  }
  const port = plain ? amqpPlainPort : amqpPort;
  if (port === undefined) throw new IotError("argument.invalid", "This AMQP listener is off");
  const standard = plain ? standardAmqpPlainPort : standardAmqpPort;
  // Without TLS only loopback is listened on, whatever the hub is called.
  const host = plain ? "localhost" : (gatewayHostName ?? hostName);
  const authority = port === standard ? host : `${host}:${port}`;
  const emulator = plain ? ";UseDevelopmentEmulator=true" : "";
  return `Endpoint=sb://${authority}/;SharedAccessKeyName=${policy.name};SharedAccessKey=${policy.primaryKey};EntityPath=${eventHubName(hostName)}${emulator}`;
}
