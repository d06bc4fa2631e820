import type { RestBodyKind } from "./rest-route.ts";

/** A JSON Schema, as far as the bodies need it. */
export type JsonSchema = { readonly [member: string]: unknown };

const text = { type: "string" } as const;
const textOrNull = { type: ["string", "null"] } as const;
const count = { type: "integer", minimum: 0 } as const;
const time = { type: "string", format: "date-time" } as const;
const flag = { type: "boolean" } as const;
const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });
const list = (name: string): JsonSchema => ({ type: "array", items: ref(name) });
const oneOf = (...values: string[]): JsonSchema => ({ type: "string", enum: values });
const object = (properties: JsonSchema, required: readonly string[] = []): JsonSchema => ({
  type: "object",
  properties,
  ...(required.length === 0 ? {} : { required }),
});
const id = { type: "string", minLength: 1, maxLength: 128 } as const;
const status = oneOf("enabled", "disabled");
const connectionState = oneOf("Connected", "Disconnected");
const anything: JsonSchema = {};

const identity = {
  generationId: text,
  etag: text,
  connectionState,
  connectionStateUpdatedTime: text,
  lastActivityTime: text,
  cloudToDeviceMessageCount: count,
  authentication: ref("Authentication"),
};
const capabilities = object({ iotEdge: flag });
const twinWrite = {
  tags: { type: ["object", "null"] },
  properties: object({ desired: { type: ["object", "null"] }, reported: { type: "object" } }),
};

/** The shapes by name. @see Azure IoT Hub REST API reference, service, definitions */
export const restSchemas: Readonly<Record<string, JsonSchema>> = {
  Authentication: object({
    type: oneOf("sas", "selfSigned", "certificateAuthority", "none"),
    symmetricKey: object({ primaryKey: textOrNull, secondaryKey: textOrNull }),
    x509Thumbprint: object({ primaryThumbprint: textOrNull, secondaryThumbprint: textOrNull }),
  }),
  Device: object({
    deviceId: id,
    status,
    statusReason: textOrNull,
    statusUpdatedTime: text,
    ...identity,
    capabilities,
    deviceScope: text,
    parentScopes: { type: "array", items: text },
  }),
  Module: object({ moduleId: id, managedBy: textOrNull, deviceId: id, ...identity }),
  Twin: object({
    deviceId: id,
    moduleId: id,
    etag: text,
    deviceEtag: text,
    status,
    statusReason: text,
    statusUpdateTime: time,
    connectionState,
    lastActivityTime: time,
    cloudToDeviceMessageCount: count,
    authenticationType: oneOf("sas", "selfSigned", "certificateAuthority", "none"),
    x509Thumbprint: object({ primaryThumbprint: textOrNull, secondaryThumbprint: textOrNull }),
    modelId: text,
    version: count,
    ...twinWrite,
    capabilities,
    deviceScope: text,
    parentScopes: { type: "array", items: text },
  }),
  ExportImportDevice: object(
    {
      id,
      moduleId: id,
      eTag: text,
      importMode: oneOf(
        "create",
        "update",
        "updateIfMatchETag",
        "createOrUpdate",
        "createOrUpdateIfMatchETag",
        "delete",
        "deleteIfMatchETag",
        "updateTwin",
        "updateTwinIfMatchETag",
      ),
      status,
      statusReason: textOrNull,
      authentication: ref("Authentication"),
      twinETag: text,
      ...twinWrite,
      capabilities,
      managedBy: textOrNull,
    },
    ["id"],
  ),
  BulkRegistryOperationResult: object({
    isSuccessful: flag,
    errors: {
      type: "array",
      items: object({
        deviceId: id,
        errorCode: text,
        errorStatus: text,
        moduleId: text,
        operation: text,
      }),
    },
    warnings: {
      type: "array",
      items: object({ deviceId: id, warningCode: text, warningStatus: text }),
    },
  }),
  QuerySpecification: object({ query: { type: "string", maxLength: 8192 } }, ["query"]),
  CloudToDeviceMethod: object(
    {
      methodName: { type: "string", minLength: 1, maxLength: 128 },
      payload: anything,
      responseTimeoutInSeconds: { type: "integer", minimum: 5, maximum: 300, default: 30 },
      connectTimeoutInSeconds: { type: "integer", minimum: 0, maximum: 300, default: 0 },
    },
    ["methodName"],
  ),
  CloudToDeviceMethodResult: object({ status: { type: "integer" }, payload: anything }),
  RegistryStatistics: object({
    totalDeviceCount: count,
    enabledDeviceCount: count,
    disabledDeviceCount: count,
  }),
  ServiceStatistics: object({ connectedDeviceCount: count }),
  PurgeMessageQueueResult: object({
    deviceId: id,
    moduleId: textOrNull,
    totalMessagesPurged: count,
  }),
  FeedbackRecord: object({
    originalMessageId: text,
    description: text,
    deviceGenerationId: text,
    deviceId: id,
    enqueuedTimeUtc: time,
    statusCode: oneOf("Success", "Expired", "DeliveryCountExceeded", "Rejected", "Purged"),
  }),
  Error: {
    description: "Form A, with the text of form B inside Message for direct methods; or form B.",
    anyOf: [
      object({ Message: text, ExceptionMessage: text }, ["Message"]),
      object(
        {
          errorCode: { type: "integer" },
          message: text,
          trackingId: text,
          timestampUtc: time,
          info: { type: ["object", "null"] },
        },
        ["errorCode"],
      ),
    ],
  },
};

/** What each kind of body looks like. */
export const restBodySchemas: Readonly<Record<Exclude<RestBodyKind, "none">, JsonSchema>> = {
  device: ref("Device"),
  devices: list("Device"),
  bulk: { ...list("ExportImportDevice"), minItems: 1, maxItems: 100 },
  bulkResult: ref("BulkRegistryOperationResult"),
  module: ref("Module"),
  modules: list("Module"),
  twin: ref("Twin"),
  query: ref("QuerySpecification"),
  queryResult: { type: "array", items: anything },
  methodCall: ref("CloudToDeviceMethod"),
  methodResult: ref("CloudToDeviceMethodResult"),
  deviceStatistics: ref("RegistryStatistics"),
  serviceStatistics: ref("ServiceStatistics"),
  purgeResult: ref("PurgeMessageQueueResult"),
  feedback: list("FeedbackRecord"),
};
