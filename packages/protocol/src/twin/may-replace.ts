import { isJsonObject } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { own } from "./merge-patch.ts";

/**
 * Whether a notification of desired properties may be the whole new section (a service's PUT) and not a patch: it deletes
 * nothing by null, and `before` has something it does not name, which a patch keeps and a replacement removes. The two look
 * the same on the wire; only reading the twin tells them apart.
 * @see Azure IoT Hub docs, "Understand and use device twins": a replacement notifies with the full document
 */
export const mayBeReplacement = (before: JsonObject, notification: JsonObject): boolean =>
  !hasNull(notification) && keepsMore(before, notification);

function hasNull(document: JsonObject): boolean {
  for (const key of Object.keys(document)) {
    const value = own(document, key);
    if (value === null || (isJsonObject(value) && hasNull(value))) return true;
  }
  return false;
}

/** Objects merge, so members of `before` that the other does not name stay, at any depth. */
function keepsMore(before: JsonObject, notification: JsonObject): boolean {
  for (const key of Object.keys(before)) {
    const next = own(notification, key);
    if (next === undefined) return true;
    const now = own(before, key);
    if (isJsonObject(now) && isJsonObject(next) && keepsMore(now, next)) return true;
  }
  return false;
}
