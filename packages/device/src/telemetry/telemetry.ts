import { IotError } from "@hubwire/protocol";
import { aborted, closed, timedOut } from "../calls/errors.ts";
import type { CallOptions } from "../calls/pending-call.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Uplink } from "../connection/uplink.ts";
import { tellAcknowledged, tellDropped, tellSent } from "../observe/telemetry-news.ts";
import type { DropReason } from "../observe/stats.ts";
import type { Settings } from "../options/settings.ts";
import type { MessageStore, StoreHost } from "../outbox/store.ts";
import { BatchCall } from "./batch-call.ts";
import type { CallWaits } from "./call-waits.ts";
import { DrainRate } from "./drain-rate.ts";
import { Flight } from "./flight.ts";
import { whoGives } from "./full-queue.ts";
import { Lane } from "./lane.ts";
import { nextLane } from "./lanes.ts";
import type { Outgoing } from "./outgoing.ts";
import { checkTimeout, Preparation } from "./prepare.ts";
import { priorities } from "./priority.ts";
import { ReadAhead } from "./read-ahead.ts";
import type { TelemetryBody, TelemetryMessage, TelemetryOptions } from "./telemetry-options.ts";

/** What `enqueue` answers. */
export type Enqueued = {
  /** Given by the caller or by the client; undefined only with `messageIds: "given"` when the caller gave none. */
  messageId: string | undefined;
};

/** The executor runs inside `new Promise`, so one shared function can carry both of its arguments out. */
let latestResolve: (value: unknown) => void = () => undefined;
let latestReject: (error: Error) => void = () => undefined;
const capture = (resolve: (value: unknown) => void, reject: (error: Error) => void): void => {
  latestResolve = resolve;
  latestReject = reject;
};

/** Bytes of QoS 0 messages after which the socket is asked how much it still takes. */
const burstBytes = 256 * 1024;
/** A lane with a durable outbox holds so much in memory; what comes then stays on disk until its turn is near. */
const laneMessagesMax = 4_096;
const laneBytesMax = 4 * 1024 * 1024;

const none = new Uint8Array(0);
const what = "sendTelemetry";

/**
 * The outbox: for each priority a lane of messages in the order they were given; before them those with the session (the
 * window). Bounded in messages and in bytes. One promise per message and nothing else: no timer, no closure, no microtask of
 * ours; deadlines are looked at by one timer, and only when the nearest one is reached.
 *
 * With a durable outbox a message is written first, leaves from memory once it is committed, and is forgotten on disk once
 * the hub acknowledged it; what does not fit in memory is read again when its turn is near.
 */
export class Telemetry implements Machine, StoreHost {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #agenda: Agenda;
  readonly #store: MessageStore | undefined;
  readonly #preparation: Preparation;
  readonly #drainRate: DrainRate;
  /** Least urgent first. */
  readonly #lanes: readonly Lane[];
  readonly #flight = new Flight();
  readonly #readAhead: ReadAhead | undefined;
  /** Accepted and not settled, and what they count: the bounds are on these. */
  #live = 0;
  #liveBytes = 0;
  /** Callers not told yet. */
  #callers = 0;
  /** The nearest deadline of any message, or an earlier time. */
  #scanAtMs = Infinity;
  /** When the oldest unacknowledged message is next looked at. */
  #ackCheckAtMs = Infinity;
  /** When the drain rate, or the rate limit, lets the next message go. */
  #pumpAtMs = Infinity;
  #nowMs = 0;
  /** QoS 0: given to the socket, or about to be, in this turn. */
  #handed: Outgoing[] = [];
  /** Their bytes since the socket was last asked. */
  #burst = 0;
  #roomWaiters: (() => void)[] = [];
  readonly #flushed = (): void => this.#settleHanded();
  readonly #mayWhen = (lane: Lane): number => this.#laneMayWhen(lane);
  #isClosing = false;
  #closed: Promise<void> | undefined;

