/** Structured log lines: first the facts, then the sentence. Pino fits as it is. */
export type Logger = {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
};

const nothing = (): void => {};
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
};

/** Counts by error code, so that a dashboard can tell a wrong clock from a wrong key. */
export type CountByCode = Map<string, number>;

/**
 * Plain numbers, raised on the hot path and read when somebody scrapes. All are totals since start, but for the ones
 * marked as levels. No label ever carries an id or a secret.
 */
export type HubMetrics = {
  /** Level: streams accepted and not closed yet, admitted or not. */
  streams: number;
  /** Level: admitted device connections. */
  connections: number;
  connects: number;
  connectsRefused: CountByCode;
  /** Admitted connections that ended, by the code they ended with. */
  disconnects: CountByCode;
  /** Telemetry taken in: messages, and their payload bytes. */
  messagesIn: number;
  bytesIn: number;
  /** PUBACKs for telemetry, each sent after its commit. */
  acknowledged: number;
  /** Lenient mode only: publishes to topics the hub does not serve. */
  publishesIgnored: number;
  willsPublished: number;
  /** Level: telemetry records appended and not yet durable, and their bytes. */
  recordsOpen: number;
  recordBytesOpen: number;
  recordsLost: number;
  c2dEnqueued: number;
  /** Deliveries to a device; a message sent again counts again. */
  c2dDelivered: number;
  c2dCompleted: number;
  c2dExpired: number;
  c2dPurged: number;
  methodRequests: number;
  methodResponses: number;
  twinReads: number;
  twinReports: number;
  desiredNotifications: number;
};

export const createHubMetrics = (): HubMetrics => ({
  streams: 0,
  connections: 0,
  connects: 0,
  connectsRefused: new Map(),
  disconnects: new Map(),
  messagesIn: 0,
  bytesIn: 0,
  acknowledged: 0,
  publishesIgnored: 0,
  willsPublished: 0,
  recordsOpen: 0,
  recordBytesOpen: 0,
  recordsLost: 0,
  c2dEnqueued: 0,
  c2dDelivered: 0,
  c2dCompleted: 0,
  c2dExpired: 0,
  c2dPurged: 0,
  methodRequests: 0,
  methodResponses: 0,
  twinReads: 0,
  twinReports: 0,
  desiredNotifications: 0,
});

export function countCode(counts: CountByCode, code: string): void {
  counts.set(code, (counts.get(code) ?? 0) + 1);
}
