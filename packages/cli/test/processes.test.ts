import { X509Certificate } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub } from "@hubwire/hub";
import { afterEach, beforeEach, expect, test } from "vitest";
import { spawnHubwire, type Child } from "./support/child.ts";
import { errorIn, objectsIn, run } from "./support/run.ts";
import { createWorld } from "./support/world.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "hubwire-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const freePorts = ["--mqtt-port", "--https-port", "--amqp-port", "--amqp-plain-port"].flatMap(
  (option) => [option, "0"],
);
const startHub = (...args: string[]): Child =>
  spawnHubwire("hub", "start", ...freePorts, "--data", join(folder, "data"), ...args);

test.each(["SIGINT", "SIGTERM"] as const)(
  "hub start says how to reach it, serves, and ends cleanly at %s",
  async (signal) => {
    await using hub = startHub("--json");
    const [ready] = objectsIn(`${await hub.printed(/"ready"/u)}\n`);
    const data = join(folder, "data");
    expect(ready).toEqual({
      event: "ready",
      mqtt: expect.stringMatching(/^mqtts:\/\/localhost:\d+$/u) as unknown,
      https: expect.stringMatching(/^https:\/\/localhost:\d+$/u) as unknown,
      amqp: expect.stringMatching(/^amqps:\/\/localhost:\d+$/u) as unknown,
      data,
      caFile: join(data, "ca.pem"),
    });
    expect((await run("device", "create", "d", "--data", data)).code).toBe(0);
    expect((await run("send", "d", "x", "--data", data)).code).toBe(0);
    hub.signal(signal);
    expect(await hub.ended).toBe(0);
    expect(objectsIn(hub.stdout)).toHaveLength(1);
    // The log is on standard error, and with --json that is JSON too.
    const events = objectsIn(hub.stderr).map((line) => line["event"]);
    expect(events).toEqual(["started", "connected", "disconnected", "stopped"]);
  },
);

test("with a log for people, what the command says is not said again by the log", async () => {
  await using hub = startHub("--log-format", "pretty");
  await hub.printed(/^MQTT/u);
  hub.signal("SIGINT");
  expect(await hub.ended).toBe(0);
  expect(hub.stderr).toMatch(/^Stopping: .*\n\d\d:\d\d:\d\d info  The hub has stopped\n$/u);
});

test("what a stopped hub kept is there when it starts again", async () => {
  const data = join(folder, "data");
  for (const round of [1, 2]) {
    await using hub = startHub("--log-level", "warn");
    await hub.printed(/^MQTT/u);
    if (round === 1) await run("device", "create", "kept", "--data", data);
    else expect((await run("device", "show", "kept", "--data", data)).code).toBe(0);
    hub.signal("SIGINT");
    expect(await hub.ended).toBe(0);
    expect(hub.stderr).toBe("Stopping: finishing accepted work. Ctrl-C again leaves at once.\n");
  }
  // It holds the owner's key.
  expect(statSync(join(data, "hub.json")).mode & 0o777).toBe(0o600);
});

test("a hub in memory prints what one needs to reach it and leaves nothing on disk", async () => {
  await using hub = startHub("--memory", "--json");
  const [ready] = objectsIn(`${await hub.printed(/"ready"/u)}\n`);
  const ca = join(folder, "ca.pem");
  writeFileSync(ca, String(ready?.["caPem"]));
  const list = ["device", "list", "--connection-string", String(ready?.["connectionString"])];
  expect(await run(...list, "--ca", ca)).toMatchObject({ code: 0 });
  hub.signal("SIGINT");
  expect(await hub.ended).toBe(0);
  expect(existsSync(join(folder, "data"))).toBe(false);
});

test("the first --host-name goes into connection strings, all of them into the certificate", async () => {
  const data = join(folder, "data");
  const names = ["--host-name", "127.0.0.1", "rack.example"];
  await using hub = startHub(...names, "--log-level", "warn");
  await hub.printed(/^MQTT +mqtts:\/\/127\.0\.0\.1:/u);
  const created = await run("device", "create", "d", "--data", data);
  expect(created.stdout).toMatch(/^HostName=127\.0\.0\.1:\d+;DeviceId=d;/u);
  expect(await run("send", "d", "x", "--data", data)).toMatchObject({ code: 0 });
  const certificate = new X509Certificate(readFileSync(join(data, "server.pem")));
  expect(certificate.checkHost("rack.example")).toBe("rack.example");
});

test("a port that is taken is named, and nothing is left behind", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = String((server.address() as AddressInfo).port);
  await using hub = startHub("--mqtt-port", port, "--json", "--log-level", "silent");
  expect(await hub.ended).toBe(1);
  server.close();
  const error = errorIn({ code: 1, stdout: "", stderr: hub.stderr });
  expect(error.code).toBe("hub.port_in_use");
  expect(error.message).toContain(port);
  await using again = startHub("--log-level", "silent");
  await again.printed(/^MQTT/u);
});

