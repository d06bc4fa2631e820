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
  const official = officialDevice(connectionString, caFile);
  // The official service SDK dials 443 and nothing else.
  const service =
    hub.httpsPort === 443 ? officialService(hub.connectionString(), caFile) : undefined;
  report.fact(
    "next",
    { connectionString, caFile: resolve(data, "ca.pem"), official, service, python, mosquitto },
    `
Connect your own device

  connection string
    ${connectionString}
  CA file
    ${caFile}

  Microsoft's own SDK, in another terminal: a message from the device
    ${official}
${
  service === undefined
    ? `
  Microsoft's service SDK dials port 443 only, and this hub could not have it; ours does what it does: npx hubwire`
    : `
  its service SDK: the device's twin
    ${service}`
}

  Python (paho)
    ${python}

  mosquitto (the token is good for a day)
    ${mosquitto}

  see what arrives, call a method, change a desired property
    npx hubwire monitor --from first
    npx hubwire hub env --device ${deviceId}    what else to export, for any SDK
    npx hubwire method ${deviceId} reboot '{"delay":5}'
    npx hubwire twin update ${deviceId} '{"properties":{"desired":{"intervalS":5}}}'

The hub stays up until Ctrl-C; its data stays in ${data}.`,
  );
}

/** One line of `azure-iot-device` over MQTT, unmodified: it needs the CA and nothing else. */
const officialDevice = (connectionString: string, caFile: string): string =>
  `NODE_EXTRA_CA_CERTS=${caFile} node -e '` +
  `const { Client, Message } = require("azure-iot-device"), { Mqtt } = require("azure-iot-device-mqtt"); ` +
  `const c = Client.fromConnectionString("${connectionString}", Mqtt); ` +
  `c.open().then(() => c.sendEvent(new Message(JSON.stringify({ temperature: 21.5 }))))` +
  `.then(() => console.log("sent")).finally(() => c.close())'`;

/** The same of `azure-iothub`. */
const officialService = (connectionString: string, caFile: string): string =>
  `NODE_EXTRA_CA_CERTS=${caFile} node -e '` +
  `require("azure-iothub").Registry.fromConnectionString("${connectionString}").getTwin("${deviceId}")` +
  `.then(({ responseBody: t }) => console.log(t.deviceId, t.connectionState, JSON.stringify(t.tags)))'`;
