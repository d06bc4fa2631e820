import { connectValues, outboxValues, retryValues, type Value } from "./values.ts";

/**
 * One table of the page: properties of types, in this order. `presets` says what a property is when it is left out, where
 * neither the code says it (`values`) nor its type (required).
 */
export type Table = {
  title: string;
  intro: string;
  /** File and type, one or more. */
  of: readonly (readonly [file: string, type: string])[];
  /** Which properties, in this order; all of them when left out. */
  names?: readonly string[];
  /** Put before a property's name. */
  prefix?: string;
  presets?: Readonly<Record<string, string>>;
  values?: Readonly<Record<string, Value>>;
};

const device = (path: string): string => `packages/device/src/${path}.ts`;
const options = device("options/options");
const credentials = device("credentials/credentials");
const both = [
  [options, "Identification"],
  [options, "DeviceOptions"],
] as const;

const ofConnect = (
  title: string,
  intro: string,
  names: readonly string[],
  presets: Readonly<Record<string, string>> = {},
): Table => ({ title, intro, of: both, names, presets, values: connectValues });

/** The tables that together hold every option of `connect`. */
export const connectTables: readonly Table[] = [
  ofConnect(
    "Who connects",
    "One of `connectionString`, `credentials`, `provisioning`, or `hostName` with `clientId`; see [choosing credentials](credentials.md).",
    [
      "connectionString",
      "credentials",
      "provisioning",
      "hostName",
      "clientId",
      "certificate",
      "username",
      "password",
      "apiVersion",
      "modelId",
    ],
    {
      connectionString: "none",
      credentials: "none",
      provisioning: "none",
      hostName: "none",
      clientId: "computed",
      certificate: "none",
      username: "computed",
      password: "computed",
      apiVersion: '`"2021-04-12"`',
      modelId: "none",
    },
  ),
  ofConnect(
    "How it gets there, and whom it trusts",
    "See [networks](networks.md).",
    ["port", "transport", "proxy", "ca", "pins", "protocol"],
    { transport: '`"tls"`', proxy: "none", ca: "none", pins: "none", protocol: '`"3.1.1"`' },
  ),
  ofConnect(
    "The first connection",
    "",
    ["waitForConnection", "failFast", "connectTimeoutMs", "attemptTimeoutMs", "signal"],
    { signal: "none" },
  ),
  ofConnect(
    "Staying connected",
    "",
    [
      "keepAliveS",
      "cleanSession",
      "retry",
      "reconnectDelay",
      "tokenLifetimeS",
      "tokenRenewBeforeS",
    ],
    {
      retry: "for ever, see [retry](#retry)",
      reconnectDelay: "see [retry](#retry)",
      tokenRenewBeforeS: "a seventh of `tokenLifetimeS`",
    },
  ),
  ofConnect(
    "Telemetry",
    "What a message may bring of its own is [below](#one-telemetry-message).",
    [
      "qos",
      "maxInflight",
      "retryIntervalMs",
      "callTimeoutMs",
      "outbox",
      "queueMessagesMax",
      "queueBytesMax",
      "drainRate",
      "messageIds",
    ],
    {
      outbox: '`{ kind: "memory" }`',
      drainRate: "none in memory, 1000 with a durable outbox",
      messageIds: '`"given"` in memory, `"auto"` with a durable outbox',
    },
  ),
  ofConnect(
    "The hub's limits",
    "See [watching and limiting](watch-and-limit.md).",
    ["rateLimit", "dailyMessagesMax", "whenSpent"],
    { rateLimit: '`"off"`', dailyMessagesMax: "none, or the tier's", whenSpent: '`"wait"`' },
  ),
  ofConnect(
    "Messages, methods, twin",
    "",
    [
      "onMessage",
      "messageTimeoutMs",
      "receiveMax",
      "methods",
      "unknownMethod",
      "methodsConcurrentMax",
      "methodTimeoutMs",
      "confirmDesired",
    ],
    {
      onMessage: "none",
      messageTimeoutMs: "no limit",
      methods: "none",
      unknownMethod: "answers 404",
    },
  ),
  ofConnect("News", "", ["onStatus", "onError"], {
    onStatus: "none",
    onError: "a process warning",
  }),
  ofConnect(
    "Simulation",
    "Only for tests; [a hub in memory](test-your-device.md) sets them for you.",
    ["clock", "openStream", "random", "networkSignature"],
    {
      clock: "the computer's",
      openStream: "none",
      random: "`Math.random`",
      networkSignature: "the computer's addresses",
    },
  ),
];

