import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runInNamespace } from "./support/namespace.ts";

const flows = ["connect", "telemetry", "C2D", "method", "twin read", "reported", "desired"];
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hubwire-start-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const start = (args: readonly string[], env: Record<string, string> = {}) =>
  runInNamespace("scripts/start.ts", { args, env, timeoutMs: 60_000 });

const eventsOf = (stdout: string) =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test("npm start -- --once shows seven flows and exits 0, and keeps the data for the next time", async () => {
  const sequences: string[] = [];
  for (let round = 0; round < 2; round += 1) {
    const { code, stdout, stderr } = await start(["--once", "--json", "--data", folder]);
    expect(code, stderr).toBe(0);
    const events = eventsOf(stdout);
    expect(events.filter(({ event }) => event === "flow").map(({ flow }) => flow)).toEqual(flows);
    expect(events.at(-1)).toEqual({ event: "summary", ok: true, flows: 7, of: 7 });
    sequences.push(String(events.find(({ flow }) => flow === "telemetry")?.["detail"]));
  }
  expect(sequences[0]).toContain("as sequence 0");
  expect(sequences[1]).toContain("as sequence 1");
});

test("for people it is one line a flow", async () => {
  const { code, stdout } = await start(["--once", "--data", folder]);
  expect(code).toBe(0);
  for (const flow of flows) expect(stdout).toContain(`✓ ${flow}`);
  expect(stdout).toContain("7 of 7 flows work.");
  expect(stdout).not.toContain(readFileSync(join(folder, "hub.json"), "utf8").slice(20, 200));
});

test("with IOTHUB_DEVICE_CONNECTION_STRING the device goes there, and a failure says why", async () => {
  const { code, stdout } = await start(["--once", "--json"], {
    IOTHUB_DEVICE_CONNECTION_STRING:
      "HostName=localhost:1;DeviceId=somewhere-else;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==",
  });
  expect(code).toBe(1);
  const events = eventsOf(stdout);
  expect(events).toEqual([
    {
      event: "flow",
      flow: "connect",
      ok: false,
      error: {
        code: "device.connect_timeout",
        message: expect.stringContaining("localhost") as string,
        remedy: expect.any(String) as string,
      },
    },
  ]);
});

test.each([
  ["an unknown option", ["--onec"], "--onec"],
  ["help", ["--help"], "usage: npm start"],
])("%s gets the usage", async (_name, args, text) => {
  const { code, stdout, stderr } = await start(args);
  expect(code).toBe(args[0] === "--help" ? 0 : 2);
  expect(stdout + stderr).toContain(text);
  expect(stdout + stderr).toContain("--once");
});

test("the lines with Microsoft's own SDKs that npm start prints work when pasted", async () => {
  const { code, stdout, stderr } = await runInNamespace("test/start-paste.scenario.ts", {
    timeoutMs: 90_000,
  });
  expect(code, stderr).toBe(0);
  const { official, service } = JSON.parse(stdout) as Record<
    "official" | "service",
    { code: number; stdout: string; stderr: string }
  >;
  expect(official).toMatchObject({ code: 0, stdout: "sent\n" });
  expect(service).toMatchObject({ code: 0 });
  expect(service.stdout).toMatch(/^my-device Disconnected /u);
});
