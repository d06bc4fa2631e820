import type { StoredEvent } from "./back-end.ts";
import type { Promises } from "./promises.ts";

/** Every record must be in the log while the log is smaller than this, bytes of bodies: retention has no reason to act. */
const alwaysKeptBytes = 4 * 1024 * 1024;

const name = (device: string, n: number): string => `${device}/${n}/`;

/** Message `n` of a device: its own name, repeated to its own length, so that nothing in the log can be mistaken. */
export function telemetryBody(device: string, n: number): Buffer {
  const longBytes = n % 7 === 0 ? 6_000 : 700;
  return Buffer.alloc(20 + ((n * 7919) % longBytes), name(device, n));
}

/** What devices sent, what the hub acknowledged, what was ever read from its log, and whether the log agrees. */
export class TelemetryLedger {
  readonly #promises: Promises;
  readonly #body: typeof telemetryBody;
  readonly #sent = new Map<string, number>();
  /** Acknowledged and not found in the log so far. */
  readonly #unseen = new Map<string, Set<number>>();
  readonly #seen: string[][] = [];
  readonly #first: number[] = [];
  acknowledged = 0;

  constructor(promises: Promises, body = telemetryBody) {
    this.#promises = promises;
    this.#body = body;
  }

  /** The number of the device's next message. */
  next(device: string): number {
    const n = (this.#sent.get(device) ?? 0) + 1;
    this.#sent.set(device, n);
    return n;
  }

  ack(device: string, n: number): void {
    this.acknowledged += 1;
    const unseen = this.#unseen.get(device) ?? new Set();
    this.#unseen.set(device, unseen.add(n));
  }

  /** The whole log, as a back end read it now. */
  check(events: readonly StoredEvent[]): void {
    const partitions: StoredEvent[][] = [];
    for (const event of events) (partitions[event.partition] ??= []).push(event);
    const bytes = events.reduce((sum, { bodyBase64 }) => sum + (bodyBase64.length / 4) * 3, 0);
    const isTrimmed = partitions.some(([first]) => (first?.sequenceNumber ?? 0) > 0);
    if (isTrimmed && bytes < alwaysKeptBytes) {
      this.#promises.broke(`only ${bytes} bytes are left in the log, and its beginning is missing`);
    }
    const partitionOf = new Map<string, number>();
    for (const [partition, records] of partitions.entries()) {
      if (records !== undefined) this.#checkPartition(partition, records, partitionOf);
    }
    for (const [partition, seen] of this.#seen.entries()) {
      if (seen !== undefined && seen.length > 0 && partitions[partition] === undefined) {
        this.#promises.broke(`partition ${partition} is empty and had ${seen.length} records`);
      }
    }
    for (const [device, unseen] of this.#unseen) {
      for (const n of unseen)
        this.#promises.broke(`${device}/${n} had its PUBACK and is not there`);
      unseen.clear();
    }
  }

  #checkPartition(
    partition: number,
    records: readonly StoredEvent[],
    partitionOf: Map<string, number>,
  ): void {
    const seen = (this.#seen[partition] ??= []);
    const first = records[0]?.sequenceNumber ?? 0;
    if (first < (this.#first[partition] ?? 0)) {
      this.#promises.broke(`partition ${partition} begins at ${first} again`);
    }
    this.#first[partition] = first;
    const highest = new Map<string, number>();
    let timeMs = 0;
    for (const [index, record] of records.entries()) {
      const { sequenceNumber, deviceId } = record;
      const where = `partition ${partition}, sequence number ${sequenceNumber}`;
      if (sequenceNumber !== first + index) {
        this.#promises.broke(`${where}: ${first + index} belongs here`);
        return;
      }
      const body = Buffer.from(record.bodyBase64, "base64");
      const n = Number(body.toString("latin1").split("/")[1]);
      const content = `${name(deviceId, n)}@${record.offset}@${record.enqueuedTimeUtc}`;
      if ((seen[sequenceNumber] ?? content) !== content) {
        this.#promises.broke(`${where}: was ${seen[sequenceNumber]} and is ${content}`);
      }
      seen[sequenceNumber] = content;
      if (!body.equals(this.#body(deviceId, n)) || n > (this.#sent.get(deviceId) ?? 0)) {
        this.#promises.broke(`${where}: nobody sent this`);
      }
      if ((partitionOf.get(deviceId) ?? partition) !== partition) {
        this.#promises.broke(`${deviceId} is in two partitions`);
      }
      partitionOf.set(deviceId, partition);
      this.#unseen.get(deviceId)?.delete(n);
      const before = highest.get(deviceId);
      // What was not acknowledged is sent again: an old number may come twice, but a new one only in its turn.
      if (before !== undefined ? n > before + 1 : first === 0 && n !== 1) {
        this.#promises.broke(`${where}: ${name(deviceId, n)} follows ${before ?? "nothing"}`);
      }
      highest.set(deviceId, Math.max(before ?? 0, n));
      const enqueuedMs = Date.parse(record.enqueuedTimeUtc);
      if (enqueuedMs < timeMs) this.#promises.broke(`${where}: its time went back`);
      timeMs = enqueuedMs;
    }
    const nextSequenceNumber = first + records.length;
    if (nextSequenceNumber < seen.length) {
      this.#promises.broke(
        `partition ${partition} ends at ${nextSequenceNumber}, had ${seen.length}`,
      );
    }
  }
}
