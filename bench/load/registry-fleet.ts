import { randomBytes } from "node:crypto";
import { applyReportedPatch, applyTwinPatch, freshTwin, twinTimestamp } from "@hubwire/protocol";
import type { TwinDocument } from "@hubwire/protocol";

export type FillOptions = { directory: string; devices: number };
/** JSON of a twin at rest, bytes. */
export type FillResult = { twinBytes: number };

export const deviceIdOf = (n: number): string => `device-${String(n).padStart(6, "0")}`;

/** Enough to look like a key: nobody connects. */
const randomKey = (): string => randomBytes(32).toString("base64");

export const generationOf = (n: number): string => String(638_900_000_000_000_000n + BigInt(n));

/** 1.4 KB of JSON at rest; 100 sites, 2,000 batches of 50 devices. */
export function twinOf(n: number): TwinDocument {
  const at = twinTimestamp(1_790_000_000_000 + n * 1_000);
  const tags = {
    site: `site-${n % 100}`,
    batch: `batch-${n % 2_000}`,
    floor: n % 12,
    customer: { name: `customer ${n % 37}`, contract: n % 5_000 },
  };
  const desired = { telemetryConfig: { sendFrequencyS: 60 + (n % 5), unit: "celsius" }, level: n };
  const reported = {
    firmware: { version: `1.${n % 20}.${n % 7}`, updatedAt: at },
    temperature: (n * 7919) % 100_000,
    battery: n % 101,
    network: { type: n % 3 === 0 ? "cellular" : "wifi", rssi: -30 - (n % 60) },
  };
  const written = applyTwinPatch(freshTwin(at), { tags, properties: { desired } }, at).twin;
  return applyReportedPatch(written, reported, at);
}

/** As the registry keeps it. */
export const identityOf = (n: number) => ({
  deviceId: deviceIdOf(n),
  generationId: generationOf(n),
  counter: 100_000_000 + n,
  status: n % 1_000 === 0 ? "disabled" : "enabled",
  authentication: { type: "sas", primaryKey: randomKey(), secondaryKey: randomKey() },
  iotEdge: false,
});
