/**
 * A device finds its hub over real TLS: a provisioning service assigns it to a running hub, registers it there, and the device
 * connects and sends. What the service may answer instead is tested in virtual time in the device package.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import type { ConnectOptions, ProvisioningOptions } from "@hubwire/device";
import { startHub } from "@hubwire/hub";
import type { Hub } from "@hubwire/hub";
import { ProvisioningService, testCertificates } from "@hubwire/testkit";
import type { Allocate, HubAuthentication, TestCertificates } from "@hubwire/testkit";
import { systemClock } from "@hubwire/transport";
import type { Listener } from "@hubwire/transport";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findTelemetry } from "../support/find-telemetry.ts";
import { RecordingLogger } from "../support/recording-logger.ts";

const randomKey = (): string => randomBytes(64).toString("base64");

let certificates: TestCertificates;
let hub: Hub;
let service: ProvisioningService;
let listener: Listener;
let folder: string;
beforeAll(async () => {
  certificates = await testCertificates();
  hub = await startHub({ logger: new RecordingLogger(), deviceCas: [certificates.root.cert] });
  service = new ProvisioningService({ clock: systemClock() });
  listener = await service.listen(certificates.server);
  folder = mkdtempSync(join(tmpdir(), "hubwire-provisioning-"));
});
afterAll(async () => {
  await listener.close();
  await hub.stop();
  rmSync(folder, { recursive: true });
});

/** Registers the device at the hub, as the service does with a linked one. */
const registerAt =
  (target: Hub, certificate?: "certificateAuthority"): Allocate =>
  async ({ deviceId, authentication, payload }) => {
    await target.createDevice({
      deviceId,
      authentication: certificate === undefined ? stored(authentication) : { type: certificate },
    });
    const assignedHub = `${target.hostName}:${target.mqttPort}`;
    return { assignedHub, ...(payload === undefined ? {} : { payload: { given: payload } }) };
  };

function stored(authentication: HubAuthentication) {
  switch (authentication.type) {
    case "sas": {
      const { primaryKey, secondaryKey } = authentication;
      return { type: "sas" as const, primaryKey, secondaryKey: secondaryKey || randomKey() };
    }
    case "selfSigned": {
      const { sha256Thumbprint: primaryThumbprint } = authentication;
      return { type: "selfSigned" as const, primaryThumbprint, secondaryThumbprint: undefined };
    }
    case "certificateAuthority":
      return authentication;
  }
}

const options = (provisioning: object): ConnectOptions => ({
  provisioning: {
    idScope: service.idScope,
    provisioningHost: "localhost",
    port: listener.port,
    ...provisioning,
  } as ProvisioningOptions,
  ca: [hub.caPem, certificates.root.cert],
});

async function connectAndSend(provisioning: object, at = hub) {
  await using client = await connect(options(provisioning));
  const body = randomBytes(8).toString("hex");
  await client.sendTelemetry(body);
  const event = await findTelemetry(
    at.telemetry,
    (one) => Buffer.from(one.body).toString("utf8") === body,
  );
  return { deviceId: event.deviceId, provisioned: client.provisioned };
}

// The shortest time between two questions.
beforeAll(() => void (service.registrations.retryAfterS = 1));

test("a key of its own", async () => {
  const symmetricKey = randomKey();
  const registrationId = "with-key";
  service.enrol({
    registrationId,
    deviceId: "Pump-7",
    primaryKey: randomKey(),
    secondaryKey: symmetricKey,
    allocate: registerAt(hub),
  });
  const payload = { where: "Köln" };
  const sent = await connectAndSend({ registrationId, symmetricKey, payload });
  expect(sent.deviceId).toBe("Pump-7");
  expect(sent.provisioned).toMatchObject({
    registrationId,
    assignedHub: `localhost:${hub.mqttPort}`,
    payload: { given: payload },
  });
});

test("a key of a group", async () => {
  const groupKey = randomKey();
  service.enrolGroup({ groupId: "racks", primaryKey: groupKey, allocate: registerAt(hub) });
  const sent = await connectAndSend({ registrationId: "RACK-1", groupKey });
  expect(sent.deviceId).toBe("rack-1");
});

test("a certificate that is enrolled by its thumbprint", async () => {
  const { cert, key, sha256Thumbprint } = await certificates.selfSigned({ cn: "self-1" });
  service.enrol({ registrationId: "self-1", sha256Thumbprint, allocate: registerAt(hub) });
  const sent = await connectAndSend({ registrationId: "self-1", certificate: { cert, key } });
  expect(sent.deviceId).toBe("self-1");
});

