import { isJsonObject } from "@hubwire/protocol";
import type { JsonObject, JsonValue } from "@hubwire/protocol";

/**
 * The merge patch that turns `from` into `to`: what a device missed while it was away. Keys that are gone are null, arrays
 * are whole, an empty result means nothing changed.
 */
export function patchBetween(from: JsonObject, to: JsonObject): JsonObject {
  const patch = Object.create(null) as JsonObject;
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) patch[key] = null;
  for (const key of Object.keys(to)) {
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    const after = to[key] as JsonValue;
    if (before !== undefined && isJsonObject(before) && isJsonObject(after)) {
      const inner = patchBetween(before, after);
      if (Object.keys(inner).length > 0) patch[key] = inner;
    } else if (before === undefined || !same(before, after)) patch[key] = after;
  }
  return patch;
}

function same(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => same(item, b[i] as JsonValue));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(a[key] as JsonValue, b[key] as JsonValue))
  );
}
