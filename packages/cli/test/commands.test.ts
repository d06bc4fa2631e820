import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "@hubwire/device";
import { testCertificates } from "@hubwire/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { objectsIn, run } from "./support/run.ts";
import { createWorld, type World } from "./support/world.ts";

let world: World;
const certificates = await testCertificates();
const authority = await certificates.ca({ cn: "CLI test CA" });

beforeAll(async () => {
  world = await createWorld({ deviceCas: [authority.cert] });
});
afterAll(() => world[Symbol.asyncDispose]());

const ref = (deviceId: string) => ({ deviceId, moduleId: undefined });
const ok = { code: 0, stderr: "" };

/** What the hub has of one device, oldest first. */
async function eventsOf(deviceId: string): Promise<Record<string, unknown>[]> {
  const ran = await world.hubwire("monitor", "--from", "first", "--no-follow", "--json");
  return objectsIn(ran.stdout).filter((event) => event["deviceId"] === deviceId);
}

// ---- devices ----

test("device create prints the connection string, and where the CA is", async () => {
  const ran = await world.hubwire("device", "create", "created");
  expect(ran.stdout).toBe(`${await world.hub.deviceConnectionString("created")}\n`);
  expect(ran).toMatchObject({ code: 0, stderr: `CA file: ${join(world.data, "ca.pem")}\n` });
});

test("a created device lets its client in", async () => {
  const ran = await world.hubwire("device", "create", "comes-in", "--json");
  const [created] = objectsIn(ran.stdout);
  expect(created).toMatchObject({ caFile: join(world.data, "ca.pem") });
  await using device = await connect({
    connectionString: String(created?.["connectionString"]),
    ca: world.hub.caPem,
  });
  expect(device.status().state).toBe("connected");
});

test.each([
  [["--ca-signed"], { type: "certificateAuthority" }],
  [["--thumbprint", "a".repeat(40)], { type: "selfSigned", primaryThumbprint: "a".repeat(40) }],
  [
    ["--thumbprint", "b".repeat(64), "--secondary-thumbprint", "C".repeat(40)],
    { primaryThumbprint: "b".repeat(64), secondaryThumbprint: "C".repeat(40) },
  ],
])("device create %j registers it for X.509", async (options, authentication) => {
  const deviceId = `x509-${options.length}-${options[0]}`;
  const ran = await world.hubwire("device", "create", deviceId, ...options);
  expect(ran.stdout).toMatch(/;x509=true\n$/u);
  expect(await world.hub.identities.find(ref(deviceId))).toMatchObject({ authentication });
});

test("device show tells people what there is to know", async () => {
  await world.hub.createDevice({ deviceId: "shown" });
  await world.hub.sendToDevice("shown", "one");
  const { stdout } = await world.hubwire("device", "show", "shown");
  const rows = Object.fromEntries(
    stdout
      .trimEnd()
      .split("\n")
      .map((row) => row.split(/ {2,}/u)),
  ) as Record<string, string>;
  expect(rows).toEqual({
    device: "shown",
    status: "enabled",
    connection: "Disconnected",
    authentication: "sas",
    "C2D messages waiting": "1",
    "last activity": "never",
    "connection string": await world.hub.deviceConnectionString("shown"),
  });
});

test("device list is a table, and with --json a device a line", async () => {
  await world.hub.createDevice({ deviceId: "listed", status: "disabled" });
  const table = await world.hubwire("device", "list");
  expect(table.stdout).toMatch(/^DEVICE +STATUS +CONNECTION +AUTHENTICATION\n/u);
  expect(table.stdout).toMatch(/^listed +disabled +Disconnected +sas$/mu);
  const json = objectsIn((await world.hubwire("device", "list", "--json")).stdout);
  expect(json.map((device) => device["deviceId"])).toContain("listed");
  const one = await world.hubwire("device", "list", "--top", "1", "--json");
  expect(objectsIn(one.stdout)).toHaveLength(1);
});

test("a hub without devices says how to make one", async () => {
  await using empty = await createWorld();
  const ran = await empty.hubwire("device", "list");
  expect(ran).toMatchObject({ code: 0, stdout: "" });
  expect(ran.stderr).toContain("hubwire device create");
});

