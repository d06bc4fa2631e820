import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { connect } from "@hubwire/device";
import { createHub } from "@hubwire/hub";
import type { Hub, HubConfig, HubFile } from "@hubwire/hub";
import { IotError, parseServiceConnectionString } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { canListen, recordingLogger, takenPort, temporaryDirectory } from "./world.ts";

const everything = { recordsMax: 10_000, bytesMax: 1e9 };

const start = (dataDirectory: string, config: HubConfig = {}): Promise<Hub> =>
  createHub({ dataDirectory, mqttPort: 0, httpsPort: 0, logLevel: "error", ...config });

async function bodies(hub: Hub): Promise<string[]> {
  const found: string[] = [];
  for (let partition = 0; partition < hub.telemetry.partitionCount; partition++) {
    const events = await hub.telemetry.read(partition, "first", everything);
    found.push(...events.map(({ body }) => new TextDecoder().decode(body)));
  }
  return found;
}

async function refusal(starting: Promise<Hub>): Promise<IotError> {
  const error = await starting.then(
    (hub) => hub.stop().then(() => "it started"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof IotError)) throw error;
  return error;
}

test("everything is there after a restart: devices with their keys, twins, messages, telemetry, the CA", async () => {
  using directory = temporaryDirectory();
  const ref = { deviceId: "d", moduleId: undefined };
  const before = await (async () => {
    await using hub = await start(directory.data);
    const { connectionString } = await hub.createDevice({ deviceId: "d" });
    await using device = await connect({ connectionString, ca: hub.caPem });
    await device.sendTelemetry("first life");
    await device.reportProperties({ life: 1 });
    await hub.sendToDevice("d", "for later");
    await hub.createDevice({ deviceId: "other" });
    return { owner: hub.connectionString(), caPem: hub.caPem, twin: await hub.twins.read(ref) };
  })();
  await using hub = await start(directory.data);
  expect(parseServiceConnectionString(hub.connectionString()).sharedAccessKey).toBe(
    parseServiceConnectionString(before.owner).sharedAccessKey,
  );
  expect(hub.caPem).toBe(before.caPem);
  expect(await hub.c2d.count("d")).toBe(1);
  expect(await bodies(hub)).toEqual(["first life"]);
  expect((await hub.twins.read(ref)).twin["properties"]).toMatchObject({ reported: { life: 1 } });
  const connectionString = await hub.deviceConnectionString("d");
  await using device = await connect({ connectionString, ca: hub.caPem });
  await device.sendTelemetry("second life");
  expect((await bodies(hub)).toSorted()).toEqual(["first life", "second life"]);
  for await (const message of device.messages()) {
    expect(message.text()).toBe("for later");
    await message.complete();
    break;
  }
});

test("the directory holds what the docs say, and secrets only in files of mode 0600", async () => {
  using directory = temporaryDirectory();
  await using hub = await start(directory.data);
  await hub.createDevice({ deviceId: "d" });
  const modes: Record<string, number> = {};
  for (const name of await readdir(directory.data)) {
    modes[name] = (await stat(join(directory.data, name))).mode & 0o777;
  }
  expect(modes).toEqual({
    "ca-key.pem": 0o600,
    "ca.pem": 0o644,
    "hub.db": 0o600,
    "hub.db-shm": 0o600,
    "hub.db-wal": 0o600,
    "hub.json": 0o600,
    "lock.db": 0o600,
    "server-key.pem": 0o600,
    "server.pem": 0o600,
    telemetry: 0o700,
  });
  expect((await stat(directory.data)).mode & 0o777).toBe(0o700);
  const file = JSON.parse(await readFile(join(directory.data, "hub.json"), "utf8")) as HubFile;
  expect(file).toEqual({
    connectionString: hub.connectionString(),
    eventHubsConnectionString: hub.eventHubsConnectionString(),
    amqpPort: hub.amqpPort,
    hostName: "localhost",
    mqttPort: hub.mqttPort,
    httpsPort: hub.httpsPort,
    caFile: join(directory.data, "ca.pem"),
  });
  expect(await readFile(file.caFile, "utf8")).toBe(hub.caPem);
});

test("a second hub on the same data is refused, and the first goes on", async () => {
  using directory = temporaryDirectory();
  await using hub = await start(directory.data);
  expect(await refusal(start(directory.data))).toMatchObject({
    code: "hub.data_locked",
    remedy: expect.stringContaining("Stop the other hub") as string,
  });
  await hub.createDevice({ deviceId: "d" });
});

