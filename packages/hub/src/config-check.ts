import { IotError } from "@hubwire/protocol";
import type { EventSwitches } from "./domain/events/index.ts";
import { defaultTelemetryLimits } from "./domain/telemetry/ingest.ts";
import { defaultAmqpLimits } from "./listeners/amqp/index.ts";
import { defaultMqttLimits } from "./listeners/mqtt/index.ts";
import { restLimitsDefault } from "./listeners/rest/index.ts";
import type { HubConfig, HubLimits, RetentionConfig } from "./config.ts";
import { logFormats, logLevels } from "./observe/index.ts";

/** Says what is wrong with a value, beginning with a verb ("must be …"); undefined when nothing is. */
type Check = (value: unknown) => string | undefined;

const shown = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 60));
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return value === null ? "null" : `of type ${typeof value}`;
};

const text: Check = (value) =>
  typeof value === "string" && value !== "" ? undefined : "must be a text that is not empty";
const boolean: Check = (value) =>
  typeof value === "boolean" ? undefined : "must be true or false";
const whole =
  (min: number, max: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? undefined
      : `must be a whole number from ${min} to ${max}`;
const number =
  (min: number, max: number, unit: string): Check =>
  (value) =>
    typeof value === "number" && value >= min && value <= max
      ? undefined
      : `must be a number of ${unit} from ${min} to ${max}`;
const oneOf =
  (values: readonly string[]): Check =>
  (value) =>
    typeof value === "string" && values.includes(value)
      ? undefined
      : `must be one of ${values.join(", ")}`;
const listOf =
  (check: Check): Check =>
  (value) => {
    if (!Array.isArray(value)) return "must be a list";
    const index = value.findIndex((item) => check(item) !== undefined);
    return index < 0
      ? undefined
      : `has ${shown(value[index])} at ${index}, which ${check(value[index])}`;
  };
/** A name or address as it may stand in a connection string, without port. */
const hostName: Check = (value) =>
  typeof value === "string" &&
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$/.test(value)
    ? undefined
    : "must be a host name without port";
const methods =
  (...names: string[]): Check =>
  (value) => {
    const isObject = typeof value === "object" && value !== null;
    const missing = isObject ? names.find((name) => !(name in value)) : names[0];
    return missing === undefined ? undefined : `must be an object with ${names.join(", ")}`;
  };

const portOrOff: Check = (value) => (value === false ? undefined : whole(0, 65_535)(value));
const seconds = number(0, 3600, "seconds");
const bytes = whole(1, Number.MAX_SAFE_INTEGER);
const positive = whole(1, Number.MAX_SAFE_INTEGER);
const limitsLike = (defaults: object): Check => {
  const checks = Object.fromEntries(Object.keys(defaults).map((name) => [name, positive]));
  return (value) => problemIn(value, checks);
};

const limitChecks: Record<keyof HubLimits, Check> = {
  mqtt: limitsLike(defaultMqttLimits),
  rest: limitsLike(restLimitsDefault),
  amqp: limitsLike(defaultAmqpLimits),
  telemetry: limitsLike(defaultTelemetryLimits),
  handshakeTimeoutMs: positive,
  documentsBytesMax: whole(1024 * 1024, Number.MAX_SAFE_INTEGER),
  // A smaller file could not hold the largest message with the longest topic.
  telemetrySegmentBytes: whole(512 * 1024, 64 * 1024 * 1024),
};
const retentionChecks: Record<keyof RetentionConfig, Check> = {
  hours: number(0.01, 24 * 3650, "hours"),
  bytes,
};

const eventChecks: Record<keyof EventSwitches, Check> = {
  twinChange: boolean,
  deviceLifecycle: boolean,
  connectionState: boolean,
};

const checks: Record<keyof HubConfig, Check> = {
  host: text,
  mqttPort: whole(0, 65_535),
  httpsPort: whole(0, 65_535),
  amqpPort: portOrOff,
  amqpPlainPort: portOrOff,
  dataDirectory: text,
  hostName,
  gatewayHostName: hostName,
  hostNames: listOf(hostName),
  deviceCas: listOf(text),
  partitions: whole(1, 32),
  clockToleranceS: seconds,
  expiryGraceS: number(0, 600, "seconds"),
  strictUserName: boolean,
  mode: oneOf(["strict", "lenient"]),
  events: (value) => problemIn(value, eventChecks),
  retention: (value) => problemIn(value, retentionChecks),
  limits: (value) => problemIn(value, limitChecks),
  logLevel: oneOf(logLevels),
  logFormat: oneOf(logFormats),
  logger: methods("debug", "info", "warn", "error"),
  clock: methods("wallMs", "nowMs", "at", "endOfTurn"),
  stores: methods("documents", "c2d", "telemetry"),
};

/** @throws IotError `argument.invalid`, naming the option and what it must be */
export function checkConfig(config: unknown): asserts config is HubConfig {
  const problem = problemIn(config, checks);
  if (problem !== undefined) throw new IotError("argument.invalid", `The hub's option ${problem}`);
  const { stores, dataDirectory } = config as HubConfig;
  if (stores !== undefined && dataDirectory !== undefined) {
    throw new IotError("argument.invalid", "The hub takes stores or dataDirectory, not both");
  }
}

/** Undefined counts as left out, so that callers need not build objects conditionally. */
function problemIn(value: unknown, known: Readonly<Record<string, Check>>): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return `must be an object and is ${shown(value)}`;
  }
  for (const [name, item] of Object.entries(value)) {
    const check = Object.hasOwn(known, name) ? known[name] : undefined;
    if (check === undefined) {
      const meant = nearest(name, Object.keys(known));
      return `${JSON.stringify(name)} is unknown${meant === undefined ? "" : `; did you mean ${meant}?`}`;
    }
    const wrong = item === undefined ? undefined : check(item);
    if (wrong === undefined) continue;
    // What is wrong inside a nested object is told with its whole path.
    const isNested = /^(?!must|has)/.test(wrong);
    return isNested ? `${name}.${wrong}` : `${name} ${wrong}; it is ${shown(item)}`;
  }
  return undefined;
}

/** The known name a misspelt one is most like; nothing when none is like it. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  const ranked = known
    .map((candidate) => ({ candidate, steps: steps(wanted, candidate.toLowerCase()) }))
    .toSorted((a, b) => a.steps - b.steps);
  const best = ranked[0];
  return best !== undefined && best.steps <= Math.max(2, name.length / 3)
    ? best.candidate
    : undefined;
}

/** Half a name is as near as one typing mistake. */
const steps = (given: string, known: string): number =>
  given.length >= 4 && known.startsWith(given) ? 1 : distance(given, known);

/** Levenshtein's: single-character edits from one text to the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
