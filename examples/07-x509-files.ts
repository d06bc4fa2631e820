// A certificate in files that is replaced while the device sends: nothing is lost, nothing fails.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import { startHub } from "@hubwire/hub";
import { testCertificates } from "@hubwire/testkit";

// An authority that issues certificates for a few days: yours, in the place of this one.
const authority = await testCertificates();
const folder = mkdtempSync(join(tmpdir(), "certificates-"));
const certFile = join(folder, "camera.pem");
const keyFile = join(folder, "camera-key.pem");

/** As an updater does: written beside, renamed into place. The device waits until both files belong together. */
async function issue(days: number): Promise<void> {
  const { fullChain, key } = await authority.issue({ cn: "camera-1", days });
  writeFileSync(`${keyFile}.new`, key, { mode: 0o600 });
  writeFileSync(`${certFile}.new`, fullChain);
  renameSync(`${keyFile}.new`, keyFile);
  renameSync(`${certFile}.new`, certFile);
}

await issue(2);
await using hub = await startHub({ deviceCas: [authority.root.cert] });
await hub.createDevice({ deviceId: "camera-1", authentication: { type: "certificateAuthority" } });

await using device = await connect({
  credentials: {
    hostName: hub.hostName,
    deviceId: "camera-1",
    certificate: { certFile, keyFile, expiryWarningDays: [3] },
  },
  port: hub.mqttPort,
  ca: hub.caPem,
  onError: (error) => console.log(`warning: ${(error as Error).message}`),
});

let sent = 0;
await device.sendTelemetry({ frame: (sent += 1) });
await issue(30);
while (device.stats().renewals === 0) await device.sendTelemetry({ frame: (sent += 1) });
await device.sendTelemetry({ frame: (sent += 1) });

const { acknowledged, connectFailures, reconnects } = device.stats();
console.log(`changed over: ${acknowledged === sent ? "all" : "not all"} messages acknowledged`);
console.log(`${connectFailures} failures, ${reconnects} reconnects`);

await device.close();
rmSync(folder, { recursive: true });