test.each([{ port: "mqttPort" }, { port: "httpsPort" }] as const)(
  "a $port that is taken is named, and the failed start leaves nothing open",
  async ({ port }) => {
    using directory = temporaryDirectory();
    await using taken = await takenPort();
    const error = await refusal(start(directory.data, { [port]: taken.port }));
    expect(error).toMatchObject({
      code: "hub.port_in_use",
      message: expect.stringContaining(String(taken.port)) as string,
      remedy: expect.stringContaining("another port") as string,
    });
    await using hub = await start(directory.data);
    await hub.createDevice({ deviceId: "d" });
  },
);

test("an address that is not this machine's is named", async () => {
  using directory = temporaryDirectory();
  const error = await refusal(start(directory.data, { host: "192.0.2.1" }));
  expect(error).toMatchObject({ code: "hub.address_unavailable" });
  await (await start(directory.data)).stop();
});

test("data of a newer version is refused by name and stays untouched", async () => {
  using directory = temporaryDirectory();
  await (await start(directory.data)).stop();
  const path = join(directory.data, "hub.db");
  const database = new DatabaseSync(path);
  database.exec("UPDATE meta SET value = 99 WHERE key = 'format_version'");
  database.close();
  const before = await readFile(path);
  expect(await refusal(start(directory.data))).toMatchObject({
    code: "hub.data_newer_format",
    message: expect.stringContaining("format 99") as string,
  });
  expect((await readFile(path)).equals(before)).toBe(true);
});

test("a database that is none is refused by name", async () => {
  using directory = temporaryDirectory();
  await (await start(directory.data)).stop();
  await writeFile(join(directory.data, "hub.db"), "not a database at all, ".repeat(1000));
  expect(await refusal(start(directory.data))).toMatchObject({
    code: "hub.data_corrupt",
    message: expect.stringContaining("hub.db") as string,
  });
});

test("another number of partitions than the data has is refused, none is taken as it is", async () => {
  using directory = temporaryDirectory();
  await (await start(directory.data, { partitions: 2 })).stop();
  expect(await refusal(start(directory.data, { partitions: 8 }))).toMatchObject({
    code: "argument.invalid",
    message: expect.stringContaining("2 partitions") as string,
  });
  await using hub = await start(directory.data);
  expect(hub.telemetry.partitionCount).toBe(2);
});

test("a torn last batch is repaired with one line that says how much was dropped", async () => {
  using directory = temporaryDirectory();
  {
    await using hub = await start(directory.data);
    const { connectionString } = await hub.createDevice({ deviceId: "d" });
    await using device = await connect({ connectionString, ca: hub.caPem });
    await device.sendTelemetry("kept");
    await device.sendTelemetry("torn");
  }
  const folder = join(directory.data, "telemetry");
  const segment = join(folder, (await readdir(folder)).toSorted()[0]!);
  const bytes = await readFile(segment);
  const file = await open(segment, "r+");
  await file.write("X", bytes.indexOf("torn"));
  await file.close();

  const logger = recordingLogger();
  await using hub = await start(directory.data, { logger });
  const repairs = logger.of("log_repaired");
  expect(repairs).toHaveLength(1);
  expect(repairs[0]).toMatchObject({
    level: "warn",
    message: expect.stringMatching(/\b\d+ bytes/) as string,
  });
  expect(repairs[0]!["droppedBytes"]).toBeGreaterThan(0);
  expect(await bodies(hub)).toEqual(["kept"]);
});

test("a process whose hub has stopped ends by itself", async () => {
  using directory = temporaryDirectory();
  const child = spawn(
    process.execPath,
    [
      "--conditions=@hubwire/source",
      "--disable-warning=ExperimentalWarning",
      "--input-type=module",
      "--eval",
      `const { createHub } = await import(${JSON.stringify(new URL("../../src/index.ts", import.meta.url).href)});
       const hub = await createHub({ dataDirectory: ${JSON.stringify(directory.data)}, mqttPort: 0, httpsPort: 0 });
       await hub.createDevice({ deviceId: "d" });
       await hub.metricsText();
       await hub.stop();`,
    ],
    { stdio: ["ignore", "inherit", "pipe"] },
  );
  const lines: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => lines.push(...chunk.toString().trim().split("\n")));
  const [code] = (await once(child, "exit")) as [number];
  expect(code, lines.join("\n")).toBe(0);
  const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
  expect(events).toEqual(["started", "stopped"]);
});

test("a stopped durable hub frees its ports and its directory", async () => {
  using directory = temporaryDirectory();
  const hub = await start(directory.data);
  await hub.stop();
  expect(await canListen(hub.mqttPort)).toBe(true);
  expect(await canListen(hub.httpsPort)).toBe(true);
  await (await start(directory.data)).stop();
});
