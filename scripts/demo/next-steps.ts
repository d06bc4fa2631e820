import { createHmac } from "node:crypto";
import { relative, resolve } from "node:path";
import type { Hub } from "@hubwire/hub";
import { buildSasToken } from "@hubwire/protocol";
import type { Report } from "./report.ts";

const deviceId = "my-device";
const TOKEN_LIFETIME_S = 24 * 3600;

/** What to paste next: each line works as printed, from the repository's folder. */
export async function printNextSteps(hub: Hub, data: string, report: Report): Promise<void> {
  const found = await hub.identities.find({ deviceId, moduleId: undefined });
  const identity = found ?? (await hub.createDevice({ deviceId })).identity;
  if (identity.authentication.type !== "sas") return;
  const { primaryKey } = identity.authentication;
  const connectionString = await hub.deviceConnectionString(deviceId);
  const caFile = relative(process.cwd(), resolve(data, "ca.pem"));
  const sign = (text: string): Promise<string> =>
    Promise.resolve(
      createHmac("sha256", Buffer.from(primaryKey, "base64")).update(text).digest("base64"),
    );
  const token = await buildSasToken(
    {
      resource: `${hub.hostName}/devices/${deviceId}`,
      expiresAtS: Math.floor(Date.now() / 1000) + TOKEN_LIFETIME_S,
    },
    sign,
  );
  const python = `python3 examples/paho/device.py '${connectionString}' ${caFile}`;
  const mosquitto =
    `mosquitto_pub --cafile ${caFile} -h ${hub.hostName} -p ${hub.mqttPort} -i ${deviceId} ` +
    `-u '${hub.hostName}/${deviceId}/?api-version=2021-04-12' -P '${token}' ` +
    `-q 1 -t 'devices/${deviceId}/messages/events/source=mosquitto' -m '{"temperature":21.5}'`;
  report.fact(
    "next",
    { connectionString, caFile: resolve(data, "ca.pem"), python, mosquitto },
    `
Connect your own device

  connection string
    ${connectionString}
  CA file
    ${caFile}

  Python (paho), in another terminal
    ${python}

  mosquitto (the token is good for a day)
    ${mosquitto}

  see what arrives, call a method, change a desired property
    npx hubwire monitor --from first
    npx hubwire method ${deviceId} reboot '{"delay":5}'
    npx hubwire twin update ${deviceId} '{"properties":{"desired":{"intervalS":5}}}'

The hub stays up until Ctrl-C; its data stays in ${data}.`,
  );
}
