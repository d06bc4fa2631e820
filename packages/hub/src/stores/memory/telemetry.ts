import { IotError } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type {
  PartitionInfo,
  TelemetryRecord,
  TelemetryStart,
  TelemetryStore,
} from "../../domain/ports.ts";
import type { Operations, Schedule } from "./operations.ts";
import { TelemetrySegment } from "./telemetry-segment.ts";

export type MemoryTelemetryLimits = {
  /** Older records go, a segment at a time, when all of them together are larger. */
  retainedBytesMax: number;
  /** Appended and not committed; past it `append` throws. */
  pendingBytesMax: number;
  segmentBytes: number;
};

const none: PartitionInfo = {
  firstSequenceNumber: 0,
  nextSequenceNumber: 0,
  lastOffset: -1,
  lastEnqueuedTimeMs: 0,
};

/** What outlives a restart: everything up to `committed`. */
export class TelemetryImage {
  readonly segments: TelemetrySegment[] = [];
  readonly partitions: PartitionInfo[];
  /** Ordinal of the last durable record; -1 when there is none. */
  committed = -1;
  constructor(partitions: number) {
    this.partitions = Array.from({ length: partitions }, () => ({ ...none }));
  }
}

export class MemoryTelemetry implements TelemetryStore {
  readonly partitionCount: number;
  readonly #image: TelemetryImage;
  readonly #limits: MemoryTelemetryLimits;
  readonly #clock: Clock;
  readonly #operations: Operations;
  readonly #schedule: Schedule;
  readonly #onCommit = new Set<(ordinal: number) => void>();
  readonly #onFailure = new Set<(first: number, last: number) => void>();
  #next: number;
  #pendingBytes = 0;
  #enqueuedTimeMs: number;
  #commitComing = false;
  /** After a roll-back ordinals have a gap, and within a segment they may not. */
  #sealed = false;
  /** Of a segment that retention dropped: used again, since touching new memory costs more than copying a record. */
  #spare: Uint8Array | undefined;
  #healthy = true;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(
    image: TelemetryImage,
    parts: { clock: Clock; operations: Operations; schedule: Schedule },
    limits: MemoryTelemetryLimits,
  ) {
    this.#image = image;
    this.#limits = limits;
    this.#clock = parts.clock;
    this.#operations = parts.operations;
    this.#schedule = parts.schedule;
    this.partitionCount = image.partitions.length;
    this.#next = image.committed + 1;
    this.#enqueuedTimeMs = Math.max(...image.partitions.map((p) => p.lastEnqueuedTimeMs));
    this.#rollBack();
  }

  get healthy(): boolean {
    return this.#healthy && !this.#closed;
  }

  append(
    partition: number,
    head: Uint8Array,
    chunk: Uint8Array,
    start: number,
    end: number,
  ): number {
    if (!this.healthy) throw new IotError("store.unavailable", "The telemetry store is not ready");
    const length = head.length + (end - start);
    if (this.#pendingBytes + length > this.#limits.pendingBytesMax) {
      throw new IotError("store.unavailable", "Too much telemetry waits for its commit");
    }
    let segment = this.#image.segments.at(-1);
    if (this.#sealed || segment === undefined || segment.free < length)
      segment = this.#newSegment(length);
    // One time a commit: the clock is read for the first record of each.
    if (!this.#commitComing) {
      this.#commitComing = true;
      this.#enqueuedTimeMs = Math.max(this.#enqueuedTimeMs, this.#clock.wallMs());
      this.#schedule(() => this.#commit());
    }
    segment.append(partition, this.#enqueuedTimeMs, head, chunk, start, end);
    this.#pendingBytes += length;
    return this.#next++;
  }

  onCommit(listener: (ordinal: number) => void): () => void {
    this.#onCommit.add(listener);
    return () => this.#onCommit.delete(listener);
  }

  onFailure(listener: (firstOrdinal: number, lastOrdinal: number) => void): () => void {
    this.#onFailure.add(listener);
    return () => this.#onFailure.delete(listener);
  }

  partition(index: number): PartitionInfo {
    const info = this.#image.partitions[index];
    if (!info) throw new IotError("argument.invalid", `There is no partition ${index}`);
    return { ...info };
  }

  async read(
    partition: number,
    from: TelemetryStart,
    limits: { recordsMax: number; bytesMax: number },
  ): Promise<TelemetryRecord[]> {
    const { nextSequenceNumber } = this.partition(partition);
    if (from === "end") return [];
    const start = from === "first" ? { sequenceNumber: 0 } : from;
    return this.#operations.run({ store: "telemetry", name: "read", key: String(partition) }, () =>
      this.#read(partition, start, nextSequenceNumber, limits),
    );
  }

  /** Commits what was appended, then takes nothing more. */
  close(): Promise<void> {
    this.#closed = true;
    if (!this.#commitComing) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #read(
    partition: number,
    from: Exclude<TelemetryStart, string>,
    nextSequenceNumber: number,
    limits: { recordsMax: number; bytesMax: number },
  ): TelemetryRecord[] {
    const records: TelemetryRecord[] = [];
    let bytes = 0;
    for (const segment of this.#image.segments) {
      const next = Math.min(segment.nextSequence(partition), nextSequenceNumber);
      for (let sequence = segment.seek(partition, from); sequence < next; sequence++) {
        const { offset, enqueuedTimeMs, start, end } = segment.record(partition, sequence);
        const full = bytes + (end - start) > limits.bytesMax && records.length > 0;
        if (records.length >= limits.recordsMax || full) return records;
        bytes += end - start;
        records.push({
          partition,
          sequenceNumber: sequence,
          offset,
          enqueuedTimeMs,
          bytes: segment.bytes.slice(start, end),
        });
      }
    }
    return records;
  }

  #newSegment(length: number): TelemetrySegment {
    const { segments, partitions } = this.#image;
    const last = segments.at(-1);
    const segment = new TelemetrySegment(
      this.#next,
      last ? last.firstOffset + last.used : 0,
      this.#bytesFor(length),
      partitions.map((info, index) => last?.nextSequence(index) ?? info.nextSequenceNumber),
    );
    segments.push(segment);
    this.#sealed = false;
    return segment;
  }

  #bytesFor(length: number): Uint8Array {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined && spare.length >= length) return spare;
    // Not a Buffer: its slice would be a view.
    return new Uint8Array(
      Buffer.allocUnsafeSlow(Math.max(this.#limits.segmentBytes, length)).buffer,
    );
  }

  #commit(): void {
    if (this.#operations.isCut) return;
    this.#commitComing = false;
    const first = this.#image.committed + 1;
    const last = this.#next - 1;
    const fault = this.#operations.fault({ store: "telemetry", name: "commit", key: "" });
    if (fault === "reject") {
      this.#rollBack();
      this.#healthy = false;
      this.#operations.fail("telemetry", () => (this.#healthy = true));
    } else {
      this.#publish(last);
    }
    if (fault === undefined) for (const listener of this.#onCommit) listener(last);
    else for (const listener of this.#onFailure) listener(first, last);
    if (!this.#commitComing) for (const wake of this.#idle.splice(0)) wake();
  }

  #publish(last: number): void {
    this.#image.committed = last;
    this.#pendingBytes = 0;
    const { segments, partitions } = this.#image;
    const newest = segments.at(-1)!;
    for (const [index, info] of partitions.entries()) {
      const next = newest.nextSequence(index);
      if (next === info.nextSequenceNumber) continue;
      info.nextSequenceNumber = next;
      const holder = segments.findLast((segment) => segment.firstSequence(index) < next)!;
      const record = holder.record(index, next - 1);
      info.lastOffset = record.offset + (record.end - record.start) - 1;
      info.lastEnqueuedTimeMs = record.enqueuedTimeMs;
    }
    let retained = segments.reduce((sum, segment) => sum + segment.used, 0);
    while (segments.length > 1 && retained > this.#limits.retainedBytesMax) {
      const dropped = segments.shift()!;
      retained -= dropped.used;
      this.#spare = dropped.bytes;
    }
    for (const [index, info] of partitions.entries()) {
      info.firstSequenceNumber = segments[0]!.firstSequence(index);
    }
  }

  /** Forgets what was not committed: nobody saw it and nobody may. */
  #rollBack(): void {
    const { segments, committed } = this.#image;
    for (const segment of segments) segment.truncate(committed + 1);
    while (segments.length > 1 && segments.at(-1)!.count === 0) segments.pop();
    this.#pendingBytes = 0;
    this.#sealed = true;
  }
}
