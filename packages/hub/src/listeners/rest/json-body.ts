import { IotError, isJsonObject, parseJson } from "@hubwire/protocol";
import type { JsonObject, JsonValue } from "@hubwire/protocol";
import type { RestRequest } from "./exchange.ts";

/** Bodies nest no deeper than a method payload reasonably does. */
const depthMax = 128;

/** Nothing said is taken for JSON, as small clients say nothing; another charset than UTF-8 is another type. */
function isJsonType(contentType: string | undefined): boolean {
  if (contentType === undefined || contentType === "") return true;
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  if (type.trim() !== "application/json") return false;
  return parameters.every(
    (parameter) =>
      !parameter.trim().startsWith("charset=") || /^charset="?utf-?8"?$/.test(parameter.trim()),
  );
}

/**
 * The body's bytes, if it says it is JSON.
 * @throws IotError `request.content_type`, `request.too_large`
 */
export async function readJsonBytes(request: RestRequest, bytesMax: number): Promise<Uint8Array> {
  if (!isJsonType(request.headers["content-type"])) {
    throw new IotError("request.content_type", "The body must be application/json in UTF-8");
  }
  return request.readBody(bytesMax);
}

/** @throws IotError `json.*` */
export const parseBody = (bytes: Uint8Array): JsonValue =>
  parseJson(bytes, { bytesMax: bytes.length, depthMax });

/** @throws IotError `argument.invalid` when `value` is no object */
export function requireObject(value: unknown, what: string): JsonObject {
  if (isJsonObject(value)) return value;
  throw new IotError("argument.invalid", `${what} must be a JSON object`);
}

/** The first own member of any of these names; null counts as absent, as many serialisers write it so. */
export function member(object: JsonObject, ...names: string[]): JsonValue | undefined {
  for (const name of names) {
    const value = Object.hasOwn(object, name) ? object[name] : undefined;
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** @throws IotError `argument.invalid` when the member is there and no text */
export function textMember(object: JsonObject, ...names: string[]): string | undefined {
  const value = member(object, ...names);
  if (value === undefined || typeof value === "string") return value;
  throw new IotError("argument.invalid", `${names[0]} must be text`);
}
