import { IotError } from "../errors/iot-error.ts";
import { decodeUtf8 } from "../iothub/utf8.ts";

/** JSON values, and how untrusted bytes become one. */

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
/** May have been made without prototype; read it with `Object.hasOwn` and `Object.keys` only. */
export type JsonObject = { [key: string]: JsonValue };

export type JsonLimits = {
  /** Length of the document in bytes. */
  bytesMax: number;
  /** Objects and arrays inside one another. */
  depthMax: number;
};

/** Ample for every document IoT Hub takes: a method payload is the largest, 10 objects with arrays between the deepest. */
export const jsonLimitsDefault: JsonLimits = { bytesMax: 256 * 1024, depthMax: 64 };

/** An object without prototype, so that `__proto__` is a key like any other. */
export const emptyObject = (): JsonObject => Object.create(null) as JsonObject;

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Parses untrusted bytes. Length and depth are checked before anything is built. A key `__proto__` becomes an own
 * property, as JSON.parse has it.
 * @throws IotError `json.too_large`, `json.bad_utf8`, `json.too_deep`, `json.malformed`; messages show no content
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = jsonLimitsDefault): JsonValue {
  if (bytes.length > limits.bytesMax) {
    throw new IotError("json.too_large", `The document is longer than ${limits.bytesMax} bytes`);
  }
  let text: string;
  try {
    text = decodeUtf8(bytes);
  } catch {
    throw new IotError("json.bad_utf8", "The document is not UTF-8 text");
  }
  checkDepth(text, limits.depthMax);
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new IotError("json.malformed", "The document is not valid JSON");
  }
}

/** Counts brackets outside strings; whether they match is for JSON.parse to say. */
function checkDepth(text: string, depthMax: number): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (inString) {
      if (unit === BACKSLASH) i++;
      else if (unit === QUOTE) inString = false;
    } else if (unit === QUOTE) inString = true;
    else if (unit === OPEN_OBJECT || unit === OPEN_ARRAY) {
      if (++depth > depthMax) {
        throw new IotError("json.too_deep", `The document is nested more than ${depthMax} deep`);
      }
    } else if (unit === CLOSE_OBJECT || unit === CLOSE_ARRAY) depth--;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
