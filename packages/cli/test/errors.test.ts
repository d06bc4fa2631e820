import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { startHub } from "@hubwire/hub";
import { catalog } from "@hubwire/protocol";
import { testCertificates } from "@hubwire/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errorIn, run } from "./support/run.ts";
import { createWorld, type World } from "./support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** A folder of its own, as `--data`. */
function folder(name: string): string {
  const path = join(world.folder, name);
  mkdirSync(path);
  return path;
}

// ---- which hub ----

test("no hub anywhere: it says where it looked and how to start one", async () => {
  const data = join(world.folder, "nothing");
  const ran = await run("device", "list", "--data", data);
  expect(ran).toMatchObject({ code: 1, stdout: "" });
  expect(ran.stderr).toBe(
    `There is no hub in ${data} and no connection string was given.\n` +
      `  what to do: ${catalog["cli.no_hub"].remedy}\n  code: cli.no_hub\n`,
  );
});

test("a hub that is not running is told apart from one that never was", async () => {
  const stopped = await createWorld();
  await stopped.hub.stop();
  for (const args of [["device", "list"], ["monitor"], ["send", "d", "x"], ["sas", "d"]]) {
    const error = errorIn(await stopped.hubwire(...args, "--json"));
    expect([args, error.code]).toEqual([args, "cli.hub_not_running"]);
    expect(error.message).toContain(stopped.data);
    expect(error.remedy).toContain("hubwire hub start");
  }
  await stopped[Symbol.asyncDispose]();
});

test("nothing on the port of a hub elsewhere", async () => {
  const closed = await startHub();
  const text = closed.connectionString();
  await closed.stop();
  const error = errorIn(await run("device", "list", "--connection-string", text, "--json"));
  expect(error.code).toBe("transport.refused");
});

test("another hub on the port of a stopped one is not mistaken for it", async () => {
  // Hubs in memory share a CA within a process, so the other one is on disk.
  await using other = await createWorld();
  const data = folder("moved-away");
  const ca = join(data, "ca.pem");
  await using mine = await startHub();
  writeFileSync(ca, mine.caPem);
  const { httpsPort, mqttPort } = other.hub;
  writeFileSync(
    join(data, "hub.json"),
    JSON.stringify({
      connectionString: other.hub.connectionString(),
      hostName: "localhost",
      mqttPort,
      httpsPort,
      caFile: ca,
    }),
  );
  const error = errorIn(await run("device", "list", "--data", data, "--json"));
  expect(error.code).toBe("transport.tls_untrusted");
  expect(error.message).toContain(`another program has the port of the hub in ${data}`);
});

test("a hub elsewhere without its CA is not trusted, and --ca is named", async () => {
  const text = world.hub.connectionString();
  const elsewhere = ["--data", world.folder, "--connection-string", text];
  const error = errorIn(await run("device", "list", ...elsewhere, "--json"));
  expect(error.code).toBe("transport.tls_untrusted");
  expect(error.message).toContain("--ca");
});

test("a key that is not the policy's", async () => {
  const text = world.hub.connectionString().replace(/SharedAccessKey=.*/u, "SharedAccessKey=QUJD");
  const ca = ["--ca", join(world.data, "ca.pem")];
  const error = errorIn(await run("device", "list", "--connection-string", text, ...ca, "--json"));
  expect(error.code).toBe("auth.token_signature");
  expect(error.remedy).toBe(catalog["auth.token_signature"].remedy);
});

test.each([
  ["HostName=h;DeviceId=d;SharedAccessKey=QUJD", "connection_string.is_device"],
  [
    "Endpoint=sb://h/;SharedAccessKeyName=n;SharedAccessKey=QUJD",
    "connection_string.is_event_hubs",
  ],
  ["nonsense", "connection_string.malformed"],
])("the connection string %s is no service's", async (text, code) => {
  const ran = await run("device", "list", "--connection-string", text, "--json");
  expect([ran.code, errorIn(ran).code]).toEqual([1, code]);
});

test("a damaged hub.json is named", async () => {
  const data = folder("damaged");
  writeFileSync(join(data, "hub.json"), "{");
  const error = errorIn(await run("device", "list", "--data", data, "--json"));
  expect(error.code).toBe("hub.data_corrupt");
  expect(error.message).toContain(join(data, "hub.json"));
});

