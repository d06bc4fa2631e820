// What the subpaths of @hubwire/device do on every Node they promise to run on, with nothing else installed. Plain JavaScript
// over the built packages.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";

/** @param {{ device: any, secrets: any, certificates: any, testing: any, opentelemetry: any }} entries as this program got them */
export function checkSubpaths({ device, secrets, certificates, testing, opentelemetry }) {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-subpaths-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));

  test("secrets: what was sealed opens with its passphrase only", async () => {
    const file = join(folder, "secret.sealed");
    await secrets.sealFile(file, "the secret", { passphrase: "correct horse" });
    assert.equal(await secrets.openSealedFile(file, "correct horse"), "the secret");
    await assert.rejects(secrets.openSealedFile(file, "another horse"), {
      code: "secret.wrong_passphrase",
    });
    process.env.HUBWIRE_TEST_SECRET = "from outside";
    const source = secrets.environmentVariable("HUBWIRE_TEST_SECRET");
    assert.equal(await secrets.readSecret(source), "from outside");
  });

  test("certificates: a key and a request for it are made", async () => {
    const { key, csr } = await certificates.makeCertificateRequest("d");
    assert.match(key, /BEGIN PRIVATE KEY/u);
    assert.match(certificates.requestPem(csr), /BEGIN CERTIFICATE REQUEST/u);
    const renewing = certificates.renewingCertificate({ directory: join(folder, "identity") });
    assert.equal(typeof renewing.next, "function");
  });

  test("testing and opentelemetry: a device against the hub in memory is counted", async () => {
    // As much of OpenTelemetry's API as the instrumentation uses, which takes any object of that shape.
    const readings = [];
    const histogram = { record() {} };
    const meter = {
      createHistogram: () => histogram,
      createObservableCounter: (name) => name,
      createObservableUpDownCounter: (name) => name,
      addBatchObservableCallback: (read) => readings.push(read),
      removeBatchObservableCallback: () => readings.pop(),
    };
    const instrumentation = await opentelemetry.instrument({ meter });
    const hub = testing.fakeHub();
    const client = await device.connect(hub.connectOptions("d"));
    await client.sendTelemetry({ temperature: 21.5 });
    assert.deepEqual(hub.telemetry[0].json(), { temperature: 21.5 });
    const values = new Map();
    for (const read of readings) read({ observe: (name, value) => values.set(name, value) });
    assert.equal(values.get("hubwire.device.messages.sent"), 1);
    hub.cut();
    await hub.clock.until(() => client.status().state === "connected" && client.stats().reconnects);
    await client.close();
    instrumentation.stop();
    assert.equal(readings.length, 0);
  });
}
