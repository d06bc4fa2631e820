import { emptyObject, isJsonObject } from "./json.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import { own } from "./merge-patch.ts";

/**
 * One merge patch that does what two do one after the other, whatever they are applied to; undefined when there is none.
 *
 * That is not the merge patch of the two: a null of the second must stay, because it deletes what the target may have. And
 * there is none when the first deletes or replaces a member that the second gives an object: the pair clears what the target
 * had below that member, a single patch would keep it.
 * @see RFC 7396; the property test applies both ways to arbitrary documents
 */
export function composePatches(first: JsonObject, second: JsonObject): JsonObject | undefined {
  const composed = emptyObject();
  for (const key of Object.keys(first)) composed[key] = own(first, key) as JsonValue;
  for (const key of Object.keys(second)) {
    const later = own(second, key) as JsonValue;
    const earlier = own(first, key);
    if (earlier === undefined || !isJsonObject(later)) composed[key] = later;
    else if (isJsonObject(earlier)) {
      const inner = composePatches(earlier, later);
      if (inner === undefined) return undefined;
      composed[key] = inner;
    } else return undefined;
  }
  return composed;
}
