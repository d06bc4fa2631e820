/**
 * The provisioning service of the tests serves somebody else's client too: Microsoft's own registers with it over real TLS, by
 * each proof. Where it does, what our client says to the same service is what the real one understands.
 */
import { createHmac, randomBytes } from "node:crypto";
import { ProvisioningService, testCertificates } from "@hubwire/testkit";
import type { Allocate, TestCertificates } from "@hubwire/testkit";
import { systemClock } from "@hubwire/transport";
import type { Listener } from "@hubwire/transport";
import { ProvisioningDeviceClient } from "azure-iot-provisioning-device";
import { Mqtt } from "azure-iot-provisioning-device-mqtt";
import { SymmetricKeySecurityClient } from "azure-iot-security-symmetric-key";
import { afterAll, beforeAll, expect, test } from "vitest";

const allocate: Allocate = () => ({ assignedHub: "hub.example.net", payload: { room: 7 } });
let certificates: TestCertificates;
let service: ProvisioningService;
let listener: Listener;
beforeAll(async () => {
  certificates = await testCertificates();
  service = new ProvisioningService({ clock: systemClock() });
  // The shortest time between two questions.
  service.registrations.retryAfterS = 1;
  listener = await service.listen(certificates.server);
});
afterAll(() => listener.close());

type Security = Parameters<typeof ProvisioningDeviceClient.create>[3];

async function register(security: Security, payload?: object) {
  const transport = new Mqtt();
  // Its own options have no place for a CA.
  const { _mqttBase: base } = transport as unknown as {
    _mqttBase: { setOptions(options: { ca: string }): void };
  };
  base.setOptions({ ca: certificates.root.cert });
  const host = `localhost:${listener.port}`;
  const client = ProvisioningDeviceClient.create(host, service.idScope, transport, security);
  if (payload !== undefined) client.setProvisioningPayload(payload);
  return client.register() as Promise<Record<string, unknown>>;
}

test("a key of its own, with a payload each way", async () => {
  const primaryKey = randomBytes(64).toString("base64");
  let given: unknown;
  service.enrol({
    registrationId: "sdk-key",
    deviceId: "Pump-8",
    primaryKey,
    allocate: (request) => {
      given = request.payload;
      return allocate(request);
    },
  });
  const security = new SymmetricKeySecurityClient("sdk-key", primaryKey);
  const result = await register(security, { where: "Köln" });
  expect(result).toMatchObject({
    status: "assigned",
    assignedHub: "hub.example.net",
    deviceId: "Pump-8",
    payload: { room: 7 },
  });
  expect(given).toEqual({ where: "Köln" });
});

test("a key derived from a group's", async () => {
  const groupKey = randomBytes(64);
  service.enrolGroup({ groupId: "sdk", primaryKey: groupKey.toString("base64"), allocate });
  const key = createHmac("sha256", groupKey).update("sdk-member").digest("base64");
  const result = await register(new SymmetricKeySecurityClient("sdk-member", key));
  expect(result).toMatchObject({ status: "assigned", deviceId: "sdk-member" });
});

test("a certificate", async () => {
  const { cert, key, sha256Thumbprint } = await certificates.selfSigned({ cn: "sdk-x509" });
  service.enrol({ registrationId: "sdk-x509", sha256Thumbprint, allocate });
  const result = await register({
    getRegistrationId: () => "sdk-x509",
    getCertificate: (callback) => callback(undefined, { cert, key }),
  });
  expect(result).toMatchObject({ status: "assigned", deviceId: "sdk-x509" });
});

test("a wrong key is refused with what its client takes for not authorized", async () => {
  service.enrol({ registrationId: "sdk-wrong", primaryKey: "a2V5IG9mIHNpeHRlZW4=", allocate });
  const wrong = new SymmetricKeySecurityClient("sdk-wrong", randomBytes(64).toString("base64"));
  await expect(register(wrong)).rejects.toMatchObject({ name: "UnauthorizedError" });
});
