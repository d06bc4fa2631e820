import { join } from "node:path";
import { writeDurably } from "./durable-file.ts";
import type { Hub } from "./hub-types.ts";

/** What the `hubwire` command reads to find the hub of a data directory. */
export type HubFile = {
  /** Of the `iothubowner` policy, with the HTTPS port when it is not 443. */
  connectionString: string;
  hostName: string;
  /** What is dialled instead, when the hub's name cannot be. */
  gatewayHostName?: string;
  mqttPort: number;
  httpsPort: number;
  /** Missing in files that older hubs left, and when the hub speaks no AMQP. */
  amqpPort?: number;
  /** For readers of the hub's events. */
  eventHubsConnectionString?: string;
  caFile: string;
};

/** Leaves `hub.json` (mode 0600: it holds the owner's key) in the data directory. It stays when the hub stops. */
export async function writeHubFile(directory: string, hub: Hub): Promise<void> {
  const { hostName, gatewayHostName, mqttPort, httpsPort, amqpPort } = hub;
  const file: HubFile = {
    connectionString: hub.connectionString(),
    hostName,
    ...(gatewayHostName === undefined ? {} : { gatewayHostName }),
    mqttPort,
    httpsPort,
    ...(amqpPort === undefined
      ? {}
      : { amqpPort, eventHubsConnectionString: hub.eventHubsConnectionString() }),
    caFile: join(directory, "ca.pem"),
  };
  await writeDurably(join(directory, "hub.json"), `${JSON.stringify(file, null, 2)}\n`, 0o600);
}
