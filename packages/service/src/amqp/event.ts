import type { Message } from "rhea";

/** One event of the Event Hubs-compatible endpoint: telemetry of a device, or news about one. */
export type DeviceEvent = {
  partitionId: string;
  /** Grows by one per event of its partition. */
  sequenceNumber: number;
  offset: string;
  /** When the hub had it. */
  enqueuedTime: Date;
  partitionKey: string | undefined;
  deviceId: string | undefined;
  moduleId: string | undefined;
  /** `Telemetry`, `twinChangeEvents`, `deviceLifecycleEvents`, `deviceConnectionStateEvents` … */
  messageSource: string | undefined;
  /** What its sender set, by the names of the service's properties. */
  system: {
    messageId?: string;
    correlationId?: string;
    userId?: string;
    to?: string;
    contentType?: string;
    contentEncoding?: string;
    /** ISO 8601. */
    expiryTimeUtc?: string;
    creationTimeUtc?: string;
  };
  /** Application properties. */
  properties: Record<string, string>;
  /** Everything the hub wrote on it, by its names on the wire, such as `iothub-connection-auth-method`. */
  annotations: Record<string, unknown>;
  body: Uint8Array;
  text(): string;
  /** @throws SyntaxError when the body is not JSON */
  json(): unknown;
};

export function eventOf(partitionId: string, message: Message): DeviceEvent {
  const annotations = (message.message_annotations ?? {}) as Record<string, unknown>;
  const body = bytesOf(message.body);
  const text = (): string => new TextDecoder().decode(body);
  return {
    partitionId,
    sequenceNumber: numberOf(annotations["x-opt-sequence-number"]),
    offset: String(annotations["x-opt-offset"]),
    enqueuedTime: timeOf(annotations["x-opt-enqueued-time"]) ?? new Date(NaN),
    partitionKey: textOf(annotations["x-opt-partition-key"]),
    deviceId: textOf(annotations["iothub-connection-device-id"]),
    moduleId: textOf(annotations["iothub-connection-module-id"]),
    messageSource: textOf(annotations["iothub-message-source"]),
    system: systemOf(message),
    properties: Object.fromEntries(
      Object.entries((message.application_properties ?? {}) as Record<string, unknown>).map(
        ([name, value]) => [name, textOf(value) ?? ""],
      ),
    ),
    annotations,
    body,
    text,
    json: () => JSON.parse(text()) as unknown,
  };
}

function systemOf(message: Message): DeviceEvent["system"] {
  const {
    message_id: messageId,
    correlation_id: correlationId,
    user_id: userId,
    to,
    content_type: contentType,
    content_encoding: contentEncoding,
    absolute_expiry_time: expiry,
    creation_time: creation,
  } = message;
  const found = {
    messageId: textOf(messageId),
    correlationId: textOf(correlationId),
    userId: textOf(userId),
    to: textOf(to),
    contentType: textOf(contentType),
    contentEncoding: textOf(contentEncoding),
    expiryTimeUtc: timeOf(expiry)?.toISOString(),
    creationTimeUtc: timeOf(creation)?.toISOString(),
  };
  return Object.fromEntries(
    Object.entries(found).filter(([, value]) => value !== undefined),
  ) as DeviceEvent["system"];
}

type Section = { typecode: number; content: unknown; multiple?: boolean };

/** The bytes of a body: data sections one behind the other; text as UTF-8; any other value as its JSON. */
export function bytesOf(body: unknown): Uint8Array {
  if (body === undefined || body === null) return new Uint8Array();
  if (body instanceof Uint8Array) return body;
  if (typeof body === "string") return new TextEncoder().encode(body);
  const section = body as Partial<Section>;
  if (section.typecode === 0x75) {
    const parts = section.multiple === true ? (section.content as Uint8Array[]) : [section.content];
    return Buffer.concat(parts as Uint8Array[]);
  }
  return new TextEncoder().encode(JSON.stringify(body));
}

const uuidBytes = 16;

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) {
    const bytes = Buffer.from(value);
    const text = bytes.toString("utf8");
    // A binary that is text is text; sixteen bytes that are not are a UUID.
    const isText = Buffer.from(text).equals(bytes);
    return isText || bytes.length !== uuidBytes ? text : uuidOf(bytes);
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value as number | boolean);
}

const uuidOf = (bytes: Buffer): string =>
  bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/u, "$1-$2-$3-$4-$5");

const timeOf = (value: unknown): Date | undefined =>
  value instanceof Date
    ? value
    : typeof value === "number" && Number.isFinite(value)
      ? new Date(value)
      : undefined;

/** A long that is too large for a number comes as its bytes. */
function numberOf(value: unknown): number {
  if (value instanceof Uint8Array) return Number(Buffer.from(value).readBigInt64BE());
  return Number(value);
}
