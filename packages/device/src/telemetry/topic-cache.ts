import {
  formatD2cProperties,
  systemProperties,
  telemetryMessageSize,
  telemetryPrefix,
  telemetryTopic,
} from "@hubwire/protocol";
import type { DeviceIdentity, SystemProperties } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import type { TelemetryOptions } from "./telemetry-options.ts";

/** A topic, the property bag it ends with, and what the properties count towards the size of a message. */
export type TelemetryTopic = {
  readonly topic: string;
  readonly bag: string;
  readonly propertyBytes: number;
};

type Cached = TelemetryTopic & {
  /** Name, value, name, value …, in the order they were given. */
  readonly system: readonly string[];
  readonly application: readonly string[];
  readonly json: boolean;
};

/** How many different bags are remembered: an application alternates between a few kinds of messages. */
const cachedMax = 4;

const systemNames: ReadonlySet<string> = new Set(
  systemProperties.filter((entry) => "d2c" in entry).map((entry) => entry.name),
);
const callNames: ReadonlySet<string> = new Set([
  "body",
  "qos",
  "properties",
  "signal",
  "timeoutMs",
  "priority",
  "ttlMs",
]);

/**
 * Telemetry topics of one device. Encoding a property bag costs more than everything else in sending a message, and most
 * messages carry the same bag as one before; that is found by comparing, without encoding.
 */
export class TopicCache {
  /** What all topics of this device begin with. */
  readonly prefix: string;
  readonly #identity: DeviceIdentity;
  readonly #plain: TelemetryTopic;
  /** Ids may have characters that no topic name may have: such a device is heard of by AMQP and HTTPS only. */
  readonly #isUnsayable: boolean;
  readonly #cached: Cached[] = [];
  #replaceNext = 0;

  constructor(identity: DeviceIdentity) {
    this.#identity = identity;
    this.prefix = telemetryPrefix(identity);
    this.#plain = { topic: this.prefix, bag: "", propertyBytes: 0 };
    this.#isUnsayable = /[#+]/.test(this.#plain.topic);
  }

  /**
   * @param json whether content type and encoding are set when they were not given
   * @throws IotError `argument.invalid`, `topic.reserved_property`, `topic.bad_property`, `topic.too_long`
   */
  topicFor(options: TelemetryOptions | undefined, json: boolean): TelemetryTopic {
    if (this.#isUnsayable) {
      throw invalid("The id of this device has # or +, which no MQTT topic may have: no telemetry");
    }
    if (options === undefined && !json) return this.#plain;
    const given = options ?? {};
    for (const cached of this.#cached) if (matches(cached, given, json)) return cached;
    return this.#make(given, json);
  }

  #make(options: TelemetryOptions, json: boolean): TelemetryTopic {
    const system: SystemProperties = {};
    const systemPairs: string[] = [];
    for (const name of Object.keys(options)) {
      if (callNames.has(name)) continue;
      if (!systemNames.has(name)) {
        throw invalid(`Telemetry has no option ${name}; application properties go into properties`);
      }
      const value: unknown = options[name as keyof TelemetryOptions];
      if (value === undefined) continue;
      if (typeof value !== "string") throw invalid(`${name} is text`);
      system[name as keyof SystemProperties] = value;
      systemPairs.push(name, value);
    }
    if (json) {
      system.contentType ??= "application/json";
      system.contentEncoding ??= "utf-8";
    }
    const application = options.properties ?? {};
    const properties = { system, application };
    const bag = formatD2cProperties(properties);
    const made: Cached = {
      topic: telemetryTopic(this.#identity, bag),
      bag,
      propertyBytes: telemetryMessageSize(0, properties),
      system: systemPairs,
      application: Object.entries(application).flat(),
      json,
    };
    this.#cached[this.#replaceNext] = made;
    this.#replaceNext = (this.#replaceNext + 1) % cachedMax;
    return made;
  }
}

/** The same properties in the same order. Another order is another entry, which costs only speed. */
function matches(cached: Cached, options: TelemetryOptions, json: boolean): boolean {
  if (cached.json !== json) return false;
  const { system, application } = cached;
  let at = 0;
  for (const name in options) {
    const value = options[name as keyof TelemetryOptions];
    if (typeof value !== "string") {
      if (value !== undefined && !callNames.has(name)) return false;
      continue;
    }
    if (system[at] !== name || system[at + 1] !== value) return false;
    at += 2;
  }
  if (at !== system.length) return false;
  at = 0;
  const { properties } = options;
  if (properties !== undefined) {
    for (const name in properties) {
      if (application[at] !== name || application[at + 1] !== properties[name]) return false;
      at += 2;
    }
  }
  return at === application.length;
}
