import type { JsonValue } from "@hubwire/protocol";

/** Documents are shared between readers, the cache and the tracker, so nobody may change them. */
export function frozen<T extends JsonValue>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) frozen(member as JsonValue);
  return Object.freeze(value);
}
