import { IotError } from "../errors/iot-error.ts";
import { checkDtdlName, componentPatch } from "./component-patch.ts";

/**
 * How a device answers the wish for a property: an HTTP status by custom.
 * @see Microsoft docs, "IoT Plug and Play conventions", Acknowledgment responses
 */
export const acknowledgementCode = {
  /** Done: the property has the value. */
  completed: 200,
  /** Taken, and not done yet; report again when it is. */
  inProgress: 202,
  /** The device's own default, not a wish; with `av` 0. */
  deviceDefault: 203,
  badRequest: 400,
  failed: 500,
} as const;

/** What a device reports for a writable property. */
export type Acknowledgement<Value = unknown> = {
  /** The value the property has now, which is not always the desired one. */
  value: Value;
  /** Acknowledgement code, see `acknowledgementCode`. */
  ac: number;
  /** Acknowledgement version: `$version` of the desired properties it answers; 0 for a default of the device. */
  av: number;
  /** Acknowledgement description, for people. */
  ad?: string | undefined;
};

/**
 * The reported patch that acknowledges a writable property.
 * @returns `{"temperature":{"value":21,"ac":200,"av":3,"ad":"set"}}`, below the component where there is one
 * @throws IotError `argument.invalid`
 * @see Microsoft docs, "IoT Plug and Play conventions", Writable property
 */
export function writablePropertyPatch(
  component: string | undefined,
  property: string,
  { value, ac, av, ad }: Acknowledgement,
): Record<string, unknown> {
  checkDtdlName("property", property);
  if (!Number.isInteger(ac)) throw invalid(`ac is a whole number, not ${String(ac)}`);
  if (!Number.isSafeInteger(av) || av < 0) throw invalid(`av is a $version, not ${String(av)}`);
  if (value === undefined) throw invalid("value is missing: report the value the property has now");
  const description = ad === undefined ? {} : { ad };
  return componentPatch(component, { [property]: { value, ac, av, ...description } });
}

const invalid = (message: string): IotError => new IotError("argument.invalid", message);
