import type { CountByCode, HubMetrics } from "../domain/observe.ts";
import type { Stores } from "../domain/ports.ts";

/** Plain counters that only grow, in Prometheus's words; the number is read when somebody scrapes. */
const totals: readonly [name: string, help: string, field: NumberField][] = [
  ["connects_total", "Connections admitted", "connects"],
  ["telemetry_messages_total", "Telemetry messages taken in", "messagesIn"],
  ["telemetry_bytes_total", "Payload bytes of telemetry taken in", "bytesIn"],
  ["telemetry_acknowledged_total", "PUBACKs for telemetry, each after its commit", "acknowledged"],
  ["telemetry_lost_total", "Records whose commit failed; never acknowledged", "recordsLost"],
  ["publishes_ignored_total", "Publishes to topics the hub does not serve", "publishesIgnored"],
  ["wills_published_total", "Wills published", "willsPublished"],
  ["c2d_enqueued_total", "Cloud-to-device messages queued", "c2dEnqueued"],
  ["c2d_delivered_total", "Cloud-to-device deliveries, repetitions included", "c2dDelivered"],
  ["c2d_completed_total", "Cloud-to-device messages completed", "c2dCompleted"],
  ["c2d_expired_total", "Cloud-to-device messages that ran out of time", "c2dExpired"],
  ["c2d_purged_total", "Cloud-to-device messages purged", "c2dPurged"],
  ["method_requests_total", "Direct methods asked of devices", "methodRequests"],
  ["method_responses_total", "Direct method answers from devices", "methodResponses"],
  ["twin_reads_total", "Twins read by devices", "twinReads"],
  ["twin_reports_total", "Reported property patches from devices", "twinReports"],
  ["desired_notifications_total", "Desired property changes sent", "desiredNotifications"],
];
const levels: readonly [name: string, help: string, field: NumberField][] = [
  ["streams", "Streams that are open, admitted or not", "streams"],
  ["connections", "Admitted device connections", "connections"],
  ["telemetry_open_records", "Records appended and not yet durable", "recordsOpen"],
  ["telemetry_open_bytes", "Bytes appended and not yet durable", "recordBytesOpen"],
];
const byCode: readonly [name: string, help: string, field: CodeField][] = [
  ["connects_refused_total", "Refused CONNECTs by the check that failed", "connectsRefused"],
  ["disconnects_total", "Ended connections by the code they ended with", "disconnects"],
];
type NumberField = {
  [K in keyof HubMetrics]: HubMetrics[K] extends number ? K : never;
}[keyof HubMetrics];
type CodeField = {
  [K in keyof HubMetrics]: HubMetrics[K] extends CountByCode ? K : never;
}[keyof HubMetrics];

/** What is measured beside the plain counters. */
export type MetricSources = {
  metrics: HubMetrics;
  stores: Pick<Stores, "telemetry" | "unhealthyReason">;
  /** Disk space the telemetry takes; undefined in memory. */
  telemetryDiskBytes: () => number | undefined;
};

/**
 * The hub's numbers in Prometheus text format. Nothing is counted here: plain numbers are read when somebody scrapes, so a
 * message costs an addition. Labels are codes and partition numbers, never ids.
 */
export function createMetricsText(sources: MetricSources): () => Promise<string> {
  let registry: Promise<{ metrics(): Promise<string> }> | undefined;
  return async () => {
    // Loaded by the first scrape: most hubs in tests are never asked.
    registry ??= register(sources);
    return (await registry).metrics();
  };
}

async function register(sources: MetricSources) {
  const { Counter, Gauge, Registry } = await import("prom-client");
  const { metrics, stores } = sources;
  const registry = new Registry();
  const registers = [registry];
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  for (const [name, help, field] of totals) counter(`hubwire_${name}`, help, () => metrics[field]);
  for (const [name, help, field] of levels) gauge(`hubwire_${name}`, help, () => metrics[field]);
  for (const [name, help, field] of byCode) {
    new Counter({
      name: `hubwire_${name}`,
      help,
      labelNames: ["code"],
      registers,
      collect() {
        this.reset();
        for (const [code, count] of metrics[field]) this.inc({ code }, count);
      },
    });
  }
  new Gauge({
    name: "hubwire_partition_next_sequence_number",
    help: "Sequence number the next record of a partition gets",
    labelNames: ["partition"],
    registers,
    collect() {
      for (let index = 0; index < stores.telemetry.partitionCount; index++) {
        this.set({ partition: index }, stores.telemetry.partition(index).nextSequenceNumber);
      }
    },
  });
  gauge("hubwire_ready", "1 when the stores can be written", () =>
    stores.unhealthyReason === undefined ? 1 : 0,
  );
  if (sources.telemetryDiskBytes() !== undefined) {
    gauge(
      "hubwire_telemetry_disk_bytes",
      "Disk space of the telemetry log",
      () => sources.telemetryDiskBytes() ?? 0,
    );
  }
  gauge("process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss());
  counter("process_cpu_seconds_total", "CPU time, user and system", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  gauge("process_start_time_seconds", "Unix time the process started", () =>
    Math.round(performance.timeOrigin / 1000),
  );
  return registry;
}
