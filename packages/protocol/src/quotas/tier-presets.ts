/**
 * What each tier of IoT Hub lets through, per hub. The rates are those of the Azure IoT Hub docs, "IoT Hub quotas and
 * throttling", table of operation throttles. The daily numbers are those of the Azure IoT Hub pricing page as commonly
 * quoted; the docs themselves give the meter (4 KB, on the free tier 0.5 KB) and the reset at 00:00 UTC.
 *
 * Where the table says "the higher of" a number per hub and a number per unit, both are kept.
 */
type TierRates = {
  /** D2C sends and new connections: `least` for the hub, or so many per unit if that is more. */
  telemetryPerS: { least: number; perUnit: number };
  connectsPerS: { least: number; perUnit: number };
  twinReadsPerS: { least: number; perUnit: number };
  twinUpdatesPerS: { least: number; perUnit: number };
  /** Direct methods, request and response, in bytes; 0 on Basic, which has none. */
  methodBytesPerS: number;
  messagesPerDay: number;
  /** Size of one counted message. */
  meterBytes: number;
};

const small = {
  // The higher of 100/s and 12/s per unit, for both.
  telemetryPerS: { least: 100, perUnit: 12 },
  connectsPerS: { least: 100, perUnit: 12 },
  // However many units.
  twinReadsPerS: { least: 100, perUnit: 0 },
  twinUpdatesPerS: { least: 50, perUnit: 0 },
  // Metered in blocks of 4 KB.
  methodBytesPerS: 160 * 1024,
};
const medium = {
  // Per unit alone.
  telemetryPerS: { least: 0, perUnit: 120 },
  connectsPerS: { least: 0, perUnit: 120 },
  // The higher of 100/s and 10/s per unit; the higher of 50/s and 5/s per unit.
  twinReadsPerS: { least: 100, perUnit: 10 },
  twinUpdatesPerS: { least: 50, perUnit: 5 },
  methodBytesPerS: 480 * 1024,
};
const large = {
  // All per unit alone.
  telemetryPerS: { least: 0, perUnit: 6_000 },
  connectsPerS: { least: 0, perUnit: 6_000 },
  twinReadsPerS: { least: 0, perUnit: 500 },
  twinUpdatesPerS: { least: 0, perUnit: 250 },
  methodBytesPerS: 24 * 1024 * 1024,
};
/** The basic tier has no device twins, no direct methods and no cloud-to-device messages. */
const basic = {
  twinReadsPerS: { least: 0, perUnit: 0 },
  twinUpdatesPerS: { least: 0, perUnit: 0 },
  methodBytesPerS: 0,
};
const free = { messagesPerDay: 8_000, meterBytes: 512 };
const first = { messagesPerDay: 400_000, meterBytes: 4_096 };
const second = { messagesPerDay: 6_000_000, meterBytes: 4_096 };
const third = { messagesPerDay: 300_000_000, meterBytes: 4_096 };

/** By the names Azure gives them; F1 is the free tier. */
const tiers = {
  F1: { ...small, ...free },
  B1: { ...small, ...basic, ...first },
  S1: { ...small, ...first },
  B2: { ...medium, ...basic, ...second },
  S2: { ...medium, ...second },
  B3: { ...large, ...basic, ...third },
  S3: { ...large, ...third },
} as const satisfies Record<string, TierRates>;

export type HubTier = keyof typeof tiers;
export const hubTiers = Object.keys(tiers) as readonly HubTier[];

/** The limits of one hub. Zero where its tier has no such feature. */
export type TierLimits = {
  telemetryPerS: number;
  connectsPerS: number;
  twinReadsPerS: number;
  twinUpdatesPerS: number;
  methodBytesPerS: number;
  messagesPerDay: number;
  /** Size of one counted message, in bytes. */
  meterBytes: number;
};

/** @param units of the hub, at least 1 */
export function tierLimits(tier: HubTier, units = 1): TierLimits {
  const rates: TierRates = tiers[tier];
  const rate = ({ least, perUnit }: { least: number; perUnit: number }): number =>
    Math.max(least, perUnit * units);
  return {
    telemetryPerS: rate(rates.telemetryPerS),
    connectsPerS: rate(rates.connectsPerS),
    twinReadsPerS: rate(rates.twinReadsPerS),
    twinUpdatesPerS: rate(rates.twinUpdatesPerS),
    methodBytesPerS: rates.methodBytesPerS * units,
    messagesPerDay: rates.messagesPerDay * units,
    meterBytes: rates.meterBytes,
  };
}
