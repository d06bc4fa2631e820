/** The system properties of a message and their names on every wire, as data. */

export type SystemPropertyEntry = {
  /** Our name. */
  readonly name: string;
  /** In a property bag, decoded. Only `ack` has no `$.` prefix. */
  readonly wire: string;
  /** Where and under which name a service sees it over AMQP and Event Hubs. */
  readonly amqp?: {
    readonly section: "properties" | "annotations" | "application";
    readonly name: string;
  };
  /** In a routing query. */
  readonly routing?: string;
  /** On the HTTP device endpoints; header names ignore case. */
  readonly http?: string;
  /** Which messages may carry it: set by the device, by the service, or by the hub alone. */
  readonly d2c?: true;
  readonly c2d?: true;
  readonly hubOnly?: true;
};

const entries = <const T extends readonly SystemPropertyEntry[]>(list: T): T => list;

/**
 * @see Azure IoT Hub docs, "Create and read IoT Hub messages" and "IoT Hub message routing query syntax";
 * `sub`, `ifid`, `on`, `schema`, `ctime` and `diag…` observed in the official SDKs and edgeHub
 */
export const systemProperties = entries([
  {
    name: "messageId",
    wire: "$.mid",
    amqp: { section: "properties", name: "message-id" },
    routing: "$messageId",
    http: "IoTHub-MessageId",
    d2c: true,
    c2d: true,
  },
  {
    name: "to",
    wire: "$.to",
    amqp: { section: "properties", name: "to" },
    routing: "$to",
    http: "IoTHub-To",
    d2c: true,
    c2d: true,
  },
  {
    name: "correlationId",
    wire: "$.cid",
    amqp: { section: "properties", name: "correlation-id" },
    routing: "$correlationId",
    http: "IoTHub-CorrelationId",
    d2c: true,
    c2d: true,
  },
  {
    name: "userId",
    wire: "$.uid",
    amqp: { section: "properties", name: "user-id" },
    routing: "$userId",
    http: "IoTHub-UserId",
    d2c: true,
    c2d: true,
  },
  {
    name: "contentType",
    wire: "$.ct",
    amqp: { section: "properties", name: "content-type" },
    routing: "$contentType",
    http: "iothub-contenttype",
    d2c: true,
    c2d: true,
  },
  {
    name: "contentEncoding",
    wire: "$.ce",
    amqp: { section: "properties", name: "content-encoding" },
    routing: "$contentEncoding",
    http: "iothub-contentencoding",
    d2c: true,
    c2d: true,
  },
  {
    name: "absoluteExpiryTime",
    wire: "$.exp",
    amqp: { section: "properties", name: "absolute-expiry-time" },
    routing: "$absoluteExpiryTime",
    http: "IoTHub-Expiry",
    d2c: true,
    c2d: true,
  },
  {
    name: "creationTimeUtc",
    wire: "$.ctime",
    amqp: { section: "application", name: "iothub-creation-time-utc" },
    d2c: true,
  },
  {
    name: "componentName",
    wire: "$.sub",
    amqp: { section: "annotations", name: "dt-subject" },
    routing: "$dt-subject",
    http: "dt-subject",
    d2c: true,
  },
  {
    name: "interfaceId",
    wire: "$.ifid",
    amqp: { section: "annotations", name: "iothub-interface-id" },
    routing: "$iothub-interface-id",
    http: "iothub-interface-id",
    d2c: true,
  },
  {
    name: "outputName",
    wire: "$.on",
    amqp: { section: "annotations", name: "iothub-outputname" },
    d2c: true,
  },
  {
    name: "schema",
    wire: "$.schema",
    amqp: { section: "application", name: "iothub-message-schema" },
    d2c: true,
  },
  {
    name: "diagnosticId",
    wire: "$.diagid",
    amqp: { section: "annotations", name: "Diagnostic-Id" },
    d2c: true,
  },
  {
    name: "diagnosticContext",
    wire: "$.diagctx",
    amqp: { section: "annotations", name: "Correlation-Context" },
    d2c: true,
  },
  { name: "traceState", wire: "$.tracestate", d2c: true },
  {
    name: "connectionDeviceId",
    wire: "$.cdid",
    amqp: { section: "annotations", name: "iothub-connection-device-id" },
    hubOnly: true,
  },
  {
    name: "connectionModuleId",
    wire: "$.cmid",
    amqp: { section: "annotations", name: "iothub-connection-module-id" },
    hubOnly: true,
  },
  {
    name: "ack",
    wire: "iothub-ack",
    amqp: { section: "application", name: "iothub-ack" },
    http: "iothub-ack",
    c2d: true,
  },
]);

export type SystemPropertyName = (typeof systemProperties)[number]["name"];

/** All are text, as on the wire; times are ISO 8601 UTC; `ack` is none, positive, negative or full. */
export type SystemProperties = { [Name in SystemPropertyName]?: string };

export const systemPropertyByName: ReadonlyMap<string, SystemPropertyEntry> = new Map(
  systemProperties.map((entry) => [entry.name, entry]),
);

export const systemPropertyByWire: ReadonlyMap<string, SystemPropertyEntry> = new Map(
  systemProperties.map((entry) => [entry.wire, entry]),
);

/** Which feedback the sender of a cloud-to-device message wants. */
export const feedbackRequests = ["none", "positive", "negative", "full"] as const;
export type FeedbackRequest = (typeof feedbackRequests)[number];
