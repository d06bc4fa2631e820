import { ok } from "node:assert";
import provisioning from "azure-iot-provisioning-device";
import provisioningMqtt from "azure-iot-provisioning-device-mqtt";
import security from "azure-iot-security-symmetric-key";
import { Checks, given, refusal, report } from "../checks.ts";
import { surfaces } from "../operations.ts";
import { equal } from "./equal.ts";

const { ProvisioningDeviceClient } = provisioning;
const { SymmetricKeySecurityClient } = security;
const { idScope, key, groupKey } = given().provisioning;
const own = given().identities["registration-own"];

async function check(transport: string): Promise<Checks> {
  const checks = new Checks("provisioning", transport);
  const Transport = transport === "Mqtt" ? provisioningMqtt.Mqtt : provisioningMqtt.MqttWs;
  const create = (proof: Parameters<typeof ProvisioningDeviceClient.create>[3]) =>
    ProvisioningDeviceClient.create("localhost", idScope, new Transport(), proof);
  const byKey = (id: string, value: string) => create(new SymmetricKeySecurityClient(id, value));
  const byCertificate = () =>
    create({
      getRegistrationId: () => "registration-own",
      getCertificate: (done: (error: undefined, certificate: object) => void) =>
        done(undefined, { cert: own?.cert, key: own?.key }),
    } as never);

  await checks.does("ProvisioningDeviceClient.create", () => {
    equal(byKey("a", key).constructor.name, "SymmetricKeyRegistration");
    equal(byCertificate().constructor.name, "X509Registration");
  });
  const assigned = (deviceId: string, asked: unknown): object => ({
    status: "assigned",
    assignedHub: "hub.example.net",
    deviceId,
    payload: { asked },
  });
  const shown = (result: unknown): object => {
    const { status, assignedHub, deviceId, payload } = result as Record<string, unknown>;
    return { status, assignedHub, deviceId, payload };
  };
  await checks.does("SymmetricKeyRegistration.setProvisioningPayload", async () => {
    const client = byKey("registration-key", key);
    client.setProvisioningPayload({ where: "Köln" });
    equal(shown(await client.register()), assigned("Pump-8", { where: "K\u00f6ln" }));
  });
  await checks.does("SymmetricKeyRegistration.register", async () => {
    equal(shown(await byKey("registration-key", key).register()), assigned("Pump-8", null));
  });
  await checks.does("SymmetricKeyRegistration.register: a key derived from a group's", async () => {
    const result = await byKey("registration-member", groupKey).register();
    equal(shown(result), assigned("registration-member", null));
  });
  await checks.does("SymmetricKeyRegistration.register: a wrong key", async () => {
    const error = await refusal(() => byKey("registration-key", groupKey).register());
    equal(error.name, "UnauthorizedError");
  });
  await checks.does("SymmetricKeyRegistration.cancel", async () => {
    const client = byKey("registration-key", key);
    const ended = refusal(() => client.register());
    await client.cancel();
    equal((await ended).name, "OperationCancelledError");
  });
  await checks.does("X509Registration.setProvisioningPayload", async () => {
    const client = byCertificate();
    client.setProvisioningPayload({ where: "here" });
    equal(shown(await client.register()), assigned("registration-own", { where: "here" }));
  });
  await checks.does("X509Registration.register", async () => {
    const result = await byCertificate().register();
    ok(result);
    equal(shown(result), assigned("registration-own", null));
  });
  await checks.does("X509Registration.cancel", async () => {
    const client = byCertificate();
    const ended = refusal(() => client.register());
    await client.cancel();
    equal((await ended).name, "OperationCancelledError");
  });
  return checks;
}

report(await Promise.all(surfaces.provisioning.transports.map(check)));
