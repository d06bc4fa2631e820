import { IotError } from "../errors/iot-error.ts";
import {
  twinDepthMax,
  twinIntegerMax,
  twinIntegerMin,
  twinKeyBytesMax,
  twinStringBytesMax,
} from "../iothub/limits.ts";
import { utf8Bytes } from "../iothub/utf8.ts";
import { emptyObject, isJsonObject } from "./json.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import { own } from "./merge-patch.ts";

/** What may stand in tags, desired and reported properties, and how large they count. */

/** Read-only members of a section: callers send whole twins back, so these are dropped, not refused. */
const RESERVED: ReadonlySet<string> = new Set([
  "$version",
  "$metadata",
  "$lastUpdated",
  "$lastUpdatedVersion",
]);

/**
 * Checks a patch or a whole section and copies it without its read-only members.
 * @param what for messages, such as "The reported patch"
 * @throws IotError `twin.not_object`, `twin.bad_key`, `twin.bad_value`, `twin.string_too_long`,
 *   `twin.integer_out_of_range`, `twin.too_deep`
 */
export function checkSection(value: unknown, what: string): JsonObject {
  if (!isPlainObject(value)) {
    throw new IotError("twin.not_object", `${what} is not a JSON object`);
  }
  return checkObject(value, 0, what);
}

function checkObject(value: JsonObject, depth: number, what: string): JsonObject {
  checkDepth(depth, what);
  const copy = emptyObject();
  for (const key of Object.keys(value)) {
    if (RESERVED.has(key)) continue;
    checkKey(key, what);
    copy[key] = checkValue(own(value, key), depth, what);
  }
  return copy;
}

function checkValue(value: unknown, depth: number, what: string): JsonValue {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") return checkNumber(value, what);
  if (typeof value === "string") return checkString(value, what);
  if (Array.isArray(value)) return value.map((element) => checkElement(element, depth, what));
  if (isPlainObject(value)) return checkObject(value, depth + 1, what);
  throw new IotError("twin.bad_value", `${what} has ${kindOf(value)}, which JSON has not`);
}

/**
 * In Azure's rule only objects count as levels, so an array does not; one directly inside another does here, because
 * callers can pass arrays that contain themselves.
 */
function checkElement(element: unknown, depth: number, what: string): JsonValue {
  if (!Array.isArray(element)) return checkValue(element, depth, what);
  checkDepth(depth + 1, what);
  return checkValue(element, depth + 1, what);
}

function checkDepth(depth: number, what: string): void {
  if (depth > twinDepthMax) {
    throw new IotError("twin.too_deep", `${what} is nested more than ${twinDepthMax} deep`);
  }
}

/** `[object Date]` and the like: JSON.stringify would make something else of these, silently. */
const kindOf = (value: unknown): string => Object.prototype.toString.call(value);
const isPlainObject = (value: unknown): value is JsonObject =>
  isJsonObject(value) && kindOf(value) === "[object Object]";

function checkNumber(value: number, what: string): number {
  if (!Number.isFinite(value)) {
    throw new IotError("twin.bad_value", `${what} has a number that JSON cannot write`);
  }
  if (Number.isInteger(value) && (value < twinIntegerMin || value > twinIntegerMax)) {
    throw new IotError("twin.integer_out_of_range", `${what} has the integer ${value}`);
  }
  return value;
}

function checkString(value: string, what: string): string {
  // A UTF-16 unit is at most 3 bytes, so most strings need no counting.
  if (value.length * 3 > twinStringBytesMax && utf8Bytes(value) > twinStringBytesMax) {
    throw new IotError(
      "twin.string_too_long",
      `${what} has a string of more than ${twinStringBytesMax} bytes`,
    );
  }
  return value;
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const BAD_KEY = /[\u0000-\u001f\u007f-\u009f.$ ]/;

function checkKey(key: string, what: string): void {
  if (key === "" || BAD_KEY.test(key) || utf8Bytes(key) > twinKeyBytesMax) {
    throw new IotError("twin.bad_key", `${what} has the key ${shownKey(key)}`);
  }
}

const shownKey = (key: string): string =>
  JSON.stringify(key.length <= 64 ? key : `${key.slice(0, 64)}…`);

/**
 * The size IoT Hub counts for a section: each key's and string's length in characters (UTF-16 units) without control
 * characters, 8 for a number, 4 for a boolean, recursively; nothing for brackets and null.
 * @see Azure IoT Hub docs, "Device twin size"
 */
export function twinSize(value: JsonValue): number {
  if (value === null) return 0;
  if (typeof value === "boolean") return 4;
  if (typeof value === "number") return 8;
  if (typeof value === "string") return countedLength(value);
  if (Array.isArray(value)) return value.reduce<number>((sum, one) => sum + twinSize(one), 0);
  let size = 0;
  for (const key of Object.keys(value)) {
    size += countedLength(key) + twinSize(own(value, key) ?? null);
  }
  return size;
}

function countedLength(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f)) length--;
  }
  return length;
}

/** @throws IotError `twin.too_large` */
export function checkSize(section: JsonObject, sizeMax: number, what: string): void {
  const size = twinSize(section);
  if (size > sizeMax) {
    throw new IotError("twin.too_large", `${what} would have size ${size}, more than ${sizeMax}`);
  }
}
