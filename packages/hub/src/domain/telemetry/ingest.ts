import { IotError } from "@hubwire/protocol";
import type { IncomingMessage } from "@hubwire/protocol";
import type { HubMetrics, Logger } from "../observe.ts";
import type { TelemetryStore } from "../ports.ts";
import { OpenRecords } from "./open-records.ts";
import { TelemetryPublisher } from "./publisher.ts";
import type { PublisherIdentity, TelemetrySink } from "./publisher.ts";

export type TelemetryLimits = {
  /** Appended and not yet durable, all connections together; must lie below what the store takes. */
  bytesOpenMax: number;
  /** The same for one connection, so that one fast device does not take all of it. */
  connectionBytesOpenMax: number;
};

export const defaultTelemetryLimits: TelemetryLimits = {
  bytesOpenMax: 8 * 1024 * 1024,
  connectionBytesOpenMax: 2 * 1024 * 1024,
};

export type TelemetryIngestOptions = {
  store: TelemetryStore;
  metrics: HubMetrics;
  logger: Logger;
  limits?: Partial<TelemetryLimits>;
};

/**
 * Telemetry on its way into the log. A message is appended at once, in order of arrival; its PUBACK waits for the commit
 * that covers it, and one commit answers all connections it touched with one flush each. What a commit did not reach is
 * never acknowledged: those connections end, and their devices send again.
 */
export class TelemetryIngest {
  readonly #store: TelemetryStore;
  readonly #metrics: HubMetrics;
  readonly #logger: Logger;
  readonly #limits: TelemetryLimits;
  readonly #open = new OpenRecords();
  readonly #unsubscribe: (() => void)[];
  #bytesOpen = 0;
  #committed = -1;
  #touched: TelemetryPublisher[] = [];
  /** Those that were told "full". */
  #waiting = new Set<TelemetryPublisher>();
  #idle: (() => void)[] = [];

  constructor(options: TelemetryIngestOptions) {
    this.#store = options.store;
    this.#metrics = options.metrics;
    this.#logger = options.logger;
    this.#limits = { ...defaultTelemetryLimits, ...options.limits };
    this.#unsubscribe = [
      this.#store.onCommit((ordinal) => this.#onCommit(ordinal)),
      this.#store.onFailure((first, last) => this.#onFailure(first, last)),
    ];
  }

  get partitionCount(): number {
    return this.#store.partitionCount;
  }

  /** One per connection. */
  publisher(identity: PublisherIdentity, sink: TelemetrySink): TelemetryPublisher {
    return new TelemetryPublisher(this, identity, sink);
  }

  /**
   * Hands one message to the store. False: too much is open already, nothing happened.
   * @throws IotError `store.unavailable`
   */
  append(publisher: TelemetryPublisher, head: Uint8Array, message: IncomingMessage): boolean {
    const { chunk, payloadStart, payloadEnd } = message;
    const payloadBytes = payloadEnd - payloadStart;
    const bytes = head.length + payloadBytes;
    const limits = this.#limits;
    if (
      this.#bytesOpen + bytes > limits.bytesOpenMax ||
      publisher.bytesOpen + bytes > limits.connectionBytesOpenMax
    ) {
      // An empty store takes anything, so a bound below one message does not stop the hub for good.
      if (this.#open.size > 0) {
        this.#waiting.add(publisher);
        return false;
      }
    }
    const ordinal = this.#store.append(publisher.partition, head, chunk, payloadStart, payloadEnd);
    this.#metrics.messagesIn++;
    this.#metrics.bytesIn += payloadBytes;
    this.#track(publisher, ordinal, message.receipt, bytes);
    return true;
  }

  /** A will has nobody to answer and nobody to wait: if the store cannot take it, it is lost, and the log says so. */
  appendWill(publisher: TelemetryPublisher, head: Uint8Array, payload: Uint8Array): void {
    try {
      const ordinal = this.#store.append(publisher.partition, head, payload, 0, payload.length);
      this.#metrics.willsPublished++;
      this.#track(publisher, ordinal, 0, head.length + payload.length);
    } catch (error) {
      this.#metrics.recordsLost++;
      const { deviceId, moduleId } = publisher.ref;
      this.#logger.error(
        { event: "will_lost", deviceId, moduleId, reason: String(error) },
        "A will could not be stored",
      );
    }
  }

  /** No longer interested in room: the connection is gone. */
  forget(publisher: TelemetryPublisher): void {
    this.#waiting.delete(publisher);
  }

  /** Resolves when everything appended so far is durable or lost. */
  async settled(): Promise<void> {
    if (this.#open.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #track(publisher: TelemetryPublisher, ordinal: number, receipt: number, bytes: number): void {
    if (ordinal <= this.#committed) {
      // A store that commits inside `append` has already called back.
      if (receipt !== 0) publisher.sink.ack(receipt);
      publisher.sink.flush();
      return;
    }
    this.#open.push(publisher, ordinal, receipt, bytes);
    this.#bytesOpen += bytes;
    publisher.bytesOpen += bytes;
    this.#metrics.recordsOpen = this.#open.size;
    this.#metrics.recordBytesOpen = this.#bytesOpen;
  }

  #onCommit(ordinal: number): void {
    this.#committed = ordinal;
    const open = this.#open;
    const touched = this.#touched;
    let acknowledged = 0;
    for (;;) {
      const publisher = open.take(ordinal);
      if (publisher === undefined) break;
      if (open.takenReceipt !== 0) {
        publisher.sink.ack(open.takenReceipt);
        acknowledged++;
      }
      this.#untrack(publisher, open.takenBytes);
      if (publisher.touched) continue;
      publisher.touched = true;
      touched.push(publisher);
    }
    this.#metrics.acknowledged += acknowledged;
    this.#touched = [];
    for (const publisher of touched) {
      publisher.touched = false;
      publisher.sink.flush();
    }
    this.#makeRoom();
  }

  #onFailure(firstOrdinal: number, lastOrdinal: number): void {
    const open = this.#open;
    const lost = new Set<TelemetryPublisher>();
    for (;;) {
      const publisher = open.take(lastOrdinal);
      if (publisher === undefined) break;
      // Ordinals below the first lost one belong to a commit whose news is still to come; a store keeps that order.
      if (open.takenOrdinal < firstOrdinal) {
        throw new IotError("hub.internal", "The store lost records before it told of earlier ones");
      }
      lost.add(publisher);
      this.#metrics.recordsLost++;
      this.#untrack(publisher, open.takenBytes);
    }
    for (const publisher of lost) publisher.sink.lost();
    // Whoever waited for room now has it, and finds the store as it is.
    this.#makeRoom();
  }

  #untrack(publisher: TelemetryPublisher, bytes: number): void {
    this.#bytesOpen -= bytes;
    publisher.bytesOpen -= bytes;
  }

  #makeRoom(): void {
    this.#metrics.recordsOpen = this.#open.size;
    this.#metrics.recordBytesOpen = this.#bytesOpen;
    if (this.#waiting.size > 0 && this.#bytesOpen <= this.#limits.bytesOpenMax / 2) {
      const waiting = this.#waiting;
      this.#waiting = new Set();
      for (const publisher of waiting) publisher.sink.room();
    }
    if (this.#open.size > 0) return;
    for (const wake of this.#idle.splice(0)) wake();
  }
}