  constructor(settings: Settings, uplink: Uplink, agenda: Agenda, store?: MessageStore) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#agenda = agenda;
    this.#store = store;
    this.#preparation = new Preparation(settings);
    this.#drainRate = new DrainRate(settings.drainRate);
    this.#lanes = store?.lanes ?? priorities.map((_, index) => new Lane(index));
    agenda.add(this);
    if (store === undefined) return;
    this.#live = store.storedCount;
    this.#liveBytes = store.storedBytes;
    this.#readAhead = new ReadAhead(settings, store, {
      prefix: () => this.#preparation.prefix,
      loaded: (lane, message) => this.#loaded(lane, message),
      skipped: (lane, bytes, reason) => this.#skipped(lane, bytes, reason),
      failed: (message, error) => this.#tell(message, error),
      reread: (lane, by) => this.#count(lane, 0, by),
      done: () => this.pump(settings.clock.nowMs()),
      note: (error) => this.note(error),
      retryAt: (atMs) => this.#pumpAt(atMs),
    });
    store.attach(this, agenda);
    this.#count(undefined, 0, 0);
  }

  /** What a `close` waits for: with a durable outbox only what callers wait for and what is on its way. */
  get pending(): number {
    return this.#store === undefined ? this.#live : this.#callers + this.#flight.count;
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
    if (this.#isClosing) throw closed(callOf(waits));
    const { clock, callTimeoutMs } = this.#settings;
    const nowMs = clock.nowMs();
    const message = this.#preparation.message(body, options);
    let timeoutMs = callTimeoutMs;
    let signal: AbortSignal | undefined;
    if (options !== undefined) {
      if (options.timeoutMs !== undefined) timeoutMs = checkTimeout(options.timeoutMs);
      signal = options.signal;
      if (signal?.aborted) throw aborted(callOf(waits), signal);
    }
    this.#makeRoom(message, 1, this.#bytesOf(message));
    const promise = new Promise(capture);
    message.resolve = latestResolve;
    message.reject = latestReject;
    this.#take(message, nowMs, waits, timeoutMs, signal);
    if (this.#store === undefined) this.pump(nowMs);
    return promise;
  }

  /** All or none of them; settles when the last is acknowledged or the first failed. */
  sendBatch(messages: readonly TelemetryMessage[], options: CallOptions = {}): Promise<void> {
    if (this.#isClosing) return Promise.reject(closed("sendTelemetryBatch"));
    const nowMs = this.#settings.clock.nowMs();
    const call = new BatchCall(messages.length);
    try {
      const { signal } = options;
      const timeoutMs =
        options.timeoutMs === undefined
          ? this.#settings.callTimeoutMs
          : checkTimeout(options.timeoutMs);
      if (signal?.aborted) throw aborted("sendTelemetryBatch", signal);
      const prepared = messages.map((message) => this.#preparation.message(message.body, message));
      let bytes = 0;
      for (const message of prepared) bytes += this.#bytesOf(message);
      const [first] = prepared;
      if (first !== undefined) this.#makeRoom(first, prepared.length, bytes);
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
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
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
    message.bytes = this.#bytesOf(message);
    message.acceptedAtMs = this.#settings.clock.wallMs();
    if (message.ttlMs > 0) message.expiresAtMs = nowMs + message.ttlMs;
    const lane = this.#laneOf(message);
    if (this.#store === undefined) {
      message.sequenceNumber = lane.nextSequenceNumber++;
      lane.push(message);
    } else {
      message.state = "storing";
      this.#store.append(message);
      lane.nextSequenceNumber = message.sequenceNumber + 1;
    }
    this.#count(lane, 1, message.bytes);
    message.waits = waits;
    this.#callers += 1;
    if (this.#store === undefined && waits === "accepted") this.#tell(message, undefined);
    else {
      message.timeoutMs = timeoutMs;
      message.deadlineMs = nowMs + timeoutMs;
      if (signal !== undefined) this.#listen(message, signal);
    }
    this.#expectScan(Math.min(message.deadlineMs, message.expiresAtMs));
  }

  /** Hands over what the window, the socket and the rate limits take. */
  pump(nowMs: number): void {
    const { session } = this.#uplink;
    if (!this.#uplink.accepting || this.#isHeld) return;
    this.#nowMs = nowMs;
    this.#pumpAtMs = Infinity;
    const { prefix } = this.#preparation;
    const { gate, stats } = this.#settings;
    let free = session.windowFree;
    let touched = false;
    for (;;) {
      const lane = nextLane(this.#lanes, this.#mayWhen);
      if (typeof lane === "number") {
        this.#pumpAt(lane);
        break;
      }
      const message = lane.head() as Outgoing;
      if (message.expiresAtMs <= nowMs) {
        this.#expired(message);
        continue;
      }
      const { payload, qos } = message;
      if (!this.#uplink.writable) break;
      if (qos === 1 && (free === 0 || !this.#flight.hasRoomFor(payload.length))) break;
      const admittedAtMs = gate.admit("telemetry", message.sizeBytes, nowMs);
      if (admittedAtMs > 0) {
        this.#pumpAt(admittedAtMs);
        break;
      }
      if (message.sequenceNumber < lane.backlogBefore) this.#drainRate.take();
      lane.shift();
      if (message.prefix !== prefix) {
        message.topic = prefix + message.bag;
        message.prefix = prefix;
      }
      message.packetId = session.publish(message, nowMs);
      message.sentAtMs = nowMs;
      stats.sent += 1;
      tellSent(stats, message.sizeBytes, qos, false);
      if (qos === 1) {
        free -= 1;
        message.state = "sent";
        this.#flight.push(message);
        if (this.#ackCheckAtMs === Infinity) this.#expectAck(nowMs);
      } else {
        message.state = "handed";
        this.#handed.push(message);
        this.#burst += payload.length;
      }
      touched = true;
      if (this.#burst > burstBytes) {
        this.#burst = 0;
        this.#uplink.flush();
        // That may have been the end of the connection.
        if (!this.#uplink.accepting) return;
      }
    }
    this.#readAhead?.run(nowMs);
    if (!touched) return;
    this.#uplink.touch();
    // Behind the driver's own end of turn, which was asked for first: by then the bytes are with the socket.
    if (this.#handed.length > 0) this.#settings.clock.endOfTurn(this.#flushed);
  }

  /** What is on disk stays there when the client is about to end and nobody waits for it. */
  get #isHeld(): boolean {
    return this.#isClosing && this.#store !== undefined && this.#callers === 0;
  }

  #laneMayWhen(lane: Lane): number {
    const head = lane.head() as Outgoing;
    return head.sequenceNumber < lane.backlogBefore ? this.#drainRate.nextAtMs(this.#nowMs) : 0;
  }

  #pumpAt(atMs: number): void {
    if (atMs >= this.#pumpAtMs) return;
    this.#pumpAtMs = atMs;
    this.#agenda.expect(atMs);
  }

  /** PUBACK. */
  acknowledged(packetId: number, nowMs: number): void {
    const message = this.#flight.find(packetId);
    if (message === undefined) return;
    const { stats } = this.#settings;
    stats.acknowledged += 1;
    stats.roundTrip.record(nowMs - message.sentAtMs);
    tellAcknowledged(stats, nowMs - message.sentAtMs);
    this.#settle(message);
    this.#tell(message, undefined);
    this.#flight.trim();
  }

  /** What the session still had was sent again just now, so the first look at it is a whole interval away. */
  connected(nowMs: number): void {
    for (const lane of this.#lanes) lane.backlogBefore = lane.nextSequenceNumber;
    const { messages } = this.#flight;
    for (let i = 0; i < messages.length; i++) {
      const message = messages.at(i);
      if (message.state !== "sent") continue;
      message.sentAtMs = nowMs;
      this.#settings.stats.resent += 1;
      tellSent(this.#settings.stats, message.sizeBytes, 1, true);
    }
    if (this.#flight.count > 0) this.#expectAck(nowMs);
  }

  disconnected(): void {
    this.#ackCheckAtMs = Infinity;
    this.#pumpAtMs = Infinity;
    const handed = this.#handed;
    this.#handed = [];
    this.#burst = 0;
    for (const message of handed.toReversed()) {
      if (message.state !== "handed") continue;
      if (message.waits === "nothing") this.#putBack(message);
      else {
        const text = "The connection ended before the message reached the socket";
        this.#drop(message, new IotError("device.connection_lost", text), undefined);
      }
    }
  }

  /** The device has another id: what the session still has waits again, to go under the new id's topics. */
  renamed(): void {
    for (const message of this.#flight.takeBack().toReversed()) {
      this.#uplink.session.cancel(message.packetId);
      this.#putBack(message);
    }
  }

  #putBack(message: Outgoing): void {
    const lane = this.#laneOf(message);
    message.state = "queued";
    lane.waiting.unshift(message);
    lane.waitingBytes += message.payload.length;
  }

  /** No more calls; what callers wait for still goes. */
  closing(): void {
    this.#isClosing = true;
  }

  /** Tells everybody and lets go of the disk. */
  close(): void {
    this.#isClosing = true;
    if (this.#closed !== undefined) return;
    const isDurable = this.#store !== undefined;
    this.#each((message) => {
      if (!isDurable) this.#drop(message, closed(callOf(message.waits)), "closed");
      // Those that are being written are told when they are.
      else if (message.state !== "storing" || message.waits === "acknowledged") {
        this.#tell(message, closed(callOf(message.waits)));
      }
    });
    this.#scanAtMs = Infinity;
    this.#ackCheckAtMs = Infinity;
    this.#pumpAtMs = Infinity;
    this.#letIn();
    this.#closed = this.#closeStore();
  }

  /** Resolves when the disk is let go of. */
  async closed(): Promise<void> {
    await this.#closed;
  }

  async #closeStore(): Promise<void> {
    const store = this.#store;
    if (store === undefined) return;
    try {
      await store.close();
    } catch (error) {
      this.#settings.onError(error, "outbox");
    }
    this.#each((message) => this.#tell(message, closed(callOf(message.waits))));
  }

  get deadlineMs(): number {
    return Math.min(this.#scanAtMs, this.#ackCheckAtMs, this.#pumpAtMs);
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#scanAtMs) this.#scan(nowMs);
    if (nowMs >= this.#ackCheckAtMs) this.#checkAck(nowMs);
    if (nowMs >= this.#pumpAtMs) {
      this.#pumpAtMs = Infinity;
      this.pump(nowMs);
      this.#readAhead?.run(nowMs);
    }
  }

  // What the store says.

  committed(message: Outgoing): void {
    const lane = this.#laneOf(message);
    if (message.waits === "accepted") this.#tell(message, undefined);
    if (
      lane.storedCount === 0 &&
      lane.waiting.length < laneMessagesMax &&
      lane.waitingBytes < laneBytesMax
    ) {
      message.state = "queued";
      return lane.push(message);
    }
    lane.store(message);
    message.payload = none;
    message.state = "stored";
    if (message.waits !== "nothing") lane.parked.set(message.sequenceNumber, message);
  }

  refused(message: Outgoing, error: IotError): void {
    message.state = "settled";
    this.#count(this.#laneOf(message), -1, -message.bytes);
    this.#tell(message, error);
  }

  committedAll(): void {
    this.#letIn();
    this.pump(this.#settings.clock.nowMs());
  }

  note(error: IotError): void {
    this.#uplink.note(error);
    this.#settings.onError(error, "outbox");
  }

  #loaded(lane: Lane, message: Outgoing): void {
    if (message.expiresAtMs <= this.#settings.clock.nowMs()) {
      // It was never among the waiting.
      lane.push(message);
      this.#expired(message);
    } else {
      lane.push(message);
      this.#expectScan(Math.min(message.deadlineMs, message.expiresAtMs));
    }
  }

  /** A stored message is given up unread, or was settled before the process began. */
  #skipped(lane: Lane, bytes: number, reason: DropReason | undefined): void {
    if (reason === undefined) return this.#count(lane, 0, -bytes);
    this.#countDrop(reason);
    this.#count(lane, -1, -bytes);
  }

  // Room.

  #makeRoom(message: Outgoing, messages: number, bytes: number): void {
    const { messagesMax, bytesMax } = this.#settings.outbox;
    for (;;) {
      const tooMany = this.#live + messages > messagesMax;
      const tooMuch = this.#live > 0 && this.#liveBytes + bytes > bytesMax;
      if (!tooMany && !tooMuch) return;
      const full = tooMany
        ? `${this.#live} messages wait to be sent`
        : `${this.#liveBytes} bytes wait to be sent`;
      const verdict = whoGives(this.#settings.outbox, this.#lanes, message.priority, full);
      if (!(verdict instanceof Lane)) {
        if (verdict.code === "device.dropped_newest") this.#countDrop("queue_full_newest");
        if (verdict.code === "device.dropped_priority") this.#countDrop("priority");
        throw verdict;
      }
      this.#giveUpFirst(verdict, full);
    }
  }

  #countDrop(reason: DropReason, messageId?: string): void {
    this.#settings.stats.dropped[reason] += 1;
    tellDropped(this.#settings.stats, reason, messageId);
  }

  /** The oldest of a lane makes room. */
  #giveUpFirst(lane: Lane, full: string): void {
    const byAge = this.#settings.outbox.whenFull === "drop-oldest";
    const reason = byAge ? "queue_full_oldest" : "priority";
    const error = new IotError(byAge ? "device.dropped_oldest" : "device.dropped_priority", full);
    const head = lane.head();
    if (head !== undefined) {
      this.#drop(head, error, reason);
      return this.#tellDropped(head.messageId, lane, reason);
    }
    const sequenceNumber = lane.storedFrom;
    const bytes = lane.unstore();
    if (lane.settled.has(sequenceNumber)) return this.#skipped(lane, bytes, undefined);
    const parked = lane.parked.get(sequenceNumber);
    if (parked !== undefined) {
      lane.parked.delete(sequenceNumber);
      this.#tell(parked, error);
    }
    this.#store?.settled(lane, sequenceNumber);
    this.#skipped(lane, bytes, reason);
    this.#tellDropped(parked?.messageId, lane, reason);
  }

  #tellDropped(
    messageId: string | undefined,
    lane: Lane,
    reason: "expired" | "queue_full_oldest" | "priority",
  ): void {
    const { onDropped } = this.#settings.outbox;
    if (onDropped === undefined) return;
    try {
      onDropped({ reason, messageId, priority: priorities[lane.priority] ?? "normal" });
    } catch (error) {
      this.#settings.onError(error, "outbox.onDropped");
    }
  }

  #letIn(): void {
    if (this.#roomWaiters.length === 0) return;
    const { messagesMax, bytesMax } = this.#settings.outbox;
    const isFull = this.#live >= messagesMax || this.#liveBytes >= bytesMax;
    if (isFull && !this.#isClosing) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resolve of waiters) resolve();
  }

  // Deadlines.

  #expectScan(atMs: number): void {
    if (atMs >= this.#scanAtMs) return;
    this.#scanAtMs = atMs;
    this.#agenda.expect(atMs);
  }

  #scan(nowMs: number): void {
    let nextMs = Infinity;
    this.#each((message) => {
      if (message.waits !== "nothing") {
        if (message.deadlineMs <= nowMs) this.#giveUp(message, this.#late(message), "timed_out");
        else nextMs = Math.min(nextMs, message.deadlineMs);
      }
      if (message.state !== "queued") return;
      if (message.expiresAtMs <= nowMs) this.#expired(message);
      else nextMs = Math.min(nextMs, message.expiresAtMs);
    });
    this.#scanAtMs = nextMs;
    this.#flight.trim();
  }

  #expired(message: Outgoing): void {
    const text = `The message waited longer than its ttlMs, ${message.ttlMs}`;
    this.#drop(message, new IotError("device.dropped_expired", text), "expired");
    this.#tellDropped(message.messageId, this.#laneOf(message), "expired");
  }

  #late(message: Outgoing): IotError {
    const { cause } = this.#uplink;
    const { state, waits, timeoutMs } = message;
    const where =
      state === "sent"
        ? "sent, not acknowledged"
        : this.#store === undefined
          ? "not sent"
          : state === "storing"
            ? "not on disk yet"
            : "not sent; it stays in the outbox";
    return timedOut(
      `${callOf(waits)} (${where})`,
      timeoutMs,
      cause === undefined ? undefined : { cause },
    );
  }

  /** The oldest message with the session decides whether the connection is alive. */
  #checkAck(nowMs: number): void {
    this.#ackCheckAtMs = Infinity;
    const oldest = this.#flight.oldest();
    if (oldest === undefined) return;
    const { retryIntervalMs } = this.#settings;
    if (nowMs - oldest.sentAtMs < retryIntervalMs) return this.#expectAck(oldest.sentAtMs);
    const reason = `The hub did not acknowledge a message for ${retryIntervalMs} ms`;
    this.#uplink.kill("device.ack_timeout", reason);
  }

  #expectAck(sinceMs: number): void {
    this.#ackCheckAtMs = sinceMs + this.#settings.retryIntervalMs;
    this.#agenda.expect(this.#ackCheckAtMs);
  }

  // Ends.

  #settleHanded(): void {
    const handed = this.#handed;
    if (handed.length === 0) return;
    this.#handed = [];
    this.#burst = 0;
    for (const message of handed) {
      if (message.state !== "handed") continue;
      this.#settle(message);
      this.#tell(message, undefined);
    }
    this.pump(this.#settings.clock.nowMs());
  }

  #listen(message: Outgoing, signal: AbortSignal): void {
    message.signal = signal;
    message.onAbort = () => {
      if (message.waits === "nothing") return;
      this.#giveUp(message, aborted(callOf(message.waits), signal), "aborted");
      this.#flight.trim();
    };
    signal.addEventListener("abort", message.onAbort, { once: true });
  }

  /** Its caller waits no longer. What a durable outbox has accepted is sent all the same. */
  #giveUp(message: Outgoing, error: IotError, reason: DropReason): void {
    if (this.#store === undefined) this.#drop(message, error, reason);
    else this.#tell(message, error);
  }

  /** It is not sent any more. */
  #drop(message: Outgoing, error: IotError, reason: DropReason | undefined): void {
    if (message.state === "settled") return;
    // Its caller is told that it failed: it must not be sent again on the next connection.
    if (message.state === "sent") this.#uplink.session.cancel(message.packetId);
    if (reason !== undefined) this.#countDrop(reason, message.messageId);
    this.#settle(message);
    this.#tell(message, error);
  }

  #settle(message: Outgoing): void {
    const lane = this.#laneOf(message);
    if (message.state === "sent") this.#flight.settled(message);
    else if (message.state === "queued") lane.settledWaiting(message);
    message.state = "settled";
    message.payload = none;
    this.#store?.settled(lane, message.sequenceNumber);
    this.#count(lane, -1, -message.bytes);
    this.#letIn();
  }

  #tell(message: Outgoing, error: Error | undefined): void {
    const { waits } = message;
    if (waits === "nothing") return;
    message.waits = "nothing";
    message.deadlineMs = Infinity;
    this.#callers -= 1;
    if (message.onAbort !== undefined) {
      message.signal?.removeEventListener("abort", message.onAbort);
      message.onAbort = undefined;
    }
    if (error !== undefined) message.reject(error);
    else if (waits === "accepted") message.resolve({ messageId: message.messageId });
    else message.resolve(undefined);
    if (this.pending === 0) this.#uplink.requestDone();
  }

  #count(_lane: Lane | undefined, messages: number, bytes: number): void {
    this.#live += messages;
    this.#liveBytes += bytes;
    const { stats } = this.#settings;
    stats.queueDepth = this.#live;
    stats.queueBytes = Math.round(this.#liveBytes);
    if (messages < 0 && this.pending === 0) this.#uplink.requestDone();
  }

  #laneOf(message: Outgoing): Lane {
    return this.#lanes[message.priority] as Lane;
  }

  /** Everything in memory that is not settled. `visit` may settle what it is given. */
  #each(visit: (message: Outgoing) => void): void {
    const found: Outgoing[] = [];
    const collect = (queue: { length: number; at(index: number): Outgoing }): void => {
      for (let i = 0; i < queue.length; i++) {
        const message = queue.at(i);
        if (message.state !== "settled") found.push(message);
      }
    };
    collect(this.#flight.messages);
    for (const message of this.#handed) found.push(message);
    for (const lane of this.#lanes) {
      collect(lane.waiting);
      for (const message of lane.parked.values()) found.push(message);
    }
    if (this.#store !== undefined) collect(this.#store.uncommitted);
    for (const message of found) if (message.state !== "settled") visit(message);
  }
}

const callOf = (waits: CallWaits): string => (waits === "accepted" ? "enqueue" : what);
