/**
 * Runs in a network namespace of its own, on the standard ports: a hub (or the provisioning service of the tests), and in a process
 * beside it one program of `clients/`, which has only Microsoft's packages, connection strings and a CA file.
 */
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub } from "@hubwire/hub";
import { ProvisioningService, testCertificates } from "@hubwire/testkit";
import type { Allocate } from "@hubwire/testkit";
import { listenTls, systemClock } from "@hubwire/transport";
import { startWebSocketBridge } from "../../../packages/websocket/test/bridge.ts";
import type { Given, GivenIdentity } from "./checks.ts";

const [program = "", transport = ""] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "hubwire-official-"));
const certificates = await testCertificates();
const root = await certificates.ca({ cn: "Official root" });
const middle = await certificates.ca({ cn: "Official intermediate", issuer: root });

async function ownCertificate(cn: string): Promise<GivenIdentity> {
  const { cert, key, sha1Thumbprint } = await certificates.selfSigned({ cn });
  return { cert, key, thumbprint: sha1Thumbprint };
}
async function caCertificate(cn: string): Promise<GivenIdentity> {
  const { fullChain, key, sha1Thumbprint } = await certificates.issue({ cn, issuer: middle });
  return { cert: fullChain, key, thumbprint: sha1Thumbprint };
}

const identities: Given["identities"] = {
  stranger: await ownCertificate("stranger"),
  "registration-own": await ownCertificate("registration-own"),
};
for (const over of ["Mqtt", "MqttWs"]) {
  identities[`${over}-own`] = await ownCertificate(`${over}-own`);
  identities[`${over}-ca`] = await caCertificate(`${over}-ca`);
}

async function run(ca: string, more: Omit<Given, "identities">): Promise<number> {
  const caFile = join(folder, "ca.pem");
  writeFileSync(caFile, ca);
  const file = join(import.meta.dirname, "clients", `${program}.ts`);
  const child = spawn(process.execPath, [...process.execArgv, "--no-warnings", file, transport], {
    stdio: ["ignore", "inherit", "inherit"],
    env: {
      ...process.env,
      NODE_EXTRA_CA_CERTS: caFile,
      OFFICIAL_GIVEN: JSON.stringify({ ...more, identities } satisfies Given),
    },
  });
  const [code] = (await once(child, "close")) as [number | null];
  return code ?? 1;
}

async function besideHub(): Promise<number> {
  await using hub = await createHub({
    mqttPort: 8883,
    httpsPort: 443,
    amqpPort: 5671,
    amqpPlainPort: 5672,
    logLevel: "error",
    deviceCas: [root.cert],
  });
  await hub.consumerGroups.create("analytics");
  const policies = ["iothubowner", "service", "registryRead", "registryReadWrite", "device"];
  return await run(hub.caPem, {
    service: Object.fromEntries(policies.map((name) => [name, hub.connectionString(name)])),
    events: hub.eventHubsConnectionString(),
    eventsPlain: hub.eventHubsConnectionString({ plain: true }),
    provisioning: { idScope: "", groupKey: "", key: "" },
  });
}

async function besideProvisioningService(): Promise<number> {
  const service = new ProvisioningService({ clock: systemClock() });
  service.registrations.retryAfterS = 1;
  const [primaryKey, groupKey] = [randomBytes(64), randomBytes(64)];
  const allocate: Allocate = (request) => ({
    assignedHub: "hub.example.net",
    payload: { asked: request.payload ?? null },
  });
  const key = primaryKey.toString("base64");
  service.enrol({
    registrationId: "registration-key",
    deviceId: "Pump-8",
    primaryKey: key,
    allocate,
  });
  service.enrolGroup({ groupId: "group", primaryKey: groupKey.toString("base64"), allocate });
  const { cert } = identities["registration-own"] ?? { cert: "" };
  const { X509Certificate } = await import("node:crypto");
  const sha256Thumbprint = new X509Certificate(cert).fingerprint256.replaceAll(":", "");
  service.enrol({ registrationId: "registration-own", sha256Thumbprint, allocate });
  const server = { key: certificates.server.key, cert: certificates.server.fullChain };
  const listener = await listenTls({
    host: "127.0.0.1",
    port: 8883,
    ...server,
    onStream: (stream) => service.serve(stream),
  });
  const hub = { port: 8883, ca: certificates.root.cert };
  const bridge = await startWebSocketBridge({ port: 443, ...server, hub });
  const derived = createHmac("sha256", groupKey).update("registration-member").digest("base64");
  try {
    return await run(certificates.root.cert, {
      service: {},
      events: "",
      eventsPlain: "",
      provisioning: { idScope: service.idScope, groupKey: derived, key },
    });
  } finally {
    await bridge.close();
    await listener.close();
  }
}

try {
  process.exitCode = await (program === "provisioning" ? besideProvisioningService() : besideHub());
} finally {
  rmSync(folder, { recursive: true, force: true });
}
