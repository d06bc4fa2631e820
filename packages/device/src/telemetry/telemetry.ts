import type { IotError } from "@hubwire/protocol";
import { aborted, closed } from "../calls/errors.ts";
import type { CallOptions } from "../calls/pending-call.ts";
import type { Agenda } from "../connection/agenda.ts";
import type { Uplink } from "../connection/uplink.ts";
import type { Settings } from "../options/settings.ts";
import type { MessageStore, StoreHost } from "../outbox/store.ts";
import { BatchCall } from "./batch-call.ts";
import type { CallWaits } from "./call-waits.ts";
import { callOf, promiseFor } from "./calls.ts";
import { Ledger } from "./ledger.ts";
import type { Outgoing } from "./outgoing.ts";
import { Patience } from "./patience.ts";
import { checkTimeout, Preparation } from "./prepare.ts";
import { ReadAhead } from "./read-ahead.ts";
import { makeRoom } from "./room.ts";
import { Sender } from "./sender.ts";
import type { TelemetryBody, TelemetryMessage, TelemetryOptions } from "./telemetry-options.ts";

/** What `enqueue` answers. */
export type Enqueued = {
  /** Given by the caller or by the client; undefined only with `messageIds: "given"` when the caller gave none. */
  messageId: string | undefined;
};

/**
 * The outbox: for each priority a lane of messages in the order they were given; before them those with the session (the
 * window). Bounded in messages and in bytes. One promise per message and nothing else: no timer, no closure, no microtask of
 * ours; deadlines are looked at by one timer, and only when the nearest one is reached.
 *
 * With a durable outbox a message is written to disk and sent at the same time, so that the disk costs no latency: whoever
 * waits for acceptance hears of the commit, whoever waits for the hub hears of its acknowledgement. On disk it is forgotten
 * once both have happened; what does not fit in memory is read again when its turn is near.
 */
export class Telemetry implements StoreHost {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #store: MessageStore | undefined;
  readonly #ledger: Ledger;
  readonly #preparation: Preparation;
  readonly #sender: Sender;
  readonly #patience: Patience;
  /** What the outbox had to say while there was no connection whose status could say it. */
  #untold: IotError | undefined;
  #closed: Promise<void> | undefined;

