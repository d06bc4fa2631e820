import { emptyObject, isJsonObject } from "./json.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import { own } from "./merge-patch.ts";

/** When a write happened: 7 fractional digits, and for desired properties the `$version` it made. */
export type Stamp = { lastUpdated: string; version?: number | undefined };

/** `$lastUpdated` text for Unix milliseconds; real hubs write seven fractional digits. */
export const twinTimestamp = (unixMs: number): string =>
  new Date(unixMs).toISOString().replace("Z", "0000Z");

/** The metadata of one node: its stamp first, as real hubs write it. */
export function stamped(stamp: Stamp): JsonObject {
  const node = emptyObject();
  node["$lastUpdated"] = stamp.lastUpdated;
  if (stamp.version !== undefined) node["$lastUpdatedVersion"] = stamp.version;
  return node;
}

/**
 * The metadata after a merge patch: every node the patch names, down from the root, gets the new stamp; deleted ones go;
 * the others keep theirs. Arrays are one leaf.
 */
export function patchMetadata(
  old: JsonValue | undefined,
  patch: JsonObject,
  stamp: Stamp,
): JsonObject {
  const node = stamped(stamp);
  if (isJsonObject(old)) {
    for (const key of Object.keys(old)) {
      if (!key.startsWith("$")) node[key] = own(old, key) ?? null;
    }
  }
  for (const key of Object.keys(patch)) {
    const value = own(patch, key);
    if (value === null || value === undefined) delete node[key];
    else {
      node[key] = isJsonObject(value)
        ? patchMetadata(isJsonObject(old) ? own(old, key) : undefined, value, stamp)
        : stamped(stamp);
    }
  }
  return node;
}
