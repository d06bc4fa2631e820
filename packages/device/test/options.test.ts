import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { connect } from "@hubwire/device";
import type { ConnectOptions, DeviceClient } from "@hubwire/device";
import { numberOptions } from "../src/options/bounds.ts";
import { resolveOptions } from "../src/options/resolve.ts";
import { version } from "../src/version.ts";
import { hostName, identity } from "./support/fake-hub.ts";
import { Outcome, World } from "./support/world.ts";

const key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const connectionString = `HostName=hub.example;DeviceId=dev1;SharedAccessKey=${key}`;
const token = "SharedAccessSignature sr=hub.example%2Fdevices%2Fdev1&sig=c2ln&se=1893456000";
const keyPem = generateKeyPairSync("ec", { namedCurve: "P-256" })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();
const certificate = { cert: "-----BEGIN CERTIFICATE-----", key: keyPem };
const openStream = (): Promise<never> => new Promise(() => undefined);

test("the version is the package's", () => {
  const manifest = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  ) as {
    version: string;
  };
  expect(version).toBe(manifest.version);
});

test("the defaults are the documented ones", () => {
  const settings = resolveOptions({ connectionString, openStream });
  expect(settings).toMatchObject({
    endpoint: { clientId: "dev1", dialHost: "hub.example", port: 8883 },
    keepAliveS: 60,
    cleanSession: false,
    retry: {
      minMs: 1_000,
      maxMs: 30_000,
      slowMaxMs: 120_000,
      stableMs: 60_000,
      refusalsMax: 1_000,
    },
    maxInflight: 20,
    retryIntervalMs: 30_000,
    qos: 1,
    waitForConnection: true,
    failFast: true,
    connectTimeoutMs: 60_000,
    attemptTimeoutMs: 20_000,
    callTimeoutMs: 60_000,
  });
});

