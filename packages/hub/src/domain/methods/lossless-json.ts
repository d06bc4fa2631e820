import { decodeUtf8, parseJson } from "@hubwire/protocol";

/** In Node since 21, in the type library not yet. */
type RawJson = { rawJSON(text: string): unknown };
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => unknown;
const rawJson = JSON as unknown as RawJson;

/** Digits that a double cannot hold stay as they were written, so that a 64-bit id survives the way through the hub. */
const keepDigits: Reviver = (_key, value, { source }) =>
  typeof value === "number" && source !== undefined && String(value) !== source
    ? rawJson.rawJSON(source)
    : value;

/** Numbers where the shortest text of the double may differ from what was written. */
const numberAtRisk = /\d{16}|\d[.eE]|-0/;

/** Deeper documents would not survive the stack of whoever reads or writes them next. */
const depthMax = 128;

/**
 * Parses JSON so that `JSON.stringify` gives it back with every number as written. Only for passing on: a number that a
 * double cannot hold becomes an opaque value.
 * @throws IotError `json.bad_utf8`, `json.malformed`, `json.too_deep`
 */
export function parseLossless(bytes: Uint8Array): unknown {
  const value = parseJson(bytes, { bytesMax: bytes.length, depthMax });
  const text = decodeUtf8(bytes);
  return numberAtRisk.test(text) ? parseWithSource(text, keepDigits) : value;
}