test("a certificate below the CA of a group, through an intermediate", async () => {
  const line = await certificates.ca({ cn: "Line 3", issuer: certificates.root });
  const { cert, key, chain } = await certificates.issue({ cn: "unit-9", issuer: line });
  service.enrolGroup({ groupId: "line", ca: certificates.root.cert, allocate: registerAt(hub) });
  const certificate = { cert, key, chain };
  const sent = await connectAndSend({ registrationId: "unit-9", certificate });
  expect(sent.deviceId).toBe("unit-9");
});

test("a certificate the service issues is what the hub is shown", async () => {
  const symmetricKey = randomKey();
  const registrationId = "issued-1";
  const { cert, key } = await certificates.issue({ cn: registrationId });
  const der = cert.replaceAll(/-----[^-]+-----|\s/g, "");
  const register = registerAt(hub, "certificateAuthority");
  service.enrol({
    registrationId,
    primaryKey: symmetricKey,
    allocate: async (request) => ({
      ...(await register(request)),
      issuedCertificateChain: [der],
    }),
  });
  const certificateRequest = { csr: "TUlJQ1JF", key };
  const sent = await connectAndSend({ registrationId, symmetricKey, certificateRequest });
  expect(sent.deviceId).toBe(registrationId);
});

test.each([
  ["another's certificate", async () => certificates.issue({ cn: "unit-8" })],
  [
    "a certificate of another CA",
    async () => {
      const foreign = await certificates.ca({ cn: "Foreign" });
      return certificates.issue({ cn: "unit-9", issuer: foreign });
    },
  ],
  [
    "a certificate that has ended",
    async () => {
      const notBefore = new Date(Date.now() - 10 * 86_400_000);
      return certificates.issue({ cn: "unit-9", notBefore, days: 1 });
    },
  ],
])("%s is refused, and nothing is connected", async (_name, make) => {
  const { cert, key } = await make();
  const refused = connectAndSend({ registrationId: "unit-9", certificate: { cert, key } });
  await expect(refused).rejects.toMatchObject({
    code: expect.stringMatching(/^provisioning\.unauthorized$|^device\.certificate_expired$/),
  });
});

test("a key that is not the enrolment's is refused", async () => {
  const refused = connectAndSend({ registrationId: "with-key", symmetricKey: randomKey() });
  await expect(refused).rejects.toMatchObject({ code: "provisioning.unauthorized" });
});

test("a service whose certificate is not trusted is not talked to", async () => {
  const before = service.usernames.length;
  const { provisioning } = options({ registrationId: "x", symmetricKey: randomKey() });
  const refused = connect({ provisioning: provisioning as ProvisioningOptions, ca: hub.caPem });
  await expect(refused).rejects.toMatchObject({ code: "transport.tls_untrusted" });
  expect(service.usernames).toHaveLength(before);
});

test("from a file on the second start; moved to another hub when the first does not know it any more", async () => {
  await using second = await startHub({ logger: new RecordingLogger() });
  const symmetricKey = randomKey();
  const registrationId = "mover-1";
  let target = hub;
  const allocate: Allocate = (request) => registerAt(target)(request);
  service.enrol({ registrationId, primaryKey: symmetricKey, allocate });
  const path = join(folder, "assignment.json");
  const provisioning = {
    registrationId,
    symmetricKey,
    remember: { path },
    refusalsBeforeReprovision: 1,
  };
  await connectAndSend(provisioning);
  const asked = service.requests.length;
  const again = await connectAndSend(provisioning);
  expect(again.provisioned).toMatchObject({ remembered: true });
  expect(service.requests).toHaveLength(asked);
  expect(readFileSync(path, "utf8")).not.toContain(symmetricKey);

  await hub.identities.delete({ deviceId: registrationId, moduleId: undefined }, "*");
  target = second;
  await using client = await connect({
    ...options(provisioning),
    ca: [hub.caPem, second.caPem, certificates.root.cert],
  });
  await client.sendTelemetry("here I am");
  await findTelemetry(second.telemetry, (one) => one.deviceId === registrationId);
  expect(client.provisioned).toMatchObject({
    assignedHub: `localhost:${second.mqttPort}`,
    substatus: "deviceDataMigrated",
    remembered: false,
  });
});