test("device delete deletes, once", async () => {
  await world.hub.createDevice({ deviceId: "deleted" });
  const ran = await world.hubwire("device", "delete", "deleted");
  expect(ran).toEqual({ ...ok, stdout: "Deleted deleted.\n" });
  expect(await world.hub.identities.find(ref("deleted"))).toBeUndefined();
  const again = await world.hubwire("device", "delete", "deleted");
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("code: device.not_found");
});

test("an id with special characters is the same device everywhere", async () => {
  // Without # and +, which no MQTT topic may hold.
  const deviceId = "n@m.et(st)?=%2F'$";
  await world.hubwire("device", "create", deviceId);
  expect((await world.hubwire("send", deviceId, "odd")).code).toBe(0);
  expect((await world.hubwire("twin", "get", deviceId, "--json")).stdout).toContain(deviceId);
  expect(await eventsOf(deviceId)).toHaveLength(1);
  expect((await world.hubwire("device", "delete", deviceId)).code).toBe(0);
});

// ---- telemetry ----

test("send stores the body with its properties", async () => {
  await world.hub.createDevice({ deviceId: "sender" });
  const ran = await world.hubwire(
    "send",
    "sender",
    '{"temperature":21.5}',
    "-p",
    "alert=false",
    "-p",
    "formula=a=b",
    "--content-type",
    "application/json",
    "--content-encoding",
    "utf-8",
    "--message-id",
    "m1",
  );
  expect(ran).toMatchObject(ok);
  expect(ran.stdout).toMatch(/^Sent in \d+ ms\.\n$/u);
  expect(await eventsOf("sender")).toMatchObject([
    {
      body: { temperature: 21.5 },
      properties: { alert: "false", formula: "a=b" },
      systemProperties: {
        contentType: "application/json",
        contentEncoding: "utf-8",
        messageId: "m1",
      },
    },
  ]);
});

test("send --count sends that many, in QoS 0 too", async () => {
  await world.hub.createDevice({ deviceId: "repeater" });
  const many = await world.hubwire("send", "repeater", "x", "--count", "501", "--json");
  expect(objectsIn(many.stdout)).toMatchObject([{ sent: 501 }]);
  expect((await world.hubwire("send", "repeater", "x", "--qos", "0")).code).toBe(0);
  await expect.poll(async () => (await eventsOf("repeater")).length).toBe(502);
});

test("send takes a connection string, and finds the local hub's CA by itself", async () => {
  const { connectionString } = await world.hub.createDevice({ deviceId: "pasted" });
  const option = ["--device-connection-string", connectionString];
  expect(await world.hubwire("send", "pasted", "by option", ...option)).toMatchObject(ok);
  process.env["IOTHUB_DEVICE_CONNECTION_STRING"] = connectionString;
  try {
    expect(await world.hubwire("send", "pasted", "by environment")).toMatchObject(ok);
  } finally {
    delete process.env["IOTHUB_DEVICE_CONNECTION_STRING"];
  }
  const ca = ["--ca", join(world.data, "ca.pem")];
  expect(await run("send", "pasted", "elsewhere", ...option, ...ca)).toMatchObject(ok);
  expect((await eventsOf("pasted")).map((event) => event["body"])).toEqual([
    "by option",
    "by environment",
    "elsewhere",
  ]);
});

