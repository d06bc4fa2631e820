/**
 * Runs in a network namespace of its own, so that the command lines are the ones of the docs, with port 8883. Starts a hub and lets
 * `mosquitto_pub` and `mosquitto_sub` be devices; prints one JSON object with everything both sides saw.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createHub, type Logger } from "@hubwire/hub";
import { testCertificates } from "@hubwire/testkit";
import { findTelemetry } from "../support/find-telemetry.ts";
import { LineProcess } from "../support/line-process.ts";
import { runProgram } from "../support/run-program.ts";
import { deviceToken } from "../support/token.ts";

const auth = process.env["MOSQUITTO_AUTH"] === "x509" ? "x509" : "key";
const deviceId = "mydevice";
const folder = mkdtempSync(join(tmpdir(), "hubwire-mosquitto-"));
const path = (name: string, text: string): string => {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};

const certificates = await testCertificates();
const authority = await certificates.ca({ cn: "Device CA" });
const leaf = await certificates.issue({ cn: deviceId, issuer: authority });

const log: { event: string; code: string }[] = [];
const note = (facts: object): void => void log.push(facts as (typeof log)[number]);
const logger: Logger = { debug() {}, info: note, warn: note, error: note };

await using hub = await createHub({
  mqttPort: 8883,
  httpsPort: 443,
  logger,
  deviceCas: [authority.cert],
});
const { identity } = await hub.createDevice({
  deviceId,
  ...(auth === "x509" ? { authentication: { type: "certificateAuthority" as const } } : {}),
});

const base = ["-h", "localhost", "-p", "8883", "--cafile", path("ca.pem", hub.caPem)];
const proof =
  identity.authentication.type === "sas"
    ? ["-P", await deviceToken("localhost", deviceId, identity.authentication.primaryKey)]
    : ["--cert", path("cert.pem", leaf.cert), "--key", path("key.pem", leaf.key)];
const device = [...base, "-i", deviceId, "-u", `localhost/${deviceId}/?api-version=2021-04-12`];
const events = `devices/${deviceId}/messages/events/`;
const words = (line: string): string[] => line.split(" ");
const devicebound = words(`-q 1 -t devices/${deviceId}/messages/devicebound/#`);

async function publish(qos: 0 | 1, name: string) {
  const bag = `%24.mid=${name}&%24.ct=application%2Fjson&note=a%26b%20%C3%BC`;
  const body = `{"qos":${qos}}`;
  const ran = await runProgram("mosquitto_pub", [
    ...device,
    ...proof,
    ...words(`-q ${qos} -t ${events + bag} -m ${body}`),
  ]);
  const stored = await findTelemetry(
    hub.telemetry,
    ({ properties }) => properties.system.messageId === name,
  );
  return {
    code: ran.code,
    stderr: ran.stderr,
    body: Buffer.from(stored.body).toString("utf8"),
    system: stored.properties.system,
    application: stored.properties.application,
    authMethod: (JSON.parse(stored.authMethod) as { type: string }).type,
  };
}

/** One message that waited for the device, one that came while it was connected. */
async function c2d() {
  const session = [...device, ...proof, "-c", ...devicebound];
  const subscribed = await runProgram("mosquitto_sub", [...session, "-E"]);
  await hub.sendToDevice(deviceId, "open the window", {
    properties: { application: { urgency: "high" } },
  });
  const queued = await hub.c2d.count(deviceId);
  const receiver = new LineProcess(
    "mosquitto_sub",
    [...session, "-C", "2", "-F", '{"topic":"%t","qos":%q,"body":"%p"}'],
    {},
  );
  try {
    const waited = await receiver.line("the message that waited", ({ body }) => body !== undefined);
    await hub.sendToDevice(deviceId, "close it");
    const live = await receiver.line("the second message", ({ body }) => body === "close it");
    const code = await receiver.ended();
    return { subscribed, queued, waited, live, code, left: await hub.c2d.count(deviceId) };
  } finally {
    receiver.kill();
  }
}

/** A device that is killed leaves its last word. */
async function will() {
  const before = log.length;
  const living = spawn(
    "mosquitto_sub",
    [
      ...device,
      ...proof,
      ...devicebound,
      ...words(`--will-topic ${events}reason=gone --will-payload goodbye --will-qos 1`),
    ],
    { stdio: "ignore" },
  );
  while (!log.slice(before).some(({ event }) => event === "connected")) await sleep(5);
  living.kill("SIGKILL");
  const stored = await findTelemetry(
    hub.telemetry,
    ({ properties }) => properties.application["reason"] === "gone",
  );
  return {
    body: Buffer.from(stored.body).toString("utf8"),
    application: stored.properties.application,
  };
}

async function refused() {
  const before = log.length;
  const wrong =
    auth === "key"
      ? ["-P", await deviceToken("localhost", deviceId, Buffer.alloc(32, 7).toString("base64"))]
      : [];
  const ran = await runProgram("mosquitto_pub", [
    ...device,
    ...wrong,
    ...words(`-q 1 -t ${events} -m never-stored`),
  ]);
  const lines = log.slice(before).map(({ event, code }) => ({ event, code }));
  return { code: ran.code, stderr: ran.stderr, lines };
}

try {
  const seen = {
    telemetry: [await publish(0, "first"), await publish(1, "second")],
    c2d: await c2d(),
    will: await will(),
    refused: await refused(),
  };
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
