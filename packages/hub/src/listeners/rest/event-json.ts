import { decodeUtf8, IotError } from "@hubwire/protocol";
import { parseLossless } from "../../domain/methods/index.ts";
import type { TelemetryEvent } from "../../domain/services.ts";

/** What the body looks like to its reader; `bodyBase64` is missing only when the content type vouches for `body`. */
type BodyMembers = { body?: unknown; bodyBase64?: string };

const jsonType = /^application\/(?:[\w.+-]+\+)?json(?:;|$)/;
const printable = /^[\t\n\r\u0020-\u007e\u00a0-\uffff]*$/;

function readText(bytes: Uint8Array): string | undefined {
  try {
    return decodeUtf8(bytes);
  } catch {
    return undefined;
  }
}

function readJson(bytes: Uint8Array): { body: unknown } | undefined {
  try {
    return { body: parseLossless(bytes) };
  } catch (error) {
    if (error instanceof IotError) return undefined;
    throw error;
  }
}

function bodyMembers(event: TelemetryEvent): BodyMembers {
  const { body: bytes } = event;
  const type = event.properties.system.contentType?.toLowerCase().trim() ?? "";
  const encoding = event.properties.system.contentEncoding?.toLowerCase() ?? "utf-8";
  const bodyBase64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
  if (encoding !== "utf-8" && encoding !== "utf8") return { bodyBase64 };
  if (jsonType.test(type)) return readJson(bytes) ?? { bodyBase64 };
  const text = readText(bytes);
  if (text === undefined) return { bodyBase64 };
  if (type.startsWith("text/")) return { body: text };
  // Most small devices name no type: show text as text, and keep the exact bytes beside it.
  return type === "" && printable.test(text) ? { body: text, bodyBase64 } : { bodyBase64 };
}

function parsedAuthMethod(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/**
 * One line of `GET /hubwire/events`, newline included:
 *
 * `{"partition","sequenceNumber","offset","enqueuedTimeUtc","deviceId","moduleId"?,"generationId","authMethod","messageSource",
 * "modelId"?,"properties","systemProperties","body"?,"bodyBase64"?}`
 *
 * - `offset` is text, `enqueuedTimeUtc` ISO 8601, `authMethod` the object of `iothub-connection-auth-method`.
 * - `properties` are the application properties, `systemProperties` those of the message (`messageId`, `contentType` …).
 * - `body` is parsed JSON or text when the content type says so and the bytes agree; else there is `bodyBase64`. Without
 *   a content type printable text comes both ways.
 */
export function formatEventLine(event: TelemetryEvent): string {
  const line = JSON.stringify({
    partition: event.partition,
    sequenceNumber: event.sequenceNumber,
    offset: event.offset,
    enqueuedTimeUtc: new Date(event.enqueuedTimeMs).toISOString(),
    deviceId: event.deviceId,
    moduleId: event.moduleId,
    generationId: event.generationId,
    authMethod: parsedAuthMethod(event.authMethod),
    messageSource: event.messageSource,
    modelId: event.modelId,
    properties: event.properties.application,
    systemProperties: event.properties.system,
    ...bodyMembers(event),
  });
  return `${line}\n`;
}
