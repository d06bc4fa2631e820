import { randomBytes } from "node:crypto";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startHub, type Hub, type HubConfig } from "@hubwire/hub";
import { IotError } from "@hubwire/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runInNamespace } from "../support/namespace.ts";
import { RecordingLogger } from "../support/recording-logger.ts";
import { Witness } from "../support/witness.ts";
import { startHubProcess } from "./hub-process.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hubwire-start-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Why a hub does not start. */
async function refusal(config: HubConfig): Promise<IotError> {
  const logger = new RecordingLogger();
  const started: Hub | IotError = await startHub({ logger, ...config }).catch((error: unknown) => {
    if (error instanceof IotError) return error;
    throw error;
  });
  if (started instanceof IotError) return started;
  await started.stop();
  throw new Error("it started");
}

test("a hub that is refused a directory or a port leaves the hub that has them alone, and a kill frees both", async () => {
  const dataDirectory = join(folder, "shared");
  const first = await startHubProcess({
    config: { dataDirectory },
    devices: ["witness"],
    logFile: join(folder, "first.log"),
  });
  const witness = await Witness.start({
    connectionString: first.connectionStrings["witness"]!,
    ca: first.caPem,
  });
  await witness.beat();
  const descriptors = (): number => readdirSync("/proc/self/fd").length;
  const before = descriptors();
  expect(await refusal({ dataDirectory })).toMatchObject({
    code: "hub.data_locked",
    message: `Another hub is using ${dataDirectory}`,
  });
  for (const port of [first.mqttPort, first.httpsPort]) {
    for (const config of [{ mqttPort: port }, { httpsPort: port }]) {
      expect(await refusal(config)).toMatchObject({
        code: "hub.port_in_use",
        message: expect.stringContaining(`127.0.0.1:${port}`) as string,
      });
    }
  }
  expect(descriptors()).toBe(before);
  await witness.beat();
  const { acknowledged, states } = await witness.stop();
  expect(states).toEqual(["connecting", "connected"]);

  await first.kill();
  const port = first.mqttPort;
  await using second = await startHub({ dataDirectory, mqttPort: port, logLevel: "silent" });
  expect(second.mqttPort).toBe(port);
  const { nextSequenceNumber } = nextOf(second);
  expect(nextSequenceNumber).toBe(acknowledged);
});

/** The one partition that has anything. */
function nextOf(hub: Hub) {
  const all = Array.from({ length: hub.telemetry.partitionCount }, (_, p) =>
    hub.telemetry.partition(p),
  );
  return all.toSorted((a, b) => b.nextSequenceNumber - a.nextSequenceNumber)[0]!;
}

/** Data of a hub that was killed while a device was sending, and how much it had acknowledged. */
async function killedHub(): Promise<{ dataDirectory: string; acknowledged: number }> {
  const dataDirectory = join(folder, "killed");
  const hub = await startHubProcess({
    config: { dataDirectory },
    devices: ["witness"],
    logFile: join(folder, "killed.log"),
  });
  const witness = await Witness.start({
    connectionString: hub.connectionStrings["witness"]!,
    ca: hub.caPem,
    pauseMs: 0,
  });
  await witness.beat(50);
  const { acknowledged } = await witness.stop();
  await hub.kill();
  return { dataDirectory, acknowledged };
}

const lastSegment = (directory: string): { path: string; bytes: Buffer; end: number } => {
  const telemetry = join(directory, "telemetry");
  const segments = readdirSync(telemetry)
    .toSorted()
    .map((name) => join(telemetry, name))
    .map((path) => ({ path, bytes: readFileSync(path) }));
  const used = segments.filter(({ bytes }) => bytes.some((byte) => byte !== 0)).at(-1)!;
  return { ...used, end: used.bytes.findLastIndex((byte) => byte !== 0) + 1 };
};

test("whatever stands behind the last commit when a hub starts, nothing acknowledged is lost or added", async () => {
  const { dataDirectory, acknowledged } = await killedHub();
  const tails: [name: string, spoil: (bytes: Buffer, end: number) => void, dropped: boolean][] = [
    ["nothing", () => {}, false],
    ["noise", (bytes, end) => void randomBytes(5_000).copy(bytes, end), true],
    [
      "the beginning of a frame",
      (bytes, end) => void bytes.write("HBWL\u0001\u0002", end, "latin1"),
      true,
    ],
    ["an older frame once more", (bytes, end) => void bytes.copy(bytes, end, 200, end), true],
    ["a single byte far behind", (bytes) => void bytes.writeUInt8(1, bytes.length - 1), true],
  ];
  for (const [name, spoil, dropped] of tails) {
    const copy = join(folder, `tail of ${name}`);
    cpSync(dataDirectory, copy, { recursive: true });
    const { path, bytes, end } = lastSegment(copy);
    spoil(bytes, end);
    writeFileSync(path, bytes);
    const logger = new RecordingLogger();
    const hub = await startHub({ dataDirectory: copy, logger });
    expect(nextOf(hub).nextSequenceNumber, name).toBe(acknowledged);
    expect(logger.of("log_repaired").length, name).toBe(dropped ? 1 : 0);
    const witness = await Witness.start({
      connectionString: await hub.deviceConnectionString("witness"),
      ca: hub.caPem,
    });
    await witness.beat();
    const again = await witness.stop();
    expect(nextOf(hub).nextSequenceNumber, name).toBe(acknowledged + again.acknowledged);
    await hub.stop();
    rmSync(copy, { recursive: true });
  }
});

test("telemetry in a newer format is refused by name and stays untouched", async () => {
  const dataDirectory = join(folder, "newer");
  await (await startHub({ dataDirectory, logLevel: "silent" })).stop();
  const { path, bytes } = lastSegment(dataDirectory);
  bytes.writeUInt8(99, 4);
  writeFileSync(path, bytes);
  const error = await refusal({ dataDirectory });
  expect(error).toMatchObject({ code: "hub.data_newer_format" });
  expect(error.message).toContain("format 99");
  expect(readFileSync(path).equals(bytes)).toBe(true);
  // Refused is not locked: it is free for the newer version.
  expect(await refusal({ dataDirectory })).toMatchObject({ code: "hub.data_newer_format" });
});

type Unprivileged = {
  refused: { port: string; code: string; message: string; remedy: string }[];
  httpsPorts: number[];
  warnings: string[];
  states: string[];
};

test("a port that is not permitted is named; HTTPS goes to 8443, or to a free one, and says what that costs", async () => {
  const result = await runInNamespace("test/hostile/unprivileged.scenario.ts", {
    unprivileged: true,
    timeoutMs: 25_000,
  });
  expect(result.code, `${result.stderr}\n${result.stdout}`).toBe(0);
  const { refused, httpsPorts, warnings, states } = JSON.parse(result.stdout) as Unprivileged;
  expect(refused.map(({ port, code }) => ({ port, code }))).toEqual([
    { port: "mqttPort", code: "hub.port_not_permitted" },
    { port: "httpsPort", code: "hub.port_not_permitted" },
  ]);
  for (const { message, remedy } of refused) {
    expect(message).toMatch(/cannot listen on 127\.0\.0\.1:(883|443)/);
    expect(remedy).toContain("above 1023");
  }
  expect(httpsPorts[0]).toBe(8443);
  expect(httpsPorts[1]).toBeGreaterThan(1023);
  expect(warnings).toEqual(["https_port", "https_port"]);
  expect(states).toEqual(["connecting", "connected"]);
});
