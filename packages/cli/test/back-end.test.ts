import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import { afterAll, beforeAll, expect, test } from "vitest";
import { spawnHubwire } from "./support/child.ts";
import { objectsIn } from "./support/run.ts";
import { createWorld, type World } from "./support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

// ---- certificates ----

test("a CA is made, uploaded, proven, and its certificates let devices in; deleted, they do not", async () => {
  const at = (name: string): string => join(mkdtempSync(join(world.folder, "ca-")), name);
  const base = at("factory");
  const made = await world.hubwire("ca", "create", base, "--cn", "factory", "--json");
  expect(objectsIn(made.stdout)).toEqual([{ certFile: `${base}.pem`, keyFile: `${base}-key.pem` }]);
  expect(statSync(`${base}-key.pem`).mode & 0o777).toBe(0o600);
  const pair = ["--ca-cert", `${base}.pem`, "--ca-key", `${base}-key.pem`];

  expect(await world.hubwire("ca", "upload", "factory", `${base}.pem`)).toMatchObject({
    code: 0,
    stdout: "Uploaded factory: not verified yet.\n",
  });
  await world.hubwire("device", "create", "cam", "--ca-signed");
  const leaf = at("cam");
  expect((await world.hubwire("ca", "issue", "cam", ...pair, "--out", leaf)).code).toBe(0);
  const identification = ["--cert", `${leaf}.pem`, "--key", `${leaf}-key.pem`];
  const send = ["send", "cam", "on", ...identification];
  // Uploaded is not proven.
  expect((await world.hubwire(...send)).code).toBe(1);

  // A proof by somebody else's CA proves nothing.
  const other = at("other");
  await world.hubwire("ca", "create", other, "--cn", "factory");
  const foreign = ["--ca-cert", `${other}.pem`, "--ca-key", `${other}-key.pem`];
  const refused = await world.hubwire("ca", "verify", "factory", ...foreign);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toContain("code: ca.not_proven");

  expect(await world.hubwire("ca", "verify", "factory", ...pair)).toMatchObject({
    code: 0,
    stdout: "factory is verified.\n",
  });
  expect((await world.hubwire("ca", "list")).stdout).toMatch(/\nfactory +yes +.* GMT +factory\n$/u);
  expect(await world.hubwire(...send)).toMatchObject({ code: 0 });

  expect((await world.hubwire("ca", "delete", "factory")).code).toBe(0);
  expect((await world.hubwire(...send)).code).toBe(1);
  expect((await world.hubwire("ca", "delete", "factory")).stderr).toContain("code: ca.not_found");
});

test("without the key at hand, the code is signed elsewhere and the proof brought", async () => {
  const base = join(mkdtempSync(join(world.folder, "ca-")), "offline");
  await world.hubwire("ca", "create", base, "--cn", "offline");
  await world.hubwire("ca", "upload", "offline", `${base}.pem`);
  const code = (await world.hubwire("ca", "verify", "offline")).stdout.trim();
  expect(code).toMatch(/^[0-9A-F]{48}$/u);
  const pair = ["--ca-cert", `${base}.pem`, "--ca-key", `${base}-key.pem`];
  await world.hubwire("ca", "issue", code, ...pair, "--out", `${base}-proof`);
  const [first] = readFileSync(`${base}-proof.pem`, "utf8").split(
    /(?<=-----END CERTIFICATE-----)/u,
  );
  expect(first).toContain("BEGIN CERTIFICATE");
  execFileSync("sh", [
    "-c",
    'head -n "$(grep -n END "$1" | head -1 | cut -d: -f1)" "$1" > "$2"',
    "sh",
    `${base}-proof.pem`,
    `${base}-one.pem`,
  ]);
  const verified = await world.hubwire("ca", "verify", "offline", "--proof", `${base}-one.pem`);
  expect(verified).toMatchObject({ code: 0, stdout: "offline is verified.\n" });
});

test("a file that is there is not overwritten", async () => {
  const base = join(mkdtempSync(join(world.folder, "ca-")), "twice");
  await world.hubwire("ca", "create", base);
  const before = readFileSync(`${base}-key.pem`, "utf8");
  const again = await world.hubwire("ca", "create", base);
  expect(again).toMatchObject({ code: 2, stdout: "" });
  expect(readFileSync(`${base}-key.pem`, "utf8")).toBe(before);
});

// ---- hub env ----

