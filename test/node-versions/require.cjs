const assert = require("node:assert/strict");
const test = require("node:test");
const device = require("@hubwire/device");
const certificates = require("@hubwire/device/certificates");
const opentelemetry = require("@hubwire/device/opentelemetry");
const secrets = require("@hubwire/device/secrets");
const testing = require("@hubwire/device/testing");
const log = require("@hubwire/log");
const protocol = require("@hubwire/protocol");
const transport = require("@hubwire/transport");

test("require and import give the same module", async () => {
  const imported = await import("@hubwire/device");
  assert.equal(device.connect, imported.connect);
  assert.equal(device.IotError, protocol.IotError);
});

void (async () => {
  const { checkLibraries } = await import("./checks.mjs");
  const { checkOutbox } = await import("./outbox-checks.mjs");
  const { checkSubpaths } = await import("./subpath-checks.mjs");
  checkLibraries({ device, protocol, transport, log });
  checkOutbox(device);
  checkSubpaths({ device, secrets, certificates, testing, opentelemetry });
})();
