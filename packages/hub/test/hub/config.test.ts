import { expect, test } from "vitest";
import { checkConfig } from "../../src/config-check.ts";

const refused: { config: unknown; says: string }[] = [
  { config: { mqttport: 1 }, says: 'option "mqttport" is unknown; did you mean mqttPort?' },
  { config: { dataDir: "x" }, says: 'option "dataDir" is unknown; did you mean dataDirectory?' },
  { config: { logLevl: "info" }, says: "did you mean logLevel?" },
  { config: { entirelyDifferent: 1 }, says: 'option "entirelyDifferent" is unknown' },
  { config: { __proto__: null, constructor: 1 }, says: '"constructor" is unknown' },
  {
    config: { mqttPort: "8883" },
    says: 'mqttPort must be a whole number from 0 to 65535; it is "8883"',
  },
  { config: { mqttPort: 65_536 }, says: "from 0 to 65535; it is 65536" },
  { config: { httpsPort: -1 }, says: "httpsPort must be" },
  { config: { httpsPort: 1.5 }, says: "httpsPort must be" },
  { config: { partitions: 0 }, says: "partitions must be a whole number from 1 to 32" },
  { config: { partitions: 33 }, says: "partitions must be" },
  { config: { host: "" }, says: "host must be a text that is not empty" },
  { config: { hostName: "localhost:8883" }, says: "hostName must be a host name without port" },
  { config: { hostName: "a;DeviceId=b" }, says: "hostName must be a host name" },
  { config: { hostNames: "a" }, says: "hostNames must be a list" },
  { config: { hostNames: ["a", "b c"] }, says: 'hostNames has "b c" at 1, which must be' },
  { config: { deviceCas: [1] }, says: "deviceCas has 1 at 0, which must be a text" },
  { config: { clockToleranceS: NaN }, says: "clockToleranceS must be a number of seconds" },
  { config: { expiryGraceS: 601 }, says: "expiryGraceS must be a number of seconds from 0 to 600" },
  { config: { strictUserName: "yes" }, says: "strictUserName must be true or false" },
  { config: { mode: "loose" }, says: 'mode must be one of strict, lenient; it is "loose"' },
  { config: { logLevel: "trace" }, says: "logLevel must be one of debug, info" },
  { config: { logFormat: null }, says: "logFormat must be one of json, pretty; it is null" },
  { config: { retention: { days: 1 } }, says: 'retention."days" is unknown' },
  { config: { retention: { hours: -1 } }, says: "retention.hours must be" },
  { config: { limits: { mqtt: { conectionsMax: 1 } } }, says: "did you mean connectionsMax?" },
  { config: { limits: { mqtt: { connectionsMax: 0 } } }, says: "limits.mqtt.connectionsMax must" },
  { config: { limits: { rest: { requestsMax: "1" } } }, says: "limits.rest.requestsMax must" },
  {
    config: { limits: { telemetrySegmentBytes: 65_536 } },
    says: "limits.telemetrySegmentBytes must be a whole number from 524288",
  },
  { config: { limits: 5 }, says: "limits" },
  { config: { logger: {} }, says: "logger must be an object with debug, info, warn, error" },
  { config: { clock: 5 }, says: "clock must be an object with wallMs" },
  { config: { stores: {}, dataDirectory: "x" }, says: "stores must be an object with documents" },
  { config: null, says: "must be an object and is null" },
  { config: [], says: "must be an object" },
  { config: "x", says: 'must be an object and is "x"' },
];

test.each(refused)("$says", ({ config, says }) => {
  expect(() => checkConfig(config)).toThrow(
    expect.objectContaining({
      code: "argument.invalid",
      message: expect.stringContaining(says) as string,
    }) as Error,
  );
});

test("stores and a data directory at once are refused", () => {
  const stores = { documents: {}, c2d: {}, telemetry: {} };
  expect(() => checkConfig({ stores, dataDirectory: "x" })).toThrow("not both");
});

test("every option is taken, and undefined counts as left out", () => {
  checkConfig({});
  checkConfig({
    host: "0.0.0.0",
    mqttPort: 0,
    httpsPort: 65_535,
    dataDirectory: "data",
    hostName: "hub-1.example",
    hostNames: ["10.0.0.7", "a_b"],
    deviceCas: ["pem"],
    partitions: 32,
    clockToleranceS: 0,
    expiryGraceS: 0,
    strictUserName: true,
    mode: "lenient",
    retention: { hours: 0.5, bytes: 1 },
    limits: {
      mqtt: { connectionsMax: 1 },
      rest: { requestsMax: 1 },
      telemetry: { bytesOpenMax: 1 },
      handshakeTimeoutMs: 1,
      documentsBytesMax: 2 ** 20,
      telemetrySegmentBytes: 2 ** 20,
    },
    logLevel: "silent",
    logFormat: "pretty",
    logger: undefined,
  });
});
