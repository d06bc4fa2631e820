import type { LinkHost } from "./link.ts";

/** Where the events of the hub's own address are (Azure IoT Hub docs, "Read device-to-cloud messages from the built-in endpoint"). */
export class Redirect extends Error {
  readonly info: Record<string, string | number>;
  constructor(host: LinkHost, address: string) {
    super("The events are at the Event Hubs-compatible endpoint");
    host.grants.require({ kind: "hub" });
    const { hostName, port } = host.parts.eventHubsHost();
    const rest = address.replace(/^messages\/events\/?/i, "");
    const path = rest === "" ? host.parts.entity : `${host.parts.entity}/${rest}`;
    this.info = {
      hostname: hostName,
      "network-host": hostName,
      port,
      address: `amqps://${hostName}:${port}/${path}`,
    };
  }
}
