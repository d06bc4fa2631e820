const assert = require("node:assert/strict");
const test = require("node:test");
const device = require("@hubwire/device");
const log = require("@hubwire/log");
const protocol = require("@hubwire/protocol");
const transport = require("@hubwire/transport");

test("require and import give the same module", async () => {
  const imported = await import("@hubwire/device");
  assert.equal(device.connect, imported.connect);
  assert.equal(device.IotError, protocol.IotError);
});

void import("./checks.mjs").then(({ checkLibraries }) => {
  checkLibraries({ device, protocol, transport, log });
});
