import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { IotError, parseServiceConnectionString } from "@hubwire/protocol";

/** What a running local hub leaves in its data directory for the command: `hub.json`, mode 0600. */
export type HubFile = {
  /** Service connection string of the `iothubowner` policy, with the HTTPS port when it is not 443. */
  connectionString: string;
  hostName: string;
  mqttPort: number;
  httpsPort: number;
  caFile: string;
};

/** The hub a command talks to. */
export type Target = {
  hostName: string;
  httpsPort: number;
  mqttPort: number;
  policyName: string;
  key: string;
  /** PEM added to the roots; undefined for the real Azure. */
  ca: string | undefined;
  caFile: string | undefined;
};

export type TargetOptions = { connectionString?: string; ca?: string; data: string };

export const defaultDataDirectory = ".hubwire";

export function readHubFile(dataDirectory: string): HubFile | undefined {
  const path = join(dataDirectory, "hub.json");
  if (!existsSync(path)) return undefined;
  return JSON.parse(readFileSync(path, "utf8")) as HubFile;
}

function splitPort(hostName: string, port: number): [string, number] {
  const match = /^(?<host>.*):(?<port>\d{1,5})$/u.exec(hostName);
  if (match?.groups === undefined) return [hostName, port];
  return [match.groups["host"] ?? hostName, Number(match.groups["port"])];
}

/**
 * Where to go: `--connection-string`, else `IOTHUB_CONNECTION_STRING` (the official tools' name for it), else the local hub's
 * data directory.
 * @throws IotError `cli.no_hub` when none of them says
 */
export function resolveTarget(options: TargetOptions): Target {
  const local = readHubFile(options.data);
  const text =
    options.connectionString ?? process.env["IOTHUB_CONNECTION_STRING"] ?? local?.connectionString;
  if (text === undefined) {
    throw new IotError(
      "cli.no_hub",
      `There is no hub in ${resolve(options.data)} and no connection string was given.`,
    );
  }
  const parsed = parseServiceConnectionString(text);
  const [hostName, httpsPort] = splitPort(parsed.hostName, 443);
  const isLocal = local !== undefined && text === local.connectionString;
  const caFile = options.ca ?? (isLocal ? local.caFile : undefined);
  return {
    hostName,
    httpsPort,
    mqttPort: isLocal ? local.mqttPort : 8883,
    policyName: parsed.sharedAccessKeyName,
    key: parsed.sharedAccessKey,
    ca: caFile === undefined ? undefined : readFileSync(caFile, "utf8"),
    caFile,
  };
}