/** Options inside options, and of calls. */
export const innerTables: readonly Table[] = [
  {
    title: "credentials",
    intro: "The option `credentials`: who, and exactly one proof.",
    of: [
      [credentials, "Credentials"],
      [credentials, "SingleProof"],
      [credentials, "RotatingProof"],
    ],
    presets: {
      moduleId: "none",
      gatewayHostName: "`hostName`",
      sharedAccessKey: "one of these",
      sharedAccessKeyName: "the device's own key",
      sharedAccessSignature: "one of these",
      refresh: "none",
      certificate: "one of these",
      sign: "one of these",
      provider: "one of these",
      current: "one of these, with `next`",
      next: "with `current`",
      onRotated: "none",
    },
  },
  {
    title: "certificate",
    intro: "As text (`cert`, `key`), or as files that are watched (`certFile`, `keyFile`).",
    of: [
      [credentials, "CertificateText"],
      [credentials, "CertificateFiles"],
    ],
    presets: {
      cert: "one of these, with `key`",
      key: "with `cert`",
      certFile: "one of these, with `keyFile`",
      keyFile: "with `certFile`",
      chain: "none",
      chainFile: "none",
      passphrase: "none",
      expiryWarningDays: "`[30, 14, 7, 1]`",
      pollMs: "30000",
    },
  },
  {
    title: "provisioning",
    intro: "See [provisioning](provisioning.md). Exactly one of the five proofs.",
    of: [
      [device("provisioning/provisioning-options"), "ProvisioningOptions"],
      [device("provisioning/provisioning-options"), "Attestation"],
    ],
    presets: {
      symmetricKey: "one of these",
      groupKey: "one of these",
      certificate: "one of these",
      sign: "one of these",
      provider: "one of these",
      provisioningHost: '`"global.azure-devices-provisioning.net"`',
      port: "8883",
      payload: "none",
      remember: "asked at every start",
      reprovision: '`"when-refused"`',
      refusalsBeforeReprovision: "3",
      timeoutMs: "120000",
      apiVersion: '`"2019-03-31"`',
      certificateRequest: "none",
      openStream: "none",
    },
  },
  {
    title: "retry",
    intro: "How the client comes back. `Infinity` is allowed where it says never.",
    of: [[device("connection/retry"), "RetryOptions"]],
    values: retryValues,
    presets: { shouldRetry: "always" },
  },
  {
    title: "outbox",
    intro: "See [delivery guarantees](delivery-guarantees.md).",
    of: [
      [device("outbox/outbox-options"), "OutboxOptions"],
      [device("outbox/outbox-options"), "OutboxBounds"],
    ],
    names: [
      "kind",
      "directory",
      "messagesMax",
      "bytesMax",
      "whenFull",
      "onDropped",
      "fileSystem",
      "segmentBytes",
    ],
    values: outboxValues,
    presets: { onDropped: "none", fileSystem: "the computer's", segmentBytes: "1 MiB" },
  },
  {
    title: "rateLimit",
    intro: "The numbers are this one device's share.",
    of: [[device("limits/rate-limit"), "RateLimits"]],
    presets: {
      tier: "none",
      units: "1",
      devices: "1",
      telemetryPerS: "the tier's",
      twinReadsPerS: "the tier's",
      twinUpdatesPerS: "the tier's",
      burstS: "1",
    },
  },
  {
    title: "pins",
    intro: "See [whom to trust](networks.md#whom-to-trust).",
    of: [["packages/transport/src/tls-pins.ts", "PinOptions"]],
    presets: { mode: '`"enforce"`', onReport: "a process warning", expiresAt: "none" },
  },
  {
    title: "One telemetry message",
    intro:
      "The second argument of `sendTelemetry` and `enqueue`; for `sendTelemetryBatch` and `sendAll` beside `body`. The other system properties (`correlationId`, `userId`, `to`, `absoluteExpiryTime`, `creationTimeUtc`, `interfaceId`, `outputName`, `schema`, `diagnosticId`, `diagnosticContext`, `traceState`) are text that goes through as it is.",
    of: [
      [device("telemetry/telemetry-options"), "TelemetryOptions"],
      [device("calls/pending-call"), "CallOptions"],
    ],
    names: [
      "qos",
      "priority",
      "ttlMs",
      "properties",
      "messageId",
      "contentType",
      "contentEncoding",
      "componentName",
      "timeoutMs",
      "signal",
    ],
    presets: {
      qos: "the option `qos`",
      priority: '`"normal"`',
      ttlMs: "for ever",
      properties: "none",
      messageId: "as `messageIds` says",
      contentType: "`application/json` for JSON values",
      contentEncoding: "`utf-8` for JSON values",
      componentName: "none",
      timeoutMs: "`callTimeoutMs`",
      signal: "none",
    },
  },
  {
    title: "sendAll",
    intro: "Beside the options of one message, which then hold for each.",
    of: [[device("telemetry/send-all"), "SendAllOptions"]],
    presets: { until: '`"acknowledged"`', concurrentMax: "`maxInflight`" },
  },
  {
    title: "onMethod",
    intro: "The third argument of `onMethod` and of `pnp.onCommand`.",
    of: [[device("methods/method"), "MethodOptions"]],
    presets: { parse: "none", timeoutMs: "`methodTimeoutMs`" },
  },
  {
    title: "reportProperties",
    intro: "Beside `timeoutMs` and `signal`, which every call takes.",
    of: [[device("twin/twin-requests"), "ReportOptions"]],
    presets: { ifVersion: "none" },
  },
  {
    title: "keepRenewed",
    intro: "Of `@hubwire/device/certificates`; see [renewing certificates](renew-certificates.md).",
    of: [[device("certificates/keep-renewed"), "KeepRenewedOptions"]],
    presets: {
      renewAt: "2/3",
      reportValidity: "`false`",
      onRenewed: "none",
      onError: "none",
      clock: "the computer's",
      random: "`Math.random`",
    },
  },
  {
    title: "webSocket and auto",
    intro: "Of `@hubwire/websocket`; the last two are of `auto()` only.",
    of: [
      ["packages/websocket/src/web-socket.ts", "WebSocketOptions"],
      ["packages/websocket/src/auto.ts", "AutoOptions"],
    ],
    presets: {
      port: "443",
      path: '`"/$iothub/websocket"`',
      messageBytesMax: "1 MiB",
      headStartMs: "5000",
      returnAfterMs: "3600000",
    },
  },
];
