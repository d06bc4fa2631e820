// A device that knows no hub: the provisioning service names one, the next start remembers it. In the place of Azure's service
// there is the one of our tests; for Azure leave out `provisioningHost`, `port` and `ca`.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type ConnectOptions } from "@hubwire/device";
import { startHub } from "@hubwire/hub";
import { ProvisioningService, testCertificates } from "@hubwire/testkit";
import { systemClock } from "@hubwire/transport";

// The service, with one enrolment: who proves to be "pump-3" is registered at the hub and sent there.
await using hub = await startHub();
const certificates = await testCertificates();
const service = new ProvisioningService({ clock: systemClock() });
const listener = await service.listen(certificates.server);
const symmetricKey = randomBytes(64).toString("base64");
service.enrol({
  registrationId: "pump-3",
  primaryKey: symmetricKey,
  allocate: async ({ deviceId, payload }) => {
    const secondaryKey = randomBytes(32).toString("base64");
    const authentication = { type: "sas", primaryKey: symmetricKey, secondaryKey } as const;
    await hub.createDevice({ deviceId, authentication });
    return {
      assignedHub: `${hub.hostName}:${hub.mqttPort}`,
      payload: { welcome: payload ?? null },
    };
  },
});

// The device.
const folder = mkdtempSync(join(tmpdir(), "provisioning-"));
const options: ConnectOptions = {
  provisioning: {
    idScope: service.idScope,
    registrationId: "pump-3",
    symmetricKey,
    payload: { model: "P200" },
    remember: { path: join(folder, "assignment.json") },
    provisioningHost: "localhost",
    port: listener.port,
  },
  ca: [hub.caPem, certificates.root.cert],
};

for (const start of ["first", "second"]) {
  await using device = await connect(options);
  await device.sendTelemetry({ bar: 2.5 });
  const { deviceId, payload, remembered } = device.provisioned!;
  console.log(
    `${start} start: ${deviceId}, remembered ${remembered}, payload ${JSON.stringify(payload)}`,
  );
}
const registrations = service.requests.filter(({ type }) => type === "register").length;
console.log(`the service was asked ${registrations} time`);

await listener.close();
rmSync(folder, { recursive: true });
