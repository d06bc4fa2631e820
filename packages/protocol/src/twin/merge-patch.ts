import { emptyObject, isJsonObject } from "./json.ts";
import type { JsonObject, JsonValue } from "./json.ts";

/**
 * JSON merge patch (RFC 7396): null deletes, objects merge, everything else replaces; arrays are replaced whole and keep
 * their nulls. Neither argument is changed; parts that stay are shared with `target`, so treat documents as immutable.
 * Made for any keys, `__proto__` and `constructor` included.
 */
export function mergePatch(target: JsonValue | undefined, patch: JsonObject): JsonObject;
export function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue;
export function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isJsonObject(patch)) return patch;
  const merged = emptyObject();
  const old = isJsonObject(target) ? target : emptyObject();
  for (const key of Object.keys(old)) merged[key] = own(old, key) ?? null;
  for (const key of Object.keys(patch)) {
    const value = own(patch, key);
    if (value === null || value === undefined) delete merged[key];
    else merged[key] = mergePatch(own(old, key), value);
  }
  return merged;
}

/** An own member, never something inherited. */
export const own = (object: JsonObject, key: string): JsonValue | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;
