/**
 * Runs in a network namespace of its own, because the guide's snippets say port 8883. Starts a hub, runs the guide's snippets in Python and
 * plays the back end; prints one JSON object with everything both sides saw.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub } from "@hubwire/hub";
import { testCertificates } from "@hubwire/testkit";
import { findPython } from "../../scripts/system-packages.ts";
import { findTelemetry } from "../support/find-telemetry.ts";
import { LineProcess } from "../support/line-process.ts";

const auth = process.env["GUIDE_AUTH"] === "x509" ? "x509" : "key";
const deviceId = "mydevice";
const folder = mkdtempSync(join(tmpdir(), "hubwire-guide-"));
const python = findPython();
if (python === undefined) throw new Error("no Python with paho");

const certificates = await testCertificates();
const authority = await certificates.ca({ cn: "Guide test CA" });
const leaf = await certificates.issue({ cn: deviceId, issuer: authority });

await using hub = await createHub({
  mqttPort: 8883,
  httpsPort: 443,
  logLevel: "error",
  deviceCas: [authority.cert],
});
const created = await hub.createDevice({
  deviceId,
  ...(auth === "x509" ? { authentication: { type: "certificateAuthority" as const } } : {}),
});

const path = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};

const device = new LineProcess(
  python,
  ["-W", "ignore", join(import.meta.dirname, "guide", "device.py")],
  {
    HUB_HOST: "localhost",
    HUB_CA: path("ca.pem", hub.caPem),
    DEVICE_ID: deviceId,
    GUIDE_AUTH: auth,
    ...(created.identity.authentication.type === "sas"
      ? { DEVICE_KEY: created.identity.authentication.primaryKey }
      : {}),
    CERT_FILE: path("device.pem", leaf.cert),
    KEY_FILE: path("device-key.pem", leaf.key),
  },
);

try {
  const connected = await device.line("connected", (line) => line["event"] === "connect");
  const subscribed = await device.line("SUBACK", (line) => line["event"] === "subscribed");

  const body = '{"temperature": 21.5}';
  device.tell({
    do: "publish",
    topic: `devices/${deviceId}/messages/events/key1=value1&key2=value2`,
    body,
    qos: 1,
  });
  await device.line("PUBACK", (line) => line["event"] === "published");
  const stored = await findTelemetry(
    hub.telemetry,
    (event) => event.properties.application["key1"] === "value1",
  );

  await hub.sendToDevice(deviceId, "open the window", {
    properties: { application: { urgency: "high" } },
  });
  const c2d = await device.line("C2D", (line) => String(line["topic"]).includes("/devicebound/"));

  const method = await hub.invokeMethod(deviceId, "reboot", { delay: 5 });

  const isTwinAnswer = (rid: string) => (line: Record<string, unknown>) =>
    String(line["topic"]).startsWith("$iothub/twin/res/") &&
    String(line["topic"]).includes(`$rid=${rid}`);
  device.tell({
    do: "publish",
    topic: "$iothub/twin/PATCH/properties/reported/?$rid=2",
    body: '{"firmware": "1.0"}',
    qos: 0,
  });
  const reported = await device.line("reported answer", isTwinAnswer("2"));
  device.tell({ do: "publish", topic: "$iothub/twin/GET/?$rid=1", body: "", qos: 0 });
  const twin = await device.line("twin answer", isTwinAnswer("1"));

  await hub.twins.patch(
    { deviceId, moduleId: undefined },
    { properties: { desired: { intervalS: 5 } } },
    undefined,
  );
  const desired = await device.line("desired", (line) =>
    String(line["topic"]).startsWith("$iothub/twin/PATCH/properties/desired/"),
  );
  device.tell({ do: "stop" });
  const exitCode = await device.ended();

  // PUBACK completes the C2D message; the disconnect above was after it.
  const waiting = await hub.c2d.count(deviceId);
  process.stdout.write(
    `${JSON.stringify({
      connected,
      subscribed,
      telemetry: {
        body: Buffer.from(stored.body).toString("utf8"),
        properties: stored.properties.application,
        deviceId: stored.deviceId,
        authMethod: JSON.parse(stored.authMethod) as unknown,
      },
      c2d,
      method,
      reported,
      twin,
      desired,
      exitCode,
      waiting,
    })}\n`,
  );
} finally {
  device.kill();
  rmSync(folder, { recursive: true, force: true });
}
