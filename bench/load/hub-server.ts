/**
 * A hub with devices, for the load benchmarks. `node hub-server.ts '{"devices":50,"dataDirectory":"…"}'`; without a data
 * directory everything is in memory. With `"reader":true` a back end follows all partitions in this process.
 */
import { createHmac } from "node:crypto";
import { createHub } from "@hubwire/hub";
import { buildSasToken } from "@hubwire/protocol";
import type { GeneratorOptions } from "./generator.ts";

export type HubServerInfo = {
  port: number;
  ca: string;
  connections: GeneratorOptions["connections"];
};

const options = JSON.parse(process.argv[2] ?? "{}") as {
  devices: number;
  dataDirectory?: string;
  reader?: boolean;
};

const hub = await createHub({
  mqttPort: 0,
  httpsPort: 0,
  logLevel: "error",
  ...(options.dataDirectory === undefined ? {} : { dataDirectory: options.dataDirectory }),
});

const connections: HubServerInfo["connections"] = [];
const expiresAtS = Math.floor(Date.now() / 1000) + 3600;
for (let index = 0; index < options.devices; index += 1) {
  const deviceId = `device-${index}`;
  const { identity } = await hub.createDevice({ deviceId });
  if (identity.authentication.type !== "sas") throw new Error("expected a key");
  const key = identity.authentication.primaryKey;
  const sign = (text: string): Promise<string> =>
    Promise.resolve(createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64"));
  connections.push({
    clientId: deviceId,
    username: `localhost/${deviceId}/?api-version=2021-04-12`,
    password: await buildSasToken({ resource: `localhost/devices/${deviceId}`, expiresAtS }, sign),
    topic: `devices/${deviceId}/messages/events/`,
  });
}

if (options.reader === true) {
  const { telemetry } = hub;
  const next = Array.from({ length: telemetry.partitionCount }, () => 0);
  let reading = false;
  const readAll = async (): Promise<void> => {
    if (reading) return;
    reading = true;
    for (let found = true; found;) {
      found = false;
      for (let partition = 0; partition < next.length; partition += 1) {
        const events = await telemetry.read(
          partition,
          { sequenceNumber: next[partition] ?? 0 },
          { recordsMax: 1000, bytesMax: 1 << 20 },
        );
        const last = events.at(-1);
        if (last === undefined) continue;
        next[partition] = last.sequenceNumber + 1;
        found = true;
      }
    }
    reading = false;
  };
  telemetry.onCommit(() => {
    // The last read may find the log closed: the hub is stopping.
    readAll().catch(() => {});
  });
}

process.stdout.write(
  `${JSON.stringify({ port: hub.mqttPort, ca: hub.caPem, connections } satisfies HubServerInfo)}\n`,
);
process.on("SIGTERM", () => {
  void hub.stop().then(() => process.exit(0));
});