  constructor(settings: Settings, uplink: Uplink, agenda: Agenda, store?: MessageStore) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#store = store;
    const ledger = new Ledger(settings, uplink, store);
    this.#ledger = ledger;
    this.#preparation = new Preparation(settings);
    this.#sender = new Sender(settings, uplink, agenda, ledger, this.#preparation);
    this.#patience = new Patience(ledger, uplink, agenda);
    if (store === undefined) return;
    const readAhead = new ReadAhead(settings, store, {
      prefix: () => this.#preparation.prefix,
      loaded: (lane, message) => {
        lane.push(message);
        if (message.expiresAtMs <= settings.clock.nowMs()) ledger.expired(message);
        else this.#patience.expect(message);
      },
      skipped: (bytes, reason) => ledger.skipped(bytes, reason),
      failed: (message, error) => ledger.tell(message, error),
      reread: (byBytes) => ledger.count(0, byBytes),
      done: () => this.pump(settings.clock.nowMs()),
      note: (error) => this.note(error),
      retryAt: (atMs) => this.#sender.pumpAt(atMs),
    });
    this.#sender.pumped = (nowMs) => readAhead.run(nowMs);
    store.attach(this, agenda);
  }

  /** What a `close` waits for: with a durable outbox only what callers wait for and what is on its way. */
  get pending(): number {
    return this.#ledger.pending;
  }

  /** Resolves when the hub acknowledged. */
  send(body: TelemetryBody, options: TelemetryOptions | undefined): Promise<void> {
    return this.#accept(body, options, "acknowledged") as Promise<void>;
  }

  /** Resolves when the message is safe: in the queue, or on disk. */
  enqueue(body: TelemetryBody, options: TelemetryOptions | undefined): Promise<Enqueued> {
    return this.#accept(body, options, "accepted") as Promise<Enqueued>;
  }

  /** As `send` or `enqueue`, but undefined when there is no room: for a source that can wait. */
  offer(
    body: TelemetryBody,
    options: TelemetryOptions | undefined,
    waits: CallWaits,
  ): Promise<unknown> | undefined {
    try {
      return this.#tryAccept(body, options, waits);
    } catch (error) {
      if ((error as IotError).code === "device.queue_full") return undefined;
      return Promise.reject(error as Error);
    }
  }

  #accept(
    body: TelemetryBody,
    options: TelemetryOptions | undefined,
    waits: CallWaits,
  ): Promise<unknown> {
    try {
      return this.#tryAccept(body, options, waits);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /** @throws IotError when the message is not taken */
  #tryAccept(
    body: TelemetryBody,
    options: TelemetryOptions | undefined,
    waits: CallWaits,
  ): Promise<unknown> {
    if (this.#ledger.isClosing) throw closed(callOf(waits));
    const { clock, callTimeoutMs, outbox } = this.#settings;
    const nowMs = clock.nowMs();
    const message = this.#preparation.message(body, options);
    let timeoutMs = callTimeoutMs;
    let signal: AbortSignal | undefined;
    if (options !== undefined) {
      if (options.timeoutMs !== undefined) timeoutMs = checkTimeout(options.timeoutMs);
      signal = options.signal;
      if (signal?.aborted) throw aborted(callOf(waits), signal);
    }
    makeRoom(this.#ledger, outbox, message, 1, this.#bytesOf(message));
    const promise = promiseFor(message);
    this.#take(message, nowMs, waits, timeoutMs, signal);
    this.pump(nowMs);
    return promise;
  }

  /** All or none of them; settles when the last is acknowledged or the first failed. */
  sendBatch(messages: readonly TelemetryMessage[], options: CallOptions = {}): Promise<void> {
    const what = "sendTelemetryBatch";
    if (this.#ledger.isClosing) return Promise.reject(closed(what));
    const nowMs = this.#settings.clock.nowMs();
    const call = new BatchCall(messages.length);
    try {
      const { signal } = options;
      const timeoutMs =
        options.timeoutMs === undefined
          ? this.#settings.callTimeoutMs
          : checkTimeout(options.timeoutMs);
      if (signal?.aborted) throw aborted(what, signal);
      const prepared = messages.map((message) => this.#preparation.message(message.body, message));
      let bytes = 0;
      for (const message of prepared) bytes += this.#bytesOf(message);
      const [first] = prepared;
      const { outbox } = this.#settings;
      if (first !== undefined) makeRoom(this.#ledger, outbox, first, prepared.length, bytes);
      for (const message of prepared) {
        message.resolve = call.resolveOne;
        message.reject = call.rejectOne;
        this.#take(message, nowMs, "acknowledged", timeoutMs, signal);
      }
    } catch (error) {
      call.rejectOne(error as Error);
    }
    this.pump(nowMs);
    return call.promise;
  }

  /** Resolves when the outbox may have room again, or is closed. */
  whenRoom(): Promise<void> {
    return this.#ledger.whenRoom();
  }

  #bytesOf(message: Outgoing): number {
    const { topic, prefix, payload } = message;
    const store = this.#store;
    if (store === undefined) return topic.length + payload.length;
    return store.bytesOf(topic.length - prefix.length, payload.length);
  }

  #take(
    message: Outgoing,
    nowMs: number,
    waits: CallWaits,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): void {
    const ledger = this.#ledger;
    message.bytes = this.#bytesOf(message);
    message.acceptedAtMs = this.#settings.clock.wallMs();
    if (message.ttlMs > 0) message.expiresAtMs = nowMs + message.ttlMs;
    const lane = ledger.laneOf(message);
    if (this.#store === undefined) {
      message.sequenceNumber = lane.nextSequenceNumber++;
      lane.push(message);
    } else {
      this.#store.append(message);
      message.isCommitted = false;
      lane.nextSequenceNumber = message.sequenceNumber + 1;
      if (lane.storing === 0 && lane.hasRoomInMemory) lane.push(message);
      else {
        message.state = "storing";
        lane.storing += 1;
      }
    }
    ledger.count(1, message.bytes);
    message.waits = waits;
    ledger.callers += 1;
    if (this.#store === undefined && waits === "accepted") ledger.tell(message, undefined);
    else {
      message.timeoutMs = timeoutMs;
      message.deadlineMs = nowMs + timeoutMs;
      if (signal !== undefined) this.#patience.listen(message, signal);
    }
    this.#patience.expect(message);
  }

  // What the connection says.

  /** Hands over what the window, the socket and the rate limits take. */
  pump(nowMs: number): void {
    if (this.#untold !== undefined && this.#uplink.connected) {
      const error = this.#untold;
      this.#untold = undefined;
      this.#uplink.note(error);
    }
    this.#sender.pump(nowMs);
  }

  /** PUBACK. */
  acknowledged(packetId: number, nowMs: number): void {
    this.#sender.acknowledged(packetId, nowMs);
  }

  connected(nowMs: number): void {
    this.#sender.connected(nowMs);
  }

  disconnected(): void {
    this.#sender.disconnected();
  }

  /** The device has another id. */
  renamed(): void {
    this.#sender.renamed();
  }

  // What the store says.

  committed(message: Outgoing): void {
    this.#ledger.committed(message);
  }

  refused(message: Outgoing, error: IotError): void {
    this.#ledger.refused(message, error);
  }

  committedAll(): void {
    this.#ledger.flight.trim();
    this.#ledger.letIn();
    this.pump(this.#settings.clock.nowMs());
  }

  note(error: IotError): void {
    if (this.#uplink.connected) this.#uplink.note(error);
    else this.#untold = error;
    this.#settings.onError(error, "outbox");
  }

  // The end.

  /** No more calls; what callers wait for still goes. */
  closing(): void {
    this.#ledger.isClosing = true;
  }

  /** Tells everybody and lets go of the disk. */
  close(): void {
    const ledger = this.#ledger;
    ledger.isClosing = true;
    if (this.#closed !== undefined) return;
    const isDurable = this.#store !== undefined;
    ledger.each((message) => {
      if (!isDurable) ledger.drop(message, closed(callOf(message.waits)), "closed");
      // Those that are being written are told when they are.
      else if (message.isCommitted || message.waits === "acknowledged") {
        ledger.tell(message, closed(callOf(message.waits)));
      }
    });
    this.#patience.close();
    this.#sender.close();
    ledger.letIn();
    this.#closed = this.#closeStore();
  }

  /** Resolves when the disk is let go of. */
  async closed(): Promise<void> {
    await this.#closed;
  }

  async #closeStore(): Promise<void> {
    if (this.#store === undefined) return;
    try {
      await this.#store.close();
    } catch (error) {
      this.#settings.onError(error, "outbox");
    }
    const ledger = this.#ledger;
    ledger.each((message) => ledger.tell(message, closed(callOf(message.waits))));
  }
}