test("hub env in a shell gives every variable as it is", async () => {
  await world.hub.createDevice({ deviceId: "env-device" });
  const wanted = {
    IOTHUB_CONNECTION_STRING: world.hub.connectionString(),
    IOTHUB_EVENTHUBS_CONNECTION_STRING: world.hub.eventHubsConnectionString(),
    IOTHUB_DEVICE_CONNECTION_STRING: await world.hub.deviceConnectionString("env-device"),
    NODE_EXTRA_CA_CERTS: join(world.data, "ca.pem"),
    SSL_CERT_FILE: join(world.data, "ca.pem"),
    REQUESTS_CA_BUNDLE: join(world.data, "ca.pem"),
  };
  const device = ["--device", "env-device"];
  const [json] = objectsIn((await world.hubwire("hub", "env", ...device, "--json")).stdout);
  expect(json).toEqual(wanted);
  const { stdout } = await world.hubwire("hub", "env", ...device);
  const printed = execFileSync("sh", ["-c", `${stdout}\nenv`], { encoding: "utf8" });
  for (const [name, value] of Object.entries(wanted))
    expect(printed).toContain(`${name}=${value}\n`);
  expect(existsSync(wanted.NODE_EXTRA_CA_CERTS)).toBe(true);
  const dotenv = (await world.hubwire("hub", "env", ...device, "--format", "dotenv")).stdout;
  expect(dotenv).toContain(`\nNODE_EXTRA_CA_CERTS=${wanted.NODE_EXTRA_CA_CERTS}\n`);
});

// ---- feedback and purge ----

test("feedback tells what became of a message", async () => {
  const { connectionString } = await world.hub.createDevice({ deviceId: "asked" });
  const send = ["c2d", "send", "asked", "hi", "--ack", "full", "--message-id", "f1"];
  expect((await world.hubwire(...send)).code).toBe(0);
  await using feedback = spawnHubwire("feedback", "--data", world.data, "--json");
  await using device = await connect({ connectionString, ca: world.hub.caPem });
  for await (const message of device.messages()) {
    await message.complete();
    break;
  }
  const line = await feedback.printed(/"f1"/u);
  expect(objectsIn(`${line}\n`)).toMatchObject([
    { originalMessageId: "f1", deviceId: "asked", statusCode: "Success" },
  ]);
  feedback.signal("SIGINT");
  expect(await feedback.ended).toBe(0);
});

test("c2d purge drops what waits", async () => {
  await world.hub.createDevice({ deviceId: "purged" });
  await world.hubwire("c2d", "send", "purged", "one");
  await world.hubwire("c2d", "send", "purged", "two");
  expect((await world.hubwire("c2d", "purge", "purged")).stdout).toBe("Dropped 2.\n");
});

// ---- where monitor begins ----

test("monitor begins where it is told and shows what is asked for", async () => {
  const { connectionString } = await world.hub.createDevice({ deviceId: "positions" });
  await using device = await connect({ connectionString, ca: world.hub.caPem });
  for (const n of ["0", "1", "2"]) {
    await device.sendTelemetry(n, { properties: { n }, messageId: `m${n}` });
  }
  const read = async (...args: string[]): Promise<string[]> => {
    const only = ["--device", "positions", "--no-follow", "--json"];
    const ran = await world.hubwire("monitor", ...only, ...args);
    expect(ran.code).toBe(0);
    return objectsIn(ran.stdout).map((event) => String(event["body"]));
  };
  expect(await read("--from", "first")).toEqual(["0", "1", "2"]);
  expect(await read("--from", "end")).toEqual([]);
  expect(await read("--from", "10m")).toEqual(["0", "1", "2"]);
  expect(await read("--from", new Date(Date.now() + 60_000).toISOString())).toEqual([]);
  expect(await read("--from", "first", "-p", "n=1")).toEqual(["1"]);
  expect(await read("--from", "first", "--count", "2")).toEqual(["0", "1"]);
  const events = await world.hubwire(
    "monitor",
    "--from",
    "first",
    "--no-follow",
    "--json",
    "-d",
    "positions",
  );
  const [, second] = objectsIn(events.stdout);
  const at = ["--partition", String(second?.["partition"])];
  expect(await read("--from", `seq:${String(second?.["sequenceNumber"])}`, ...at)).toEqual([
    "1",
    "2",
  ]);
  expect(await read("--from", `offset:${String(second?.["offset"])}`, ...at)).toEqual(["2"]);
  const text = await world.hubwire(
    "monitor",
    "--from",
    "first",
    "--no-follow",
    "-p",
    "n=2",
    "--properties",
    "all",
  );
  expect(text.stdout).toMatch(/ positions messageId=m2 .*n=2 2\n$/u);
});
