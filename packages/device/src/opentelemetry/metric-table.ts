import type { DeviceStats } from "../observe/stats.ts";

/** A number of `client.stats()` as a metric. */
type Row = {
  name: string;
  unit: string;
  description: string;
  read: (stats: DeviceStats) => number;
};

/** What only grows: observable counters. */
export const counterRows = [
  row("messages.sent", "{message}", "Telemetry given to a connection", (s) => s.sent),
  row("messages.acknowledged", "{message}", "Telemetry acknowledged", (s) => s.acknowledged),
  row("messages.resent", "{message}", "Telemetry sent again", (s) => s.resent),
  row("connects", "{connection}", "Connections the hub accepted", (s) => s.connects),
  row("reconnects", "{connection}", "Connections after a lost one", (s) => s.reconnects),
  row("connect.failures", "{attempt}", "Failed attempts to connect", (s) => s.connectFailures),
  row("renewals", "{renewal}", "Credentials replaced without loss", (s) => s.renewals),
  row("kicked", "{connection}", "Connections another client took over", (s) => s.kicked),
  row("c2d.received", "{message}", "Cloud-to-device messages received", (s) => s.c2dReceived),
  row("c2d.completed", "{message}", "Cloud-to-device messages completed", (s) => s.c2dCompleted),
  row("c2d.duplicates", "{message}", "Cloud-to-device messages repeated", (s) => s.c2dDuplicates),
  row("methods", "{call}", "Direct methods answered", (s) => s.methods),
  row("method.failures", "{call}", "Direct methods that failed", (s) => s.methodFailures),
  row("twin.gets", "{request}", "Reads of the twin", (s) => s.twinGets),
  row("twin.reports", "{request}", "Reported patches", (s) => s.twinReports),
  row("twin.repairs", "{repair}", "Missed desired updates fetched", (s) => s.twinRepairs),
  row("throttled", "{answer}", "Times the hub said it was throttling", (s) => s.throttled),
  row("limits.waits", "{wait}", "Sends put off by the client's own limits", (s) => s.limits.waits),
  row("limits.refused", "{call}", "Calls refused: budget spent", (s) => s.limits.refused),
] as const;

/** What goes up and down: observable up-down counters. */
export const levelRows = [
  row("queue.messages", "{message}", "Telemetry accepted and not settled", (s) => s.queueDepth),
  row("queue.size", "By", "Telemetry accepted and not settled", (s) => s.queueBytes),
  row("budget.used", "{message}", "Today's messages", (s) => s.limits.budget?.used ?? 0),
] as const;

/** By reason, so not in the table. */
export const droppedName = "hubwire.device.messages.dropped";

function row(
  name: string,
  unit: string,
  description: string,
  read: (stats: DeviceStats) => number,
): Row {
  return { name: `hubwire.device.${name}`, unit, description, read };
}
