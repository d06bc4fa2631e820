import { hubTiers, tierLimits } from "@hubwire/protocol";
import type { HubTier } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import { checkNumber } from "../options/bounds.ts";

/**
 * Rates of this one device. IoT Hub throttles per hub, not per device, so a tier's numbers are divided by `devices`.
 * A number given beside `tier` replaces the tier's.
 */
export type RateLimits = {
  /** F1 (free), B1, S1, B2, S2, B3, S3. */
  tier?: HubTier;
  /** Units of that tier the hub has, 1 to 1000, default 1. */
  units?: number;
  /** Devices that share the hub, default 1: the tier's rates and daily messages are divided by it. */
  devices?: number;
  /** Telemetry messages per second. Fractions are allowed: 0.1 is one in ten seconds. */
  telemetryPerS?: number;
  /** `getTwin`, and reads the client makes by itself, per second. */
  twinReadsPerS?: number;
  /** Reported patches per second. */
  twinUpdatesPerS?: number;
  /** How many seconds of a rate may go at once after a quiet time, 0 to 3600, default 1; never less than one operation. */
  burstS?: number;
};

/** The option `rateLimit`. */
export type RateLimit = "off" | HubTier | RateLimits;

/** What the gate works with. undefined: no limit. */
export type Limits = {
  telemetryPerS: number | undefined;
  twinReadsPerS: number | undefined;
  twinUpdatesPerS: number | undefined;
  burstS: number;
  messagesPerDay: number | undefined;
  meterBytes: number;
};

export type LimitOptions = {
  rateLimit?: RateLimit | undefined;
  dailyMessagesMax?: number | undefined;
};

/** The meter of every paid tier. */
const meterBytes = 4_096;
const names: ReadonlySet<string> = new Set([
  "tier",
  "units",
  "devices",
  "telemetryPerS",
  "twinReadsPerS",
  "twinUpdatesPerS",
  "burstS",
]);

/** @throws IotError `argument.invalid` */
export function resolveLimits({ rateLimit = "off", dailyMessagesMax }: LimitOptions): Limits {
  if (dailyMessagesMax !== undefined) {
    checkNumber("dailyMessagesMax", dailyMessagesMax, 1, Number.MAX_SAFE_INTEGER);
  }
  const given = shapeOf(rateLimit);
  const { tier, units = 1, devices = 1, burstS = 1 } = given;
  checkNumber("rateLimit.units", units, 1, 1_000);
  checkNumber("rateLimit.devices", devices, 1, 10_000_000);
  checkRate("rateLimit.burstS", burstS, 0, 3_600);
  const hub = tier === undefined ? undefined : tierLimits(tier, units);
  /** A feature the tier does not have is refused by the hub; that says more than a wait for ever. */
  const share = (perS: number | undefined): number | undefined =>
    perS === undefined || perS === 0 ? undefined : perS / devices;
  return {
    telemetryPerS: rate(given, "telemetryPerS") ?? share(hub?.telemetryPerS),
    twinReadsPerS: rate(given, "twinReadsPerS") ?? share(hub?.twinReadsPerS),
    twinUpdatesPerS: rate(given, "twinUpdatesPerS") ?? share(hub?.twinUpdatesPerS),
    burstS,
    messagesPerDay:
      dailyMessagesMax ??
      (hub === undefined ? undefined : Math.max(1, Math.floor(hub.messagesPerDay / devices))),
    meterBytes: hub?.meterBytes ?? meterBytes,
  };
}

function shapeOf(rateLimit: RateLimit): RateLimits {
  if (rateLimit === "off") return {};
  const given = typeof rateLimit === "string" ? { tier: rateLimit } : rateLimit;
  if (typeof given !== "object" || given === null) throw invalid("rateLimit is an object or text");
  for (const name of Object.keys(given)) {
    if (!names.has(name))
      throw invalid(`rateLimit has no ${name}; it has ${[...names].join(", ")}`);
  }
  const { tier } = given;
  if (tier === undefined || hubTiers.includes(tier)) return given;
  throw invalid(`rateLimit: the tiers are ${hubTiers.join(", ")} and "off", not ${String(tier)}`);
}

function rate(
  given: RateLimits,
  name: "telemetryPerS" | "twinReadsPerS" | "twinUpdatesPerS",
): number | undefined {
  const perS = given[name];
  if (perS !== undefined) checkRate(`rateLimit.${name}`, perS, 1e-5, 1e6);
  return perS;
}

function checkRate(name: string, given: unknown, min: number, max: number): void {
  if (typeof given === "number" && given >= min && given <= max) return;
  throw invalid(`${name} is a number from ${min} to ${max}, not ${String(given)}`);
}
