import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { IotError, parseServiceConnectionString } from "@hubwire/protocol";
import type { HubFile } from "@hubwire/hub";
import { readCertificates } from "./arguments.ts";

/** The hub a command talks to. */
export type Target = {
  /** Without port. */
  hostName: string;
  /** The hub's own name, when `hostName` is only what is dialled. */
  ownName: string | undefined;
  httpsPort: number;
  mqttPort: number;
  amqpPort: number;
  /** Of the hub's events; undefined when nobody but the hub knows it. */
  eventHubsConnectionString: string | undefined;
  /** As it was given, or as the local hub left it. */
  connectionString: string;
  policyName: string;
  key: string;
  /** PEM added to the roots; undefined for the real Azure. */
  ca: string | undefined;
  caFile: string | undefined;
  /** Absolute, when it is the hub of a data directory on this machine. */
  localDirectory: string | undefined;
};

export type TargetOptions = {
  connectionString: string | undefined;
  ca: string | undefined;
  data: string;
};

export const defaultDataDirectory = ".hubwire";

/**
 * What the hub of a data directory left for this command (`hub.json`); undefined when there is no such file.
 * @throws IotError `hub.data_corrupt` when it cannot be read
 */
export function readHubFile(dataDirectory: string): HubFile | undefined {
  const path = join(resolve(dataDirectory), "hub.json");
  try {
    return JSON.parse(readFileSync(path, "utf8")) as HubFile;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    const reason = cause instanceof SyntaxError ? "it is not JSON" : String(cause);
    throw new IotError("hub.data_corrupt", `${path} cannot be read: ${reason}`, { cause });
  }
}

/** `host:port` apart; 443 when there is no port. */
export function splitPort(hostName: string, defaultPort: number): [string, number] {
  const match = /^(?<host>.*):(?<port>\d{1,5})$/u.exec(hostName);
  if (match?.groups === undefined) return [hostName, defaultPort];
  return [match.groups["host"] ?? hostName, Number(match.groups["port"])];
}

/**
 * Where to go: `--connection-string`, else `IOTHUB_CONNECTION_STRING` (the official tools' name for it), else the local hub's
 * data directory.
 * @throws IotError `cli.no_hub` when none of them says
 */
export function resolveTarget(options: TargetOptions): Target {
  const given = options.connectionString ?? (process.env["IOTHUB_CONNECTION_STRING"] || undefined);
  const local = readHubFile(options.data);
  const text = given ?? local?.connectionString;
  if (text === undefined) {
    throw new IotError(
      "cli.no_hub",
      `There is no hub in ${resolve(options.data)} and no connection string was given.`,
    );
  }
  const parsed = parseServiceConnectionString(text);
  const [hostName, httpsPort] = splitPort(parsed.hostName, 443);
  // Its own connection string, pasted, still means the local hub: with its CA and its MQTT port.
  const isLocal = local !== undefined && text === local.connectionString;
  const eventHubs =
    (process.env["IOTHUB_EVENTHUBS_CONNECTION_STRING"] || undefined) ??
    (isLocal ? local.eventHubsConnectionString : undefined);
  const caFile = options.ca ?? (isLocal ? local.caFile : undefined);
  return {
    hostName,
    ownName: isLocal && local.gatewayHostName !== undefined ? local.hostName : undefined,
    httpsPort,
    mqttPort: isLocal ? local.mqttPort : 8883,
    amqpPort: (isLocal ? local.amqpPort : undefined) ?? portIn(eventHubs, hostName) ?? 5671,
    eventHubsConnectionString: eventHubs,
    connectionString: text,
    policyName: parsed.sharedAccessKeyName,
    key: parsed.sharedAccessKey,
    ca: caFile === undefined ? undefined : readCertificates(caFile, "The CA"),
    caFile,
    localDirectory: isLocal ? resolve(options.data) : undefined,
  };
}

/** A hub whose AMQP is on another port says so in this string only; on Azure the events are at another host. */
function portIn(eventHubs: string | undefined, hostName: string): number | undefined {
  const match = /(?:^|;)\s*Endpoint=sb:\/\/(?<host>[^:/;]+):(?<port>\d{1,5})\/?(?:;|$)/u.exec(
    eventHubs ?? "",
  );
  return match?.groups?.["host"] === hostName ? Number(match.groups["port"]) : undefined;
}
