import { IotError } from "../errors/iot-error.ts";
import { emptyObject, isJsonObject } from "../twin/json.ts";
import type { JsonObject, JsonValue } from "../twin/json.ts";
import { own } from "../twin/merge-patch.ts";

/** The marker that tells a component from a property that happens to be an object. */
export const componentMarker = { key: "__t", value: "c" } as const;

const DTDL_NAME = /^[a-zA-Z](?:[a-zA-Z0-9_]{0,510}[a-zA-Z0-9])?$/;

/**
 * Names in a DTDL model: letters, digits and underscores, beginning with a letter, not ending with an underscore, at most 512
 * characters.
 * @throws IotError `argument.invalid`
 * @see DTDL v3 and v4 language description, `name` of Command, Component, Property
 */
export function checkDtdlName(what: string, name: unknown): asserts name is string {
  if (typeof name === "string" && DTDL_NAME.test(name)) return;
  throw new IotError(
    "argument.invalid",
    `A ${what}'s name has letters, digits and underscores, begins with a letter and ends with a letter or digit, not ${JSON.stringify(name)}`,
  );
}

/**
 * A reported patch for a component: the properties below the component's name, with the marker the convention demands.
 * Without component the patch itself.
 * @throws IotError `argument.invalid`
 * @see Microsoft docs, "IoT Plug and Play conventions", Multiple components: read-only property
 */
export function componentPatch<Patch extends Readonly<Record<string, unknown>>>(
  component: string | undefined,
  patch: Patch,
): Record<string, unknown> {
  if (component === undefined) return patch;
  checkDtdlName("component", component);
  return { [component]: { [componentMarker.key]: componentMarker.value, ...patch } };
}

/**
 * The properties of one component in a section (desired or reported), without the marker; of the default component those
 * that are no component themselves. Empty when the component is not there or is something else.
 */
export function componentProperties(
  section: JsonObject,
  component: string | undefined,
): JsonObject {
  const properties = emptyObject();
  const from = component === undefined ? section : own(section, component);
  if (!isJsonObject(from) || (component !== undefined && !isComponent(from))) return properties;
  for (const key of Object.keys(from)) {
    const value = own(from, key) as JsonValue;
    const isOurs = component === undefined ? !isComponent(value) : key !== componentMarker.key;
    if (isOurs) properties[key] = value;
  }
  return properties;
}

/** Whether a member of a section is a component. */
export const isComponent = (value: JsonValue): boolean =>
  isJsonObject(value) && own(value, componentMarker.key) === componentMarker.value;
