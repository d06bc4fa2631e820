import { IotError } from "../errors/iot-error.ts";
import { percentDecode, percentEncode } from "./percent.ts";

/**
 * The last level of a telemetry or cloud-to-device topic: decoded names and values in wire order, repeats kept.
 * A value is null when the pair had no equals sign (`name`, as against `name=`).
 */
export type PropertyBag = readonly (readonly [name: string, value: string | null])[];

/**
 * Reads `name=value&name=value`, percent-encoded UTF-8. Tolerated, because real clients send it: a leading `?`, exactly
 * one trailing `/` (C# always, Java for modules), empty pairs, raw `$`, `/`, `:` and further `=` in values.
 * A `+` is a plus, never a space.
 * @throws IotError `topic.bad_property_bag`
 */
export function parsePropertyBag(text: string): PropertyBag {
  const from = text.startsWith("?") ? 1 : 0;
  const to = text.endsWith("/") ? text.length - 1 : text.length;
  if (from >= to) return [];
  const bag: (readonly [string, string | null])[] = [];
  for (const pair of text.slice(from, to).split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decodeName(equals < 0 ? pair : pair.slice(0, equals));
    if (name === "") throw new IotError("topic.bad_property_bag", "A property has no name");
    bag.push([name, equals < 0 ? null : decode(pair.slice(equals + 1))]);
  }
  return bag;
}

/**
 * Writes a bag: everything but unreserved characters percent-encoded, so that `/`, `=`, `+`, `#` and `&` in values reach
 * every SDK unharmed (Java splits at each `=` and reads `+` as a space; Node cuts the topic at `/`).
 * @throws IotError `topic.bad_property`
 */
export function formatPropertyBag(bag: PropertyBag): string {
  let text = "";
  for (const [name, value] of bag) {
    if (name === "") throw new IotError("topic.bad_property", "A property has no name");
    if (text !== "") text += "&";
    text += value === null ? encode(name) : `${encode(name)}=${encode(value)}`;
  }
  return text;
}

/** Nearly every SDK writes `%24.`, and what follows is seldom encoded: this spares most names the decoder. */
const decodeName = (text: string): string =>
  text.startsWith("%24.") ? `$.${decode(text.slice("%24.".length))}` : decode(text);

function decode(text: string): string {
  const decoded = percentDecode(text);
  if (decoded === undefined) {
    throw new IotError("topic.bad_property_bag", "A property is not percent-encoded UTF-8");
  }
  return decoded;
}

function encode(text: string): string {
  const encoded = percentEncode(text);
  if (encoded === undefined) {
    throw new IotError("topic.bad_property", "A property is not well-formed Unicode text");
  }
  return encoded;
}
