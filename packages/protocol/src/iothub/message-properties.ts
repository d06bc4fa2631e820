import { IotError } from "../errors/iot-error.ts";
import type { DeviceIdentity } from "./identity-id.ts";
import { formatPropertyBag, parsePropertyBag } from "./property-bag.ts";
import { systemProperties, systemPropertyByWire } from "./system-properties.ts";
import type { SystemProperties, SystemPropertyEntry } from "./system-properties.ts";

/** What travels beside a message's body. `application` has no prototype: any text is safe as a name. */
export type MessageProperties = {
  system: SystemProperties;
  application: Record<string, string>;
};

/** What callers may pass where properties are written. */
export type MessagePropertiesInput = {
  readonly system?: Readonly<SystemProperties> | undefined;
  readonly application?: Readonly<Record<string, string>> | undefined;
};

export const emptyApplicationProperties = (): Record<string, string> =>
  Object.create(null) as Record<string, string>;

/**
 * Reads what a device sent behind `messages/events/`. Names are decoded before the `$.` test, so `%24.mid` and `$.mid` are
 * the same; unknown `$.` names are application properties; of repeats the last wins; a pair without `=` has the value "".
 * What only the hub may set (`$.cdid`, `$.cmid`) is dropped.
 * @throws IotError `topic.bad_property_bag`
 */
export const parseD2cProperties = (bagText: string): MessageProperties =>
  readProperties(bagText, (entry) => entry.d2c === true);

/**
 * Reads what the hub sent behind `messages/devicebound/` or a module's input. `iothub-ack` becomes `system.ack`.
 * @throws IotError `topic.bad_property_bag`
 */
export const parseC2dProperties = (bagText: string): MessageProperties =>
  readProperties(bagText, (entry) => entry.c2d === true || entry.hubOnly === true);

/**
 * Writes telemetry properties, system ones first, spelt `%24.`.
 * @returns the bag; "" when there is nothing to say
 * @throws IotError `topic.reserved_property`, `topic.bad_property`
 */
export function formatD2cProperties(properties: MessagePropertiesInput): string {
  const bag: [string, string][] = [];
  for (const entry of systemProperties) {
    const value = properties.system?.[entry.name];
    if (value === undefined) continue;
    if (!("d2c" in entry)) {
      throw new IotError("topic.reserved_property", `${entry.name} is not set by devices`);
    }
    bag.push([entry.wire, value]);
  }
  pushApplication(bag, properties.application, (entry) => entry.wire.startsWith("$."));
  return formatPropertyBag(bag);
}

/**
 * Writes cloud-to-device properties the way every SDK can read: system ones first and always at least `%24.to`
 * (Java starts reading at the first `%24`, C# fails on a topic without bag), `iothub-ack` behind them without prefix.
 * Call it when the message is accepted too, so that a property that cannot be delivered is refused to its sender.
 * @throws IotError `topic.reserved_property`, `topic.bad_property`
 */
export function formatC2dProperties(
  identity: DeviceIdentity,
  properties: MessagePropertiesInput,
): string {
  const system = properties.system ?? {};
  const bag: [string, string][] = [];
  for (const entry of systemProperties) {
    const value = entry.name === "to" ? (system.to ?? c2dAddress(identity)) : system[entry.name];
    if (value === undefined) continue;
    if (!("c2d" in entry) && !("hubOnly" in entry)) {
      throw new IotError("topic.reserved_property", `${entry.name} is not set by services`);
    }
    bag.push([entry.wire, value]);
  }
  pushApplication(bag, properties.application, () => true);
  return formatPropertyBag(bag);
}

/** What the hub writes into `to`: the capital B is what real hubs send. */
const c2dAddress = (identity: DeviceIdentity): string =>
  identity.moduleId === undefined
    ? `/devices/${identity.deviceId}/messages/deviceBound`
    : `/devices/${identity.deviceId}/modules/${identity.moduleId}/messages/deviceBound`;

function pushApplication(
  bag: [string, string][],
  application: Readonly<Record<string, string>> | undefined,
  isReserved: (entry: SystemPropertyEntry) => boolean,
): void {
  if (application === undefined) return;
  for (const name of Object.keys(application)) {
    const entry = systemPropertyByWire.get(name);
    if (entry !== undefined && isReserved(entry)) {
      throw new IotError(
        "topic.reserved_property",
        `${name} is the wire name of the system property ${entry.name}`,
      );
    }
    const value: unknown = application[name];
    if (typeof value !== "string") {
      throw new IotError("topic.bad_property", "The value of an application property is no text");
    }
    bag.push([name, value]);
  }
}

function readProperties(
  bagText: string,
  isSystem: (entry: SystemPropertyEntry) => boolean,
): MessageProperties {
  const system: SystemProperties = {};
  const application = emptyApplicationProperties();
  for (const [name, value] of parsePropertyBag(bagText)) {
    const entry = systemPropertyByWire.get(name);
    if (entry === undefined) application[name] = value ?? "";
    else if (isSystem(entry)) system[entry.name as keyof SystemProperties] = value ?? "";
    else if (entry.hubOnly === undefined) application[name] = value ?? "";
  }
  return { system, application };
}
