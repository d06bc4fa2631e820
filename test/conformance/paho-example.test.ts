import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startHub } from "@hubwire/hub";
import { expect, test } from "vitest";
import { findPython } from "../../scripts/system-packages.ts";
import { readAllTelemetry } from "../support/find-telemetry.ts";
import { runProgram } from "../support/run-program.ts";

const example = join(import.meta.dirname, "..", "..", "examples", "paho", "device.py");

test("the paho example talks to a hub with the connection string the hub prints", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-paho-"));
  try {
    await using hub = await startHub();
    const { connectionString } = await hub.createDevice({ deviceId: "thermostat-1" });
    const ca = join(folder, "ca.pem");
    writeFileSync(ca, hub.caPem);
    const result = await runProgram(findPython()!, [
      "-W",
      "ignore",
      example,
      connectionString,
      ca,
      "--count",
      "2",
    ]);
    expect(result.code, result.stderr).toBe(0);
    expect(result.stdout.trim().split("\n")).toEqual([
      "connected",
      'sent {"temperature": 20}',
      'sent {"temperature": 21}',
    ]);
    const events = await readAllTelemetry(hub.telemetry);
    expect(events.map(({ body }) => Buffer.from(body).toString("utf8"))).toEqual([
      '{"temperature": 20}',
      '{"temperature": 21}',
    ]);
    expect(events[0]).toMatchObject({
      deviceId: "thermostat-1",
      properties: { system: { contentType: "application/json", contentEncoding: "utf-8" } },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
