import { IotError, buildSasToken } from "@hubwire/protocol";
import { signWithBytes } from "../sign.ts";
import type { Dial } from "./connection.ts";

/** An Event Hubs-compatible endpoint: where it is, its name, and who reads. */
export type EventHubsAddress = {
  /** Without port. */
  host: string;
  port: number;
  /** `host[:port]` as it stands in the connection string: audiences name it so. */
  authority: string;
  /** The event hub's name. */
  entity: string;
  isPlain: boolean;
  policyName: string;
  /** Text; unlike everywhere else, its characters and not its base64 bytes are the key. */
  key: string;
};

const tlsPort = 5671;
const plainPort = 5672;
const tokenLifetimeS = 3600;

/**
 * `Endpoint=sb://{host}[:port]/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=…[;UseDevelopmentEmulator=true]`
 * @throws IotError `connection_string.malformed`; its message never shows a key
 */
export function parseEventHubsConnectionString(text: string): EventHubsAddress {
  const parts = new Map<string, string>();
  for (const part of text.split(";")) {
    const equals = part.indexOf("=");
    if (equals > 0) parts.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  const need = (name: string): string => {
    const value = parts.get(name);
    if (value !== undefined && value !== "") return value;
    throw new IotError(
      "connection_string.malformed",
      `An Event Hubs-compatible connection string needs ${name}`,
    );
  };
  const endpoint = /^sb:\/\/(?<host>[^:/]+)(?::(?<port>\d{1,5}))?\/?$/u.exec(need("Endpoint"));
  if (endpoint?.groups === undefined) {
    throw new IotError("connection_string.malformed", "Endpoint is sb://host/ or sb://host:port/");
  }
  const { host = "", port } = endpoint.groups;
  const isPlain = parts.get("UseDevelopmentEmulator") === "true";
  return {
    host,
    port: port === undefined ? (isPlain ? plainPort : tlsPort) : Number(port),
    authority: port === undefined ? host : `${host}:${port}`,
    entity: need("EntityPath"),
    isPlain,
    policyName: need("SharedAccessKeyName"),
    key: need("SharedAccessKey"),
  };
}

/** A token for one audience, such as `sb://{host}/{entity}/ConsumerGroups/$Default/Partitions/0`. */
export function eventHubsToken(address: EventHubsAddress, audience: string): Promise<string> {
  const expiresAtS = Math.floor(Date.now() / 1000) + tokenLifetimeS;
  const scope = { resource: audience, expiresAtS, policyName: address.policyName };
  return buildSasToken(scope, signWithBytes(new TextEncoder().encode(address.key)));
}

export const audienceOf = ({ authority, entity }: EventHubsAddress, path: string): string =>
  `sb://${authority}/${entity}/${path}`;

export const dialOf = (address: EventHubsAddress, ca: readonly string[]): Dial => ({
  host: address.host,
  port: address.port,
  isPlain: address.isPlain,
  ca,
  anonymousAs: address.policyName,
});
