import { numberOptions } from "../../../packages/device/src/options/bounds.ts";
import { resolveOptions } from "../../../packages/device/src/options/resolve.ts";
import { outboxSettings } from "../../../packages/device/src/outbox/outbox-settings.ts";

/** What an option is when it is left out, and the bounds it has. */
export type Value = { preset: string; range?: string };

const units: readonly (readonly [RegExp, string])[] = [
  [/PerS$/u, "per second"],
  [/Rate$/u, "messages per second"],
  [/Ms$/u, "milliseconds"],
  [/Days$/u, "days"],
  [/[Bb]ytes(Max)?$/u, "bytes"],
  [/(messages|Messages|receive|Inflight|Burst)(Max)?$/u, "messages"],
  [/^maxInflight$|^dailyMessagesMax$|^receiveMax$/u, "messages"],
  [/oncurrentMax$/u, "at a time"],
  [/(attempts|refusals)Max$|^refusals/u, "in a row"],
  [/[a-z]S$/u, "seconds"],
];

/** The unit that the end of a name stands for; empty for what has none. */
export const unitOf = (name: string): string =>
  units.find(([pattern]) => pattern.test(name))?.[1] ?? "";

const powers: readonly (readonly [number, string])[] = [
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];

/** A number as people read it. */
export function show(name: string, value: unknown): string {
  if (value === undefined) return "none";
  if (value === Infinity) return "never";
  if (typeof value !== "number") return `\`${JSON.stringify(value)}\``;
  const power = /bytes/iu.test(name) ? powers.find(([size]) => value % size === 0) : undefined;
  return power === undefined ? String(value) : `${value / power[0]} ${power[1]}`;
}

const connectionString = "HostName=hub.example;DeviceId=d;SharedAccessKey=c2VjcmV0";

/** What `connect` fills in, asked of `connect` itself. */
const settings = resolveOptions({ connectionString });
const memory = { messagesMax: settings.queueMessagesMax, bytesMax: settings.queueBytesMax };
const outboxes = [
  outboxSettings(undefined, memory),
  outboxSettings({ kind: "durable", directory: "d" }, memory),
] as const;

const range = (name: string, min: number, max: number): string =>
  `${show(name, min)} to ${show(name, max)}`;

const filledIn = [
  "cleanSession",
  "qos",
  "waitForConnection",
  "failFast",
  "messageIds",
  "confirmDesired",
] as const;

/** The defaults and bounds of `connect`'s options that are numbers, or that it fills in. */
export const connectValues: Readonly<Record<string, Value>> = {
  ...Object.fromEntries(
    Object.entries(numberOptions).map(([name, { preset, min, max }]) => [
      name,
      { preset: show(name, preset), range: range(name, min, max) },
    ]),
  ),
  ...Object.fromEntries(filledIn.map((name) => [name, { preset: show(name, settings[name]) }])),
};

export const retryValues: Readonly<Record<string, Value>> = Object.fromEntries(
  Object.entries(settings.retry).map(([name, value]) => [name, { preset: show(name, value) }]),
);

export const outboxValues: Readonly<Record<string, Value>> = Object.fromEntries(
  (["messagesMax", "bytesMax", "whenFull"] as const).map((name) => {
    const shown = outboxes.map((outbox) => show(name, outbox[name]));
    const preset =
      shown[0] === shown[1] ? `${shown[0]}` : `${shown[0]} in memory, ${shown[1]} on disk`;
    return [name, { preset }];
  }),
);
