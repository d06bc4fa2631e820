/**
 * What users of a simulated hub saw, and whether it was right. Records facts as they happen and reports every broken promise in
 * one sentence.
 */

type Sent = {
  device: string;
  n: number;
  settled: "open" | "accepted" | "rejected";
  reason?: string;
};

export type StoredRecord = {
  partition: number;
  sequenceNumber: number;
  device: string;
  n: number;
  enqueuedTimeMs: number;
};

export class History {
  readonly violations: string[] = [];
  readonly counts = { sent: 0, accepted: 0, c2dSent: 0, c2dReceived: 0, methods: 0, reports: 0 };
  readonly #sent = new Map<string, Sent>();
  readonly #open = new Map<number, string>();
  readonly #c2d = new Map<string, { device: string; received: boolean }>();
  readonly #seen = new Map<string, string>();
  readonly #desiredSeen = new Map<string, number>();
  readonly #reportedAccepted = new Map<string, { version: number; n: number }>();
  readonly #twinVersions = new Map<string, { desired: number; reported: number }>();
  #calls = 0;

  violation(sentence: string): void {
    if (this.violations.length < 20 && !this.violations.includes(sentence)) {
      this.violations.push(sentence);
    }
  }

  /** Every call must settle: `what` is named if it never does. */
  async call<T>(what: string, promise: Promise<T>): Promise<T> {
    const id = this.#calls++;
    this.#open.set(id, what);
    try {
      return await promise;
    } finally {
      this.#open.delete(id);
    }
  }

  telemetry(
    device: string,
    n: number,
  ): {
    accepted: () => void;
    rejected: (error: unknown) => void;
  } {
    const sent: Sent = { device, n, settled: "open" };
    this.#sent.set(`${device}/${n}`, sent);
    this.counts.sent += 1;
    return {
      accepted: () => {
        sent.settled = "accepted";
        this.counts.accepted += 1;
      },
      rejected: (error) => {
        sent.settled = "rejected";
        sent.reason = String(error);
      },
    };
  }

  c2dSent(device: string, id: string): void {
    this.counts.c2dSent += 1;
    // The device may have it before the sender has its answer.
    if (!this.#c2d.has(id)) this.#c2d.set(id, { device, received: false });
  }

  c2dReceived(device: string, id: string): void {
    this.counts.c2dReceived += 1;
    const known = this.#c2d.get(id);
    if (known !== undefined && known.device !== device) {
      this.violation(`C2D message ${id} for ${known.device} was delivered to ${device}`);
    }
    this.#c2d.set(id, { device, received: true });
  }

  /** One device client's view of desired properties; `life` changes when the client starts anew. */
  desired(device: string, life: string, version: number): void {
    const key = `${device}/${life}`;
    const last = this.#desiredSeen.get(key) ?? 0;
    if (version <= last) {
      this.violation(`${device} saw desired version ${version} after ${last}`);
    }
    this.#desiredSeen.set(key, version);
  }

  reportAccepted(device: string, n: number, version: number): void {
    this.counts.reports += 1;
    const last = this.#reportedAccepted.get(device);
    if (last === undefined || n > last.n) this.#reportedAccepted.set(device, { version, n });
  }

  /** The hub's twin, read by a back end at some moment. */
  twinRead(device: string, desired: number, reported: number): void {
    const last = this.#twinVersions.get(device);
    if (last !== undefined && (desired < last.desired || reported < last.reported)) {
      this.violation(
        `the twin of ${device} went back from ${last.desired}/${last.reported} to ${desired}/${reported}`,
      );
    }
    this.#twinVersions.set(device, { desired, reported });
  }

  /** A back end read this record: whatever it shows once it must show always. */
  recordRead(record: StoredRecord): void {
    const key = `${record.partition}:${record.sequenceNumber}`;
    const content = `${record.device}/${record.n}@${record.enqueuedTimeMs}`;
    const before = this.#seen.get(key);
    if (before !== undefined && before !== content) {
      this.violation(`sequence number ${key} stood for ${before} and now for ${content}`);
    }
    this.#seen.set(key, content);
  }

  /** At the end, with everything healed: the whole log against what was promised. */
  checkLog(records: readonly StoredRecord[]): void {
    const partitionOf = new Map<string, number>();
    const highest = new Map<string, number>();
    const stored = new Set<string>();
    const next = new Map<number, number>();
    const lastTime = new Map<number, number>();
    for (const record of records) {
      this.recordRead(record);
      const { device, n, partition, sequenceNumber, enqueuedTimeMs } = record;
      const expected = next.get(partition) ?? 0;
      if (sequenceNumber !== expected) {
        this.violation(`partition ${partition} has ${sequenceNumber} where ${expected} belongs`);
      }
      next.set(partition, sequenceNumber + 1);
      if (enqueuedTimeMs < (lastTime.get(partition) ?? 0)) {
        this.violation(`the enqueued time of partition ${partition} went back`);
      }
      lastTime.set(partition, enqueuedTimeMs);
      const home = partitionOf.get(device) ?? partition;
      if (home !== partition) this.violation(`${device} is in partitions ${home} and ${partition}`);
      partitionOf.set(device, home);
      const key = `${device}/${n}`;
      if (!this.#sent.has(key)) this.violation(`${key} is in the log and was never sent`);
      // At least once: a repeat may come any time later, but first arrivals are in order.
      if (stored.has(key)) continue;
      stored.add(key);
      if (n < (highest.get(device) ?? 0)) {
        this.violation(`${key} came first after ${device}/${highest.get(device)}`);
      }
      highest.set(device, n);
    }
    for (const [key, sent] of this.#sent) {
      if (sent.settled === "accepted" && !stored.has(key)) {
        this.violation(`${key} was acknowledged and is not in the log`);
      }
      if (sent.settled === "open") this.violation(`the send of ${key} never settled`);
      if (sent.settled === "rejected") {
        this.violation(`the send of ${key} had all the time it needed and failed: ${sent.reason}`);
      }
    }
  }

  /** At the end, with everything healed and idle. */
  checkEnd(device: string, desired: number, lastDesiredSeen: number, reportedN: number): void {
    if (lastDesiredSeen !== desired) {
      this.violation(
        `${device} ended at desired version ${lastDesiredSeen}, the hub at ${desired}`,
      );
    }
    const accepted = this.#reportedAccepted.get(device);
    if (accepted !== undefined && reportedN < accepted.n) {
      this.violation(`${device} had report ${accepted.n} accepted and the hub has ${reportedN}`);
    }
  }

  checkC2d(): void {
    for (const [id, { device, received }] of this.#c2d) {
      if (!received) this.violation(`C2D message ${id} was accepted and never reached ${device}`);
    }
  }

  checkCalls(): void {
    for (const what of this.#open.values()) this.violation(`never settled: ${what}`);
  }
}
