import {
  emptyApplicationProperties,
  encodeUtf8,
  feedbackRequests,
  IotError,
} from "@hubwire/protocol";
import type { JsonObject, SystemProperties } from "@hubwire/protocol";
import type { C2dMessage } from "../../domain/services.ts";
import { member, requireObject, textMember } from "./json-body.ts";

const systemNames = [
  "messageId",
  "correlationId",
  "userId",
  "contentType",
  "contentEncoding",
  "to",
] as const satisfies readonly (keyof SystemProperties)[];

/**
 * Reads the body of `POST /hubwire/devices/{deviceId}/messages`:
 *
 * | member | type | meaning |
 * | --- | --- | --- |
 * | `body` | string, or any JSON value | text is sent as it is, anything else as JSON text |
 * | `bodyBase64` | string | bytes, instead of `body`; neither means an empty body |
 * | `properties` | object of strings | application properties |
 * | `messageId`, `correlationId`, `userId`, `contentType`, `contentEncoding`, `to` | string | system properties |
 * | `ack` | `none`, `positive`, `negative`, `full` | feedback wanted; default none |
 * | `expiryTimeUtc` | ISO 8601 with zone | default: one hour from now |
 *
 * @throws IotError `argument.invalid`, `message.bad_expiry`
 */
export function parseC2dSend(value: unknown): C2dMessage {
  const json = requireObject(value, "The message");
  const system: SystemProperties = {};
  for (const name of systemNames) {
    const text = textMember(json, name);
    if (text !== undefined) system[name] = text;
  }
  const ack = textMember(json, "ack");
  if (ack !== undefined && !(feedbackRequests as readonly string[]).includes(ack)) {
    throw new IotError("argument.invalid", `ack is one of ${feedbackRequests.join(", ")}`);
  }
  return {
    properties: { system, application: parseProperties(json) },
    ack,
    expiresAtMs: parseExpiry(textMember(json, "expiryTimeUtc")),
    body: parseBytes(json),
  };
}

function parseProperties(json: JsonObject): Record<string, string> {
  const properties = requireObject(member(json, "properties") ?? {}, "properties");
  const application = emptyApplicationProperties();
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value !== "string") {
      throw new IotError("argument.invalid", "Every member of properties must be text");
    }
    application[name] = value;
  }
  return application;
}

function parseBytes(json: JsonObject): Uint8Array {
  const hasBody = Object.hasOwn(json, "body");
  const base64 = textMember(json, "bodyBase64");
  if (base64 === undefined) {
    if (!hasBody) return new Uint8Array(0);
    const { body } = json;
    return encodeUtf8(typeof body === "string" ? body : JSON.stringify(body));
  }
  if (hasBody) throw new IotError("argument.invalid", "Send body or bodyBase64, not both");
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("base64") !== base64) {
    throw new IotError("argument.invalid", "bodyBase64 is not base64");
  }
  return bytes;
}

const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)$/;

function parseExpiry(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = isoTime.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new IotError("message.bad_expiry", "expiryTimeUtc is not an ISO 8601 time with its zone");
  }
  return ms;
}