test("two hubs do not share a data directory", async () => {
  await using world = await createWorld();
  await using second = spawnHubwire("hub", "start", ...freePorts, "--data", world.data, "--json");
  expect(await second.ended).toBe(1);
  const errors = objectsIn(second.stderr).filter((line) => "error" in line);
  expect(errors).toMatchObject([{ error: { code: "hub.data_locked" } }]);
});

test("monitor prints what comes and ends cleanly at Ctrl-C", async () => {
  await using world = await createWorld();
  await world.hub.createDevice({ deviceId: "d" });
  await using monitor = spawnHubwire("monitor", "--from", "first", "--data", world.data);
  await monitor.printed(/^Waiting for telemetry/u, "stderr");
  await world.hubwire("send", "d", "hello");
  await monitor.printed(/ d hello$/u);
  monitor.signal("SIGINT");
  expect(await monitor.ended).toBe(0);
  expect(monitor.stderr).toBe("Waiting for telemetry. Ctrl-C ends.\n");
});

test("monitor says so when its hub stops, waits for it, and goes on where it was", async () => {
  await using world = await createWorld();
  await world.hub.createDevice({ deviceId: "d" });
  await world.hubwire("send", "d", "before");
  await using monitor = spawnHubwire("monitor", "--from", "first", "--data", world.data);
  await monitor.printed(/ d before$/u);
  const { mqttPort, httpsPort, amqpPort } = world.hub;
  await world.hub.stop();
  await monitor.printed(/Trying again in 0\.25 s\.$/u, "stderr");
  await using again = await createHub({
    dataDirectory: world.data,
    mqttPort,
    httpsPort,
    amqpPort: amqpPort ?? 0,
    amqpPlainPort: 0,
    logLevel: "silent",
  });
  expect(again.amqpPort).toBe(amqpPort);
  await world.hubwire("send", "d", "after");
  await monitor.printed(/ d after$/u);
  monitor.signal("SIGINT");
  expect(await monitor.ended).toBe(0);
  expect(monitor.stdout.match(/ d before$/gmu)).toHaveLength(1);
});

test("a reader that went away ends monitor quietly", async () => {
  await using world = await createWorld();
  await world.hub.createDevice({ deviceId: "d" });
  await world.hubwire("send", "d", "first");
  await using monitor = spawnHubwire("monitor", "--from", "first", "--data", world.data);
  await monitor.printed(/ d first$/u);
  monitor.stopReading();
  await world.hubwire("send", "d", "second");
  expect(await monitor.ended).toBe(0);
});

test("send that is interrupted while it cannot connect leaves with 130 and no complaint", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const text = `HostName=127.0.0.1:${port};DeviceId=d;SharedAccessKey=QUJD`;
  const connected = new Promise<void>((resolve) => server.on("connection", () => resolve()));
  await using send = spawnHubwire("send", "d", "x", "--device-connection-string", text);
  await connected;
  send.signal("SIGINT");
  expect(await send.ended).toBe(130);
  server.close();
  expect(send.stdout + send.stderr).toBe("");
});

// ---- reset ----

test("hub reset refuses under a running hub and deletes a stopped one", async () => {
  const world = await createWorld();
  const reset = ["hub", "reset", "--data", world.data];
  const running = await run(...reset, "--yes", "--json");
  expect([running.code, errorIn(running).code]).toEqual([1, "hub.data_locked"]);
  expect((await world.hubwire("device", "list")).code).toBe(0);
  await world.hub.stop();
  // Nobody can be asked here.
  const unasked = await run(...reset, "--json");
  expect([unasked.code, errorIn(unasked).message]).toEqual([
    2,
    "Pass --yes to delete without being asked.",
  ]);
  expect(existsSync(join(world.data, "hub.db"))).toBe(true);
  expect(await run(...reset, "--yes")).toEqual({
    code: 0,
    stdout: `Deleted the hub in ${world.data}.\n`,
    stderr: "",
  });
  expect(existsSync(world.data)).toBe(false);
  const again = await run(...reset, "--yes", "--json");
  expect([again.code, objectsIn(again.stdout)]).toEqual([0, [{ deleted: null }]]);
  await world[Symbol.asyncDispose]();
});

test("hub reset touches no folder that is not a hub's", async () => {
  writeFileSync(join(folder, "precious.txt"), "kept");
  mkdirSync(join(folder, "telemetry"));
  const ran = await run("hub", "reset", "--yes", "--data", folder);
  expect(ran).toMatchObject({ code: 2, stdout: "" });
  expect(ran.stderr).toContain("is not a hub's data directory");
  expect(existsSync(join(folder, "telemetry"))).toBe(true);
});

test("hub reset leaves alone what no hub made", async () => {
  const world = await createWorld();
  await world.hub.stop();
  writeFileSync(join(world.data, "notes.txt"), "mine");
  const ran = await run("hub", "reset", "--yes", "--data", world.data);
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.stderr).toBe("Left alone, because no hub made it: notes.txt\n");
  expect(readFileSync(join(world.data, "notes.txt"), "utf8")).toBe("mine");
  expect(existsSync(join(world.data, "hub.db"))).toBe(false);
  await world[Symbol.asyncDispose]();
});
