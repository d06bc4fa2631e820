import { rhea } from "./rhea.ts";

const uuidBytes = 16;

/** A message id or correlation id as text: a uuid in its canonical lower-case form. */
export function idText(id: string | number | Buffer | undefined | null): string | undefined {
  if (id === undefined || id === null) return undefined;
  if (!Buffer.isBuffer(id)) return String(id);
  return id.length === uuidBytes ? rhea.uuid_to_string(id).toLowerCase() : id.toString("utf8");
}

/** A property's value as text, since a device's property bag knows nothing else. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Buffer.isBuffer(value)) return value.toString("utf8");
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "object") return JSON.stringify(value);
  return String(value as string | number | boolean);
}

/** A field of a performative that was written: rhea gives null for some that were not, and undefined for others. */
export const isGiven = <T>(value: T | null | undefined): value is T =>
  value !== null && value !== undefined;
