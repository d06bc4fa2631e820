import type { Attributes, BatchObservableCallback, Meter, Observable } from "@opentelemetry/api";
import { dropReasons } from "../observe/stats.ts";
import type { DeviceRef } from "../observe/channels.ts";
import { counterRows, droppedName, levelRows } from "./metric-table.ts";
import type { Listeners } from "./listeners.ts";
import { Totals } from "./totals.ts";

/**
 * Counters and levels are read from `client.stats()` when the meter asks, so that sending a message costs nothing more.
 * Durations are recorded as they happen.
 * @returns takes the metrics away
 */
export function recordMetrics(
  meter: Meter,
  listeners: Listeners,
  attributesOf: (device: DeviceRef) => Attributes,
): () => void {
  const totals = new Totals(attributesOf);
  listeners.on("opened", ({ device, stats }) => totals.opened(device, stats));
  listeners.on("closed", ({ stats }) => totals.closed(stats));

  const counters = counterRows.map(({ name, unit, description }) =>
    meter.createObservableCounter(name, { unit, description }),
  );
  const dropped = meter.createObservableCounter(droppedName, {
    unit: "{message}",
    description: "Telemetry accepted and given up, by reason",
  });
  const levels = levelRows.map(({ name, unit, description }) =>
    meter.createObservableUpDownCounter(name, { unit, description }),
  );
  const observe: BatchObservableCallback = (result) => {
    totals.read(({ attributes, counters: sums, levels: depths, dropped: byReason }) => {
      for (const [i, counter] of counters.entries()) result.observe(counter, sums[i]!, attributes);
      for (const [i, level] of levels.entries()) result.observe(level, depths[i]!, attributes);
      for (const reason of dropReasons) {
        result.observe(dropped, byReason[reason], { ...attributes, reason });
      }
    });
  };
  const observables: Observable[] = [...counters, dropped, ...levels];
  meter.addBatchObservableCallback(observe, observables);

  const seconds = (name: string, description: string) =>
    meter.createHistogram(`hubwire.device.${name}`, { unit: "s", description });
  const roundTrip = seconds("messages.round_trip", "From sending to acknowledgement");
  const method = seconds("method.duration", "Direct methods, from request to answer");
  const twin = seconds("twin.duration", "Twin requests, from sending to answer");
  listeners.on("acknowledged", ({ device, roundTripMs }) => {
    roundTrip.record(roundTripMs / 1_000, attributesOf(device));
  });
  listeners.on("method", ({ device, name, status, tookMs }) => {
    method.record(tookMs / 1_000, { ...attributesOf(device), method: name, status });
  });
  listeners.on("twin", ({ device, what, status, tookMs }) => {
    if (what !== "get" && what !== "report") return;
    twin.record(tookMs / 1_000, { ...attributesOf(device), operation: what, status });
  });
  return () => meter.removeBatchObservableCallback(observe, observables);
}