test.each([
  [
    "client id of a module",
    { connectionString: `${connectionString};ModuleId=m` },
    { clientId: "dev1/m" },
  ],
  ["user name given", { connectionString, username: "u" }, { username: "u" }],
  [
    "api version",
    { connectionString, apiVersion: "2020-09-30" },
    { username: expect.stringContaining("api-version=2020-09-30") },
  ],
  [
    "gateway: the user name keeps the hub's name",
    { connectionString: `${connectionString};GatewayHostName=edge.local` },
    { username: expect.stringMatching(/^hub\.example\/dev1\//), hostName: "hub.example" },
  ],
  ["client id repeated", { connectionString, clientId: "dev1" }, { clientId: "dev1" }],
  [
    "X.509 string",
    { connectionString: "HostName=h.example;DeviceId=d;x509=true", certificate },
    { clientId: "d" },
  ],
  [
    "X.509 credentials",
    { credentials: { hostName, deviceId: "d", certificate } },
    { clientId: "d" },
  ],
  [
    "the guide's way, with a token",
    { hostName, clientId: "d/m", password: token },
    { clientId: "d/m", identity: { deviceId: "d", moduleId: "m" } },
  ],
  [
    "the guide's way, with a certificate",
    { hostName, clientId: "d", certificate },
    { clientId: "d" },
  ],
  ["protocol level", { connectionString, protocol: 4 }, {}],
  ["protocol version", { connectionString, protocol: "3.1.1" }, {}],
] satisfies [string, object, object][])("%s", (_name, options, expected) => {
  const { endpoint } = resolveOptions({ openStream, ...options } as ConnectOptions);
  expect(endpoint).toMatchObject(expected);
});

const base = { connectionString };
test.each([
  ["nothing", {}, "argument.invalid", "Pass one of"],
  [
    "two ways at once",
    { ...base, hostName: "h", clientId: "d" },
    "argument.invalid",
    "Pass one of",
  ],
  ["MQTT 5", { ...base, protocol: 5 }, "argument.invalid", "3.1.1"],
  ["MQTT 3.1", { ...base, protocol: "3.1" }, "argument.invalid", "3.1.1"],
  ["QoS 2", { ...base, qos: 2 }, "argument.invalid", "no QoS 2"],
  ["a foreign client id", { ...base, clientId: "other" }, "argument.invalid", "clientId is dev1"],
  ["keepalive 0", { ...base, keepAliveS: 0 }, "argument.invalid", "never notice a dead connection"],
  ["keepalive above Azure's", { ...base, keepAliveS: 1178 }, "argument.invalid", "1767"],
  ["a fraction", { ...base, maxInflight: 1.5 }, "argument.invalid", "maxInflight"],
  ["a number as text", { ...base, retryIntervalMs: "5000" }, "argument.invalid", "retryIntervalMs"],
  [
    "renewal longer than the token",
    { ...base, tokenLifetimeS: 60, tokenRenewBeforeS: 60 },
    "argument.invalid",
    "tokenRenewBeforeS",
  ],
  [
    "reconnect bounds the wrong way round",
    { ...base, reconnectDelay: { minMs: 10, maxMs: 5 } },
    "argument.invalid",
    "reconnectDelay.maxMs",
  ],
  ["the guide's keepalive", { ...base, keepalive: 60 }, "argument.invalid", "use keepAliveS"],
  [
    "the guide's max_inflight_messages",
    { ...base, max_inflight_messages: 5 },
    "argument.invalid",
    "use maxInflight",
  ],
  [
    "the guide's retry_interval",
    { ...base, retry_interval: 5 },
    "argument.invalid",
    "retryIntervalMs, in milliseconds",
  ],
  [
    "switching validation off",
    { ...base, rejectUnauthorized: false },
    "argument.invalid",
    "always validated",
  ],
  ["another case", { ...base, keepalives: 60 }, "argument.invalid", "no option keepalives"],
  ["a case slip", { ...base, failfast: true }, "argument.invalid", "use failFast"],
  [
    "x509 without certificate",
    { connectionString: "HostName=h.example;DeviceId=d;x509=true" },
    "argument.invalid",
    "certificate",
  ],
  [
    "a key and a certificate",
    { ...base, certificate },
    "argument.invalid",
    "leave certificate out",
  ],
  [
    "two proofs",
    { credentials: { hostName, ...identity, sharedAccessKey: key, sharedAccessSignature: token } },
    "argument.invalid",
    "exactly one",
  ],
  ["no proof", { credentials: { hostName, ...identity } }, "argument.invalid", "exactly one"],
  [
    "no host name",
    { credentials: { deviceId: "d", sharedAccessKey: key } },
    "argument.invalid",
    "hostName",
  ],
  [
    "a bad device id",
    { credentials: { hostName, deviceId: "a/b", sharedAccessKey: key } },
    "argument.invalid",
    "deviceId",
  ],
  ["a host name alone", { hostName }, "argument.invalid", "clientId"],
  ["the guide's way without proof", { hostName, clientId: "d" }, "argument.invalid", "password"],
  [
    "a service's connection string",
    { connectionString: `HostName=h.example;SharedAccessKeyName=service;SharedAccessKey=${key}` },
    "connection_string.is_service",
    "",
  ],
  [
    "a token that is none",
    { credentials: { hostName, ...identity, sharedAccessSignature: "abc" } },
    "sas.malformed",
    "",
  ],
  [
    "a certificate that is none",
    { credentials: { hostName, ...identity, certificate }, openStream: undefined },
    "transport.tls_credentials",
    "",
  ],
  ["a handler that is none", { ...base, methods: { m: 1 } }, "argument.invalid", "method m"],
] satisfies [string, object, string, string][])(
  "%s is refused by name, before anything is dialled",
  async (_name, options, code, words) => {
    const outcome = new Outcome(connect({ openStream, ...options } as unknown as ConnectOptions));
    await new Promise((resolve) => setImmediate(resolve));
    expect(outcome.code).toBe(code);
    expect(outcome.error.message).toContain(words);
    expect(outcome.error.remedy).not.toBe("");
  },
);

test("every number has its bounds kept", () => {
  for (const [name, { min, max, preset }] of Object.entries(numberOptions)) {
    if (name === "port") continue;
    const withNumber = (value: number): void => {
      resolveOptions({ connectionString, openStream, [name]: value });
    };
    for (const good of [min, preset, max]) expect(() => withNumber(good)).not.toThrow();
    for (const bad of [min - 1, max + 1, Number.NaN, Infinity]) {
      expect(() => withNumber(bad)).toThrow(expect.objectContaining({ code: "argument.invalid" }));
    }
  }
});

test("a password given is sent as it is and never renewed", async () => {
  const world = new World();
  const { credentials: _, ...rest } = world.options();
  const outcome = new Outcome(
    connect({
      ...rest,
      hostName,
      clientId: "dev1",
      username: "u",
      password: "pa ss",
    } as ConnectOptions),
  );
  await world.clock.runUntil(() => outcome.isSettled);
  expect(world.hub.current.request).toMatchObject({ clientId: "dev1", username: "u" });
  expect(Buffer.from(world.hub.current.request?.password ?? []).toString()).toBe("pa ss");
  await world.clock.advance(7_200_000);
  expect(world.hub.opened).toBe(1);
});

test("with X.509 there is a user name and no password", async () => {
  const world = new World();
  await world.connect({ credentials: { hostName, ...identity, certificate } } as object);
  const { request } = world.hub.current;
  expect(request?.username).toMatch(/^hub\.example\/dev1\//);
  expect(request?.password).toBeUndefined();
});

test("a policy's key signs with the policy's name", async () => {
  const world = new World();
  await world.connect({
    credentials: { hostName, ...identity, sharedAccessKey: key, sharedAccessKeyName: "device" },
  } as object);
  const password = Buffer.from(world.hub.current.request?.password ?? []).toString();
  expect(password).toMatch(/&skn=device$/);
});

test("keys and tokens show neither in the client nor in any error", async () => {
  const world = new World();
  const shown: string[] = [];
  const show = (thing: unknown): void => {
    shown.push(inspect(thing, { depth: Infinity, showHidden: true }), JSON.stringify(thing) ?? "");
  };
  const refused = new World({ refuse: () => 5 });
  const opening = refused.connecting({ onStatus: show });
  await refused.clock.runUntil(() => opening.isSettled);
  show(opening.error);
  const client: DeviceClient = await world.connect({ onStatus: show });
  show(client);
  world.hub.cut();
  await world.clock.settle();
  show(client.status());
  const late = new Outcome(client.sendTelemetry("x", { timeoutMs: 5 }));
  await world.clock.advance(10);
  show(late.error);
  for (const wrong of [
    `${connectionString};SharedAccessKey=${key}`,
    connectionString.replace("=hub", ""),
    `${connectionString}!`,
  ]) {
    const outcome = new Outcome(connect({ connectionString: wrong, openStream }));
    await new Promise((resolve) => setImmediate(resolve));
    show(outcome.error);
  }
  const text = shown.join("\n");
  for (const secret of [world.key, refused.key, key, "sig="]) expect(text).not.toContain(secret);
  expect(text).toContain("device.refused_not_authorized");
});
