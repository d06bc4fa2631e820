import type { DeviceRef } from "./channels.ts";
import { Histogram } from "./histogram.ts";
import type { HistogramSnapshot } from "./histogram.ts";

/** Why a message the client had accepted was not delivered. */
export const dropReasons = [
  /** Its own time to live passed. */
  "expired",
  /** The queue was full and `whenFull` gives up the oldest. */
  "queue_full_oldest",
  /** The queue was full and `whenFull` gives up the newest. */
  "queue_full_newest",
  /** The queue was full and something more important came. */
  "priority",
  /** Its `AbortSignal`. */
  "aborted",
  /** Its `timeoutMs`. */
  "timed_out",
  /** The client was closed. */
  "closed",
  /** The disk gave back something else than what was written. */
  "corrupt",
] as const;
export type DropReason = (typeof dropReasons)[number];

/** What is left of a daily message budget. */
export type BudgetStats = {
  /** Messages allowed per day, counted in units of the hub's meter (4 KB; 0.5 KB on the free tier). */
  limit: number;
  used: number;
  left: number;
  /** The next 00:00 UTC. */
  resetsAt: Date;
};

/** What the client's own rate limit is doing. */
export type LimitStats = {
  /** Times a send was put off by the rate limit, the budget or a throttling hub; one message may be put off several times. */
  waits: number;
  /** Calls refused with `device.budget_spent`. */
  refused: number;
  /** Part of the configured twin rate in use: below 1 after the hub answered 429. */
  twinShare: number;
  /** undefined without `dailyMessagesMax` and tier preset. */
  budget: BudgetStats | undefined;
};

/** What `client.stats()` returns: counts since the client was made, and what waits now. Plain data, a copy. */
export type DeviceStats = {
  /** Telemetry messages given to a connection, each once. */
  sent: number;
  /** QoS 1 messages the hub acknowledged. */
  acknowledged: number;
  /** Messages sent again after a reconnect; the hub may have them twice. */
  resent: number;
  /** Accepted and never delivered, by reason. */
  dropped: Readonly<Record<DropReason, number>>;
  /** Telemetry accepted and not settled now. */
  queueDepth: number;
  queueBytes: number;
  /** From handing a QoS 1 message to the connection until its acknowledgement; of repeated ones the last sending. */
  roundTrip: HistogramSnapshot;

  /** Connections the hub accepted, renewals included. */
  connects: number;
  /** Those of them that followed a lost connection. */
  reconnects: number;
  connectFailures: number;
  /** Tokens or certificates replaced without losing the connection. */
  renewals: number;
  /** Connections that ended because, as it seems, another client took this identity. */
  kicked: number;

  c2dReceived: number;
  c2dCompleted: number;
  /** Cloud-to-device messages that came again. */
  c2dDuplicates: number;
  /** Direct method calls answered. */
  methods: number;
  /** Those of them whose handler failed or was missing. */
  methodFailures: number;
  twinGets: number;
  twinReports: number;
  /** Desired updates that were missed and fetched. */
  twinRepairs: number;

  /** Times the hub said it was throttling. */
  throttled: number;
  limits: LimitStats;
};

const noLimits: LimitStats = { waits: 0, refused: 0, twinShare: 1, budget: undefined };

/**
 * The numbers of one client. Plain fields, incremented where things happen: an addition, no call, no allocation.
 */
export class Counters {
  /** Goes into the events of `channels.ts`; provisioning may replace it. */
  device: DeviceRef;
  sent = 0;
  acknowledged = 0;
  resent = 0;
  readonly dropped: Record<DropReason, number> = {
    expired: 0,
    queue_full_oldest: 0,
    queue_full_newest: 0,
    priority: 0,
    aborted: 0,
    timed_out: 0,
    closed: 0,
    corrupt: 0,
  };
  queueDepth = 0;
  queueBytes = 0;
  readonly roundTrip = new Histogram();
  connects = 0;
  reconnects = 0;
  connectFailures = 0;
  renewals = 0;
  kicked = 0;
  c2dReceived = 0;
  c2dCompleted = 0;
  c2dDuplicates = 0;
  methods = 0;
  methodFailures = 0;
  twinGets = 0;
  twinReports = 0;
  twinRepairs = 0;
  throttled = 0;
  /** The rate limit's part of the snapshot; set by whoever makes one. */
  limits: (() => LimitStats) | undefined;

  constructor(device: DeviceRef) {
    this.device = device;
  }

  snapshot(): DeviceStats {
    return {
      sent: this.sent,
      acknowledged: this.acknowledged,
      resent: this.resent,
      dropped: { ...this.dropped },
      queueDepth: this.queueDepth,
      queueBytes: this.queueBytes,
      roundTrip: this.roundTrip.snapshot(),
      connects: this.connects,
      reconnects: this.reconnects,
      connectFailures: this.connectFailures,
      renewals: this.renewals,
      kicked: this.kicked,
      c2dReceived: this.c2dReceived,
      c2dCompleted: this.c2dCompleted,
      c2dDuplicates: this.c2dDuplicates,
      methods: this.methods,
      methodFailures: this.methodFailures,
      twinGets: this.twinGets,
      twinReports: this.twinReports,
      twinRepairs: this.twinRepairs,
      throttled: this.throttled,
      limits: this.limits?.() ?? { ...noLimits },
    };
  }
}
