import { resolve } from "node:path";
import { createHub, type Hub } from "@hubwire/hub";
import { IotError } from "@hubwire/protocol";
import type { Report } from "./report.ts";

/** The hub of `npm start`: standard ports; a free MQTT port when another program has 8883, and it says so. */
export async function startLocalHub(dataDirectory: string, report: Report): Promise<Hub> {
  const startedMs = performance.now();
  const config = { dataDirectory, logLevel: "warn" as const };
  let hub: Hub;
  try {
    hub = await createHub(config);
  } catch (error) {
    if (!(error instanceof IotError) || error.code !== "hub.port_in_use") throw error;
    hub = await createHub({ ...config, mqttPort: 0 });
    report.note(`Port 8883 is taken, so this hub uses ${hub.mqttPort} for MQTT.`);
  }
  const ms = Math.round(performance.now() - startedMs);
  const data = resolve(dataDirectory);
  report.fact(
    "hub",
    {
      mqtt: `mqtts://${hub.hostName}:${hub.mqttPort}`,
      https: `https://${hub.hostName}:${hub.httpsPort}`,
      data,
      caFile: hub.caFile,
      ms,
    },
    `\nAn IoT Hub on your machine\n\n` +
      `  MQTT       mqtts://${hub.hostName}:${hub.mqttPort}\n` +
      `  HTTPS      https://${hub.hostName}:${hub.httpsPort}\n` +
      `  data       ${data}\n`,
  );
  return hub;
}
