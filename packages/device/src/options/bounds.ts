import { clientKeepAliveSMax } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";

/** Every option that is a number: its bounds, its default, and why it has the bounds it has where that is not obvious. */
export const numberOptions = {
  port: { min: 1, max: 65_535, preset: 8883, why: "" },
  keepAliveS: {
    min: 1,
    max: clientKeepAliveSMax,
    preset: 60,
    why: "IoT Hub waits one and a half times as long and at most 1767 s; 0 would never notice a dead connection",
  },
  maxInflight: { min: 1, max: 1_000, preset: 20, why: "" },
  retryIntervalMs: { min: 1_000, max: 600_000, preset: 30_000, why: "" },
  tokenLifetimeS: {
    min: 10,
    max: 366 * 86_400,
    preset: 3_600,
    why: "a shorter token would be renewed all the time, a longer one is a key by another name",
  },
  connectTimeoutMs: { min: 1, max: 86_400_000, preset: 60_000, why: "" },
  attemptTimeoutMs: { min: 100, max: 600_000, preset: 20_000, why: "" },
  callTimeoutMs: { min: 1, max: 86_400_000, preset: 60_000, why: "" },
  queueMessagesMax: { min: 1, max: 10_000_000, preset: 10_000, why: "" },
  queueBytesMax: { min: 1_024, max: 2 ** 40, preset: 32 * 1024 * 1024, why: "" },
  drainRate: {
    min: 1,
    max: 1_000_000,
    preset: 1_000,
    why: "a hub takes a few hundred to a few thousand messages per second from all its devices",
  },
  receiveMax: { min: 1, max: 10_000, preset: 128, why: "" },
  methodsConcurrentMax: { min: 1, max: 10_000, preset: 100, why: "" },
  methodTimeoutMs: { min: 1, max: 86_400_000, preset: 300_000, why: "" },
} as const;

export type NumberOption = keyof typeof numberOptions;

/** @throws IotError `argument.invalid` */
export function numberOption(name: NumberOption, given: number | undefined): number {
  const { min, max, preset, why } = numberOptions[name];
  if (given === undefined) return preset;
  checkNumber(name, given, min, max, why);
  return given;
}

/** @throws IotError `argument.invalid` */
export function checkNumber(
  name: string,
  given: unknown,
  min: number,
  max: number,
  why = "",
): asserts given is number {
  if (typeof given === "number" && Number.isInteger(given) && given >= min && given <= max) return;
  throw invalid(
    `${name} is a whole number from ${min} to ${max}, not ${String(given)}${why === "" ? "" : `: ${why}`}`,
  );
}