test("what answers is no IoT Hub", async () => {
  const server = createServer((_, response) => response.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const text = `HostName=127.0.0.1:${port};SharedAccessKeyName=a;SharedAccessKey=QUJD`;
  const error = errorIn(await run("device", "list", "--connection-string", text, "--json"));
  server.close();
  expect(error.code).toMatch(/^service\.(?:unreachable|bad_answer)$/u);
});

// ---- devices ----

test.each([
  [["device", "show", "nobody"], "device.not_found"],
  [["device", "delete", "nobody"], "device.not_found"],
  [["send", "nobody", "x"], "device.not_found"],
  [["sas", "nobody"], "device.not_found"],
  [["c2d", "send", "nobody", "x"], "device.not_found"],
  [["twin", "get", "nobody"], "device.not_found"],
  [["twin", "update", "nobody", "{}"], "device.not_found"],
  [["method", "nobody", "m"], "device.not_found"],
  [["hub", "connection-string", "--device", "nobody"], "device.not_found"],
  [["module", "show", "here", "nobody"], "module.not_found"],
  [["module", "create", "nobody", "m"], "device.not_found"],
  [["query", "SELECT * FORM devices"], "query.syntax"],
  [["device", "create", "no body"], "identity.bad_id"],
  [["device", "create", "x", "--thumbprint", "AB:CD"], "identity.bad_thumbprint"],
  [["twin", "update", "here", '{"properties":{"desired":{"a.b":1}}}'], "twin.bad_key"],
  [["twin", "update", "here", "5"], "twin.not_object"],
  [["device", "create", "here"], "device.already_exists"],
  [["method", "here", "m"], "device.not_online"],
])("%j is refused in the hub's own words: %s", async (args, code) => {
  if ((await world.hub.identities.find({ deviceId: "here", moduleId: undefined })) === undefined) {
    await world.hub.createDevice({ deviceId: "here" });
  }
  const ran = await world.hubwire(...args, "--json");
  const error = errorIn(ran);
  expect([ran.code, ran.stdout, error.code]).toEqual([1, "", code]);
  expect(error.remedy).toBe(catalog[code as keyof typeof catalog].remedy);
  expect(error.message).not.toMatch(/ErrorCode:|SharedAccess|^\{/u);
});

test("a disabled device cannot send, and is told the usual causes", async () => {
  await world.hub.createDevice({ deviceId: "off", status: "disabled" });
  const ran = await world.hubwire("send", "off", "x", "--json");
  expect([ran.code, errorIn(ran).code]).toEqual([1, "device.refused_not_authorized"]);
  expect(errorIn(ran).remedy).toContain("enabled");
});

test("a device whose id no topic may hold is told so", async () => {
  await world.hub.createDevice({ deviceId: "a#b" });
  const ran = await world.hubwire("send", "a#b", "x", "--json");
  expect([ran.code, errorIn(ran).code]).toEqual([1, "argument.invalid"]);
  expect(errorIn(ran).message).toContain("MQTT");
});

test("a device with a certificate has no token, and needs its certificate to send", async () => {
  await world.hubwire("device", "create", "certified", "--ca-signed");
  for (const args of [
    ["sas", "certified"],
    ["send", "certified", "x"],
  ]) {
    const ran = await world.hubwire(...args, "--json");
    expect([ran.code, errorIn(ran).code]).toEqual([2, "cli.usage"]);
    expect(errorIn(ran).message).toContain("certificate");
  }
});

// ---- wrong usage ----

test.each([
  [["nonsense"], "Unknown command 'nonsense'"],
  [["device", "lst"], "Did you mean list?"],
  [["device", "create"], "deviceId"],
  [["device", "create", "a", "b"], "Too many arguments"],
  [["device", "list", "--top", "0"], "1 to 1000"],
  [["device", "list", "--nope"], "--nope"],
  [["device", "create", "d", "--ca-signed", "--thumbprint", "ab"], "exclude each other"],
  [["device", "create", "d", "--secondary-thumbprint", "ab"], "--thumbprint"],
  [["send", "d", "x", "--property", "novalue"], "name=value"],
  [["send", "d", "x", "--qos", "2"], "0, 1"],
  [["send", "d", "x", "--count", "1.5"], "whole number"],
  [["send", "d", "x", "--cert", "only.pem"], "--key"],
  [
    ["send", "d", "x", "--device-connection-string", "HostName=h;DeviceId=e;SharedAccessKey=QUJD"],
    '"e"',
  ],
  [["monitor", "--from", "yesterday"], "first, end"],
  [["monitor", "--properties", "some"], "app, system"],
  [["ca", "verify", "x", "--ca-key", "only.pem"], "--ca-cert"],
  [["ca", "issue", "d"], "--ca-cert"],
  [["hub", "env", "--format", "xml"], "shell, dotenv"],
  [["method", "d", "m", "{a:1}"], "single quotes"],
  [["method", "d", "m", "--timeout", "4"], "5 to 300"],
  [["twin", "update", "d", "{"], "single quotes"],
  [["sas", "--lifetime", "-1"], "whole number"],
  [["hub", "start", "--device-ca", "missing.pem"], "missing.pem"],
  [["hub", "start", "--mqtt-port", "70000"], "65535"],
  [["hub", "start", "--log-level", "loud"], "debug, info"],
  [["device", "list", "--ca", "missing.pem"], "missing.pem"],
])("%j is wrong usage: exit code 2, said once", async (args, words) => {
  await world.hub.createDevice({ deviceId: "d" }).catch(() => {});
  const text = await world.hubwire(...args);
  expect([text.code, text.stdout]).toEqual([2, ""]);
  const [first = "", ...rest] = text.stderr.split("\n");
  expect(first).toContain(words);
  expect(rest).toEqual([`  what to do: ${catalog["cli.usage"].remedy}`, "  code: cli.usage", ""]);
  const json = await world.hubwire(...args, "--json");
  expect([json.code, errorIn(json)]).toEqual([
    2,
    { code: "cli.usage", message: first, remedy: catalog["cli.usage"].remedy },
  ]);
});

test.each([[[]], [["device"]], [["hub"]]])(
  "%j without a subcommand shows the help and fails",
  async (args) => {
    const text = await run(...args);
    expect(text).toMatchObject({ code: 2, stdout: "" });
    expect(text.stderr).toMatch(/^Usage: hubwire/u);
    expect(errorIn(await run(...args, "--json")).message).toBe("A subcommand is missing.");
  },
);

test("a CA that is none is named, and so is one that the hub's certificate is not from", async () => {
  const data = folder("other-ca");
  const [text, other] = [join(data, "text.pem"), join(data, "other.pem")];
  writeFileSync(text, "hello");
  writeFileSync(other, (await testCertificates()).root.cert);
  const noCertificate = await world.hubwire("device", "list", "--ca", text);
  expect(noCertificate.code).toBe(2);
  expect(noCertificate.stderr).toContain(`The CA ${text} is not a PEM certificate`);
  const foreign = await world.hubwire("device", "list", "--ca", other);
  expect(foreign.code).toBe(1);
  expect(foreign.stderr).toContain(`is not from the CA in ${other}.\n`);
});

test("a file that cannot be read is named, as a mistake in usage", async () => {
  const ca = folder("not-a-file");
  const ran = await world.hubwire("device", "list", "--ca", ca);
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain(`The CA ${ca} cannot be read`);
});

// ---- no secret is told ----

test("no error shows a key", async () => {
  const secret = "c2VjcmV0c2VjcmV0";
  const service = "SharedAccessKeyName=n;SharedAccessKey";
  const attempts = [
    ["--connection-string", `HostName=127.0.0.1:1;${service}=${secret}`],
    ["--connection-string", `HostName=127.0.0.1;${service}=${secret};SharedAccessKey=${secret}`],
    ["--connection-string", `HostName=127.0.0.1;DeviceId=d;SharedAccessKey=${secret}`],
    ["--connection-string", `SharedAccessKey=${secret}`],
    ["--device-connection-string", `HostName=127.0.0.1;${service}=${secret}`],
    ["--device-connection-string", `HostName=127.0.0.1;DeviceId=e;SharedAccessKey=${secret}`],
    ["--device-connection-string", `DeviceId=d;SharedAccessKey=${secret}`],
  ];
  for (const attempt of attempts) {
    const ran = await run("send", "d", "x", ...attempt, "--data", world.folder);
    expect(ran.code).not.toBe(0);
    expect(ran.stdout + ran.stderr).not.toContain(secret);
  }
});