test("send connects with a certificate", async () => {
  const leaf = await certificates.issue({ cn: "camera", issuer: authority });
  const folder = mkdtempSync(join(world.folder, "camera-"));
  const [cert, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  writeFileSync(cert, leaf.cert);
  writeFileSync(key, leaf.key, { mode: 0o600 });
  await world.hubwire("device", "create", "camera", "--ca-signed");
  const ran = await world.hubwire("send", "camera", "on", "--cert", cert, "--key", key);
  expect(ran).toMatchObject(ok);
  expect(await eventsOf("camera")).toMatchObject([{ body: "on", authMethod: { type: "x509" } }]);
});

test("monitor shows one line an event, and lets no device write to the terminal", async () => {
  const { connectionString } = await world.hub.createDevice({ deviceId: "watched" });
  await using device = await connect({ connectionString, ca: world.hub.caPem });
  await device.sendTelemetry({ a: 1 }, { properties: { x: "y" }, contentType: "application/json" });
  await device.sendTelemetry("\u001b[2J\nforged", { contentType: "text/plain" });
  await device.sendTelemetry(Uint8Array.of(0, 255));
  const ran = await world.hubwire(
    "monitor",
    "--from",
    "first",
    "--no-follow",
    "--device",
    "watched",
  );
  const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
  expect(ran.stdout.trimEnd().split("\n")).toEqual([
    expect.stringMatching(new RegExp(`^${time} watched x=y \\{"a":1\\}$`, "u")),
    expect.stringMatching(new RegExp(String.raw`^${time} watched \\u001b\[2J\\nforged$`, "u")),
    expect.stringMatching(new RegExp(String.raw`^${time} watched \(base64\) AP8=$`, "u")),
  ]);
  expect(ran.stderr).toBe("");
});

test("monitor waits for what comes and stops after --count", async () => {
  const { connectionString } = await world.hub.createDevice({ deviceId: "later" });
  await using device = await connect({ connectionString, ca: world.hub.caPem });
  await device.sendTelemetry("before");
  const running = world.hubwire("monitor", "--device", "later", "--count", "2", "--json");
  const ended = running.then(() => true);
  // It starts at the end, so only what is sent after it began is seen: keep sending until it has enough.
  for (
    let n = 0;
    !(await Promise.race([ended, device.sendTelemetry(`m${n}`).then(() => false)]));
    n++
  );
  const ran = await running;
  const bodies = objectsIn(ran.stdout).map((event) => String(event["body"]));
  expect(bodies).toEqual([expect.stringMatching(/^m\d+$/u), expect.stringMatching(/^m\d+$/u)]);
  expect(ran).toMatchObject(ok);
});

// ---- the other way ----

test("c2d send reaches the device with its properties", async () => {
  const { connectionString } = await world.hub.createDevice({ deviceId: "receiver" });
  const ran = await world.hubwire(
    "c2d",
    "send",
    "receiver",
    "open the window",
    "-p",
    "urgent=yes",
    "--message-id",
    "c1",
    "--content-type",
    "text/plain",
    "--expires-in",
    "60",
  );
  expect(ran).toEqual({ ...ok, stdout: "Queued for receiver as message c1.\n" });
  await using device = await connect({ connectionString, ca: world.hub.caPem });
  for await (const message of device.messages()) {
    expect(message.text()).toBe("open the window");
    expect(message).toMatchObject({ messageId: "c1", properties: { urgent: "yes" } });
    await message.complete();
    break;
  }
});

test("method prints the device's status and payload", async () => {
  const { connectionString } = await world.hub.createDevice({ deviceId: "callee" });
  await using _device = await connect({
    connectionString,
    ca: world.hub.caPem,
    methods: { echo: ({ payload }) => ({ status: 418, payload: { got: payload } }) },
  });
  const answer = await world.hubwire("method", "callee", "echo", '{"a":1}', "--timeout", "5");
  // The device's own status is data, not the command's failure.
  expect(answer).toEqual({ ...ok, stdout: '418 {"got":{"a":1}}\n' });
  const json = await world.hubwire("method", "callee", "echo", "--json");
  expect(objectsIn(json.stdout)).toEqual([{ status: 418, payload: { got: null } }]);
});

test("method waits for a device that is not there yet", async () => {
  const { connectionString } = await world.hub.createDevice({ deviceId: "late" });
  const calling = world.hubwire("method", "late", "hello", "--connect-timeout", "20");
  await using _device = await connect({
    connectionString,
    ca: world.hub.caPem,
    methods: { hello: () => ({ status: 200 }) },
  });
  expect(await calling).toEqual({ ...ok, stdout: "200 null\n" });
});

test("twin get, update, replace, and an update that came too late", async () => {
  await world.hub.createDevice({ deviceId: "twin" });
  const update = await world.hubwire(
    "twin",
    "update",
    "twin",
    '{"tags":{"room":"a"},"properties":{"desired":{"n":1}}}',
  );
  expect(update).toMatchObject(ok);
  expect(update.stdout).toMatch(/^Updated: desired version 2, etag .+\.\n$/u);
  const [read] = objectsIn((await world.hubwire("twin", "get", "twin", "--json")).stdout);
  expect(read).toMatchObject({ tags: { room: "a" }, properties: { desired: { n: 1 } } });
  expect(JSON.parse((await world.hubwire("twin", "get", "twin")).stdout)).toEqual(read);

  const etag = String(read?.["etag"]);
  const replace = ["twin", "update", "twin", '{"tags":{"floor":2}}', "--replace"];
  expect(await world.hubwire(...replace, "--if-match", etag)).toMatchObject(ok);
  const [replaced] = objectsIn((await world.hubwire("twin", "get", "twin", "--json")).stdout);
  expect(replaced?.["tags"]).toEqual({ floor: 2 });
  const late = await world.hubwire(...replace, "--if-match", etag);
  expect(late.code).toBe(1);
  expect(late.stderr).toContain("code: etag.mismatch");
});

// ---- credentials ----

test("sas makes a device's MQTT password", async () => {
  await world.hub.createDevice({ deviceId: "signed" });
  const { stdout } = await world.hubwire("sas", "signed", "--lifetime", "60");
  const token = stdout.trimEnd();
  expect(token).toMatch(
    /^SharedAccessSignature sr=localhost%2Fdevices%2Fsigned&sig=[^&]+&se=\d+$/u,
  );
  await using device = await connect({
    connectionString: `HostName=localhost:${world.hub.mqttPort};DeviceId=signed;SharedAccessSignature=${token}`,
    ca: world.hub.caPem,
  });
  expect(device.status().state).toBe("connected");
});

test("sas without a device makes the policy's token", async () => {
  const [policy] = objectsIn((await world.hubwire("sas", "--json")).stdout);
  expect(policy).toMatchObject({ resource: "localhost" });
  expect(policy?.["token"]).toMatch(/&skn=iothubowner$/u);
});

test("hub connection-string is the hub's own, and a device's", async () => {
  const service = await world.hubwire("hub", "connection-string");
  expect(service).toEqual({ ...ok, stdout: `${world.hub.connectionString()}\n` });
  await world.hub.createDevice({ deviceId: "stringed" });
  const device = await world.hubwire("hub", "connection-string", "--device", "stringed");
  expect(device.stdout).toBe(`${await world.hub.deviceConnectionString("stringed")}\n`);
});

test("a pasted service connection string works elsewhere, with --ca", async () => {
  const [text, ca] = [world.hub.connectionString(), join(world.data, "ca.pem")];
  const elsewhere = ["--data", world.folder, "--ca", ca, "device", "list", "--json"];
  const option = await run("--connection-string", text, ...elsewhere);
  expect(option).toMatchObject(ok);
  process.env["IOTHUB_CONNECTION_STRING"] = text;
  try {
    expect(await run(...elsewhere)).toEqual(option);
  } finally {
    delete process.env["IOTHUB_CONNECTION_STRING"];
  }
});

// ---- JSON ----

test.each([
  [["device", "create", "json-new"]],
  [["device", "show", "json"]],
  [["device", "list"]],
  [["send", "json", "x"]],
  [["monitor", "--from", "first", "--no-follow"]],
  [["c2d", "send", "json", "x"]],
  [["twin", "get", "json"]],
  [["twin", "update", "json", '{"tags":{"a":1}}']],
  [["sas", "json"]],
  [["hub", "connection-string"]],
  [["device", "delete", "json-new"]],
])("%j --json prints JSON objects and nothing else", async (args) => {
  if ((await world.hub.identities.find(ref("json"))) === undefined) {
    await world.hub.createDevice({ deviceId: "json" });
  }
  const ran = await world.hubwire("--json", ...args);
  expect(ran).toMatchObject(ok);
  expect(objectsIn(ran.stdout).length).toBeGreaterThan(0);
});
