/// <reference lib="esnext.disposable" preserve="true" />
import { c2dFilter, IotError, moduleInputsFilter, parseHubTopic } from "@hubwire/protocol";
import type { ClientEffect, IncomingMessage, JsonValue } from "@hubwire/protocol";
import { C2dMessage, InputMessage } from "./c2d/c2d-message.ts";
import type { C2dHandler } from "./c2d/c2d-message.ts";
import type { MessageFilter } from "./c2d/handlers.ts";
import { Inbox } from "./c2d/inbox.ts";
import { closed, invalid, timedOut } from "./calls/errors.ts";
import { EventStream } from "./calls/event-stream.ts";
import { Deadlines } from "./calls/deadlines.ts";
import { PendingCall } from "./calls/pending-call.ts";
import type { CallOptions } from "./calls/pending-call.ts";
import type { IssueCall, IssueOptions } from "./certificates/issue-call.ts";
import type { RenewedCertificate } from "./certificates/issued.ts";
import type { SingleProof } from "./credentials/credentials.ts";
import type { RotateOptions } from "./credentials/rotate.ts";
import { Agenda } from "./connection/agenda.ts";
import type { Provisioned } from "./connection/provisioner.ts";
import { learnTime } from "./connection/server-time.ts";
import type { DeviceStatus } from "./connection/status.ts";
import { Subscriptions } from "./connection/subscriptions.ts";
import { Uplink } from "./connection/uplink.ts";
import type { UplinkOwner } from "./connection/uplink-owner.ts";
import type { GatedOperation } from "./limits/send-gate.ts";
import type { MethodHandler, MethodOptions } from "./methods/method.ts";
import { Methods } from "./methods/methods.ts";
import { StatusNews } from "./observe/status-news.ts";
import type { DeviceStats } from "./observe/stats.ts";
import { checkNumber } from "./options/bounds.ts";
import type { ConnectOptions } from "./options/options.ts";
import type { Settings } from "./options/settings.ts";
import type { MessageStore } from "./outbox/store.ts";
import { PlugAndPlay } from "./pnp/plug-and-play.ts";
import { sendAll } from "./telemetry/send-all.ts";
import type { SendAllOptions, SendAllResult, TelemetrySource } from "./telemetry/send-all.ts";
import type {
  TelemetryBody,
  TelemetryMessage,
  TelemetryOptions,
} from "./telemetry/telemetry-options.ts";
import { Telemetry } from "./telemetry/telemetry.ts";
import type { Enqueued } from "./telemetry/telemetry.ts";
import { Desired } from "./twin/desired.ts";
import { Reports } from "./twin/reports.ts";
import { readTwin } from "./twin/twin.ts";
import type { DesiredChange, Twin } from "./twin/twin.ts";
import { TwinCache } from "./twin/twin-cache.ts";
import type { CachedTwin, TwinFeed } from "./twin/twin-cache.ts";
import { TwinRequests } from "./twin/twin-requests.ts";
import type { ReportOptions } from "./twin/twin-requests.ts";

/** Statuses held for a slow reader of `statusChanges()`; beyond it the oldest go. */
const statusBufferMax = 256;
const messageNames = { loop: "messages()", handler: "onMessage" };
const inputNames = { loop: "inputs()", handler: "onInput" };
const newC2dMessage = (...given: ConstructorParameters<typeof C2dMessage>): C2dMessage =>
  new C2dMessage(...given);

/** What `close` grants to what is under way. */
const closeTimeoutMs = 10_000;

/** Begins to connect. No method, because nobody but `connect` may do it, and once. */
export let openClient: (
  client: DeviceClient,
  signal: AbortSignal | undefined,
) => Promise<DeviceClient>;

/** What a call takes that waits for news rather than for an answer. */
export type ListenOptions = { signal?: AbortSignal | undefined };

/**
 * A device (or module) connected to an IoT Hub; made by `connect`. It reconnects by itself for ever; every call settles
 * with a value or an `IotError` by its deadline, whatever the network does.
 *
 * Close it with `close()`, or declare it with `await using`.
 */
export class DeviceClient implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #agenda: Agenda;
  readonly #uplink: Uplink;
  readonly #subscriptions: Subscriptions;
  readonly #telemetry: Telemetry;
  readonly #inbox: Inbox<C2dMessage>;
  readonly #inputs: Inbox<InputMessage>;
  readonly #methods: Methods;
  readonly #requests: TwinRequests;
  /** Only once a certificate was asked for. */
  #issueCall: IssueCall | undefined;
  readonly #desired: Desired;
  readonly #reports: Reports;
  readonly #twin: TwinCache;
  readonly #twinFeed: TwinFeed;
  #pnp: PlugAndPlay | undefined;
  readonly #statusStreams = new Set<EventStream<DeviceStatus>>();
  readonly #onStatus: ((status: DeviceStatus) => void) | undefined;
  readonly #deadlines: Deadlines;
  readonly #news: StatusNews;
  #opening: PendingCall<DeviceClient> | undefined;
  #closing: PendingCall<void> | undefined;
  #closePromise: Promise<void> | undefined;

  /** @internal Use `connect`. */
  constructor(settings: Settings, options: ConnectOptions, store?: MessageStore) {
    this.#settings = settings;
    this.#onStatus = options.onStatus;
    this.#news = new StatusNews(settings.stats);
    this.#agenda = new Agenda(settings.clock);
    this.#deadlines = new Deadlines(this.#agenda);
    const uplink = new Uplink(settings, this.#agenda, this.#owner());
    const subscriptions = new Subscriptions(settings, uplink, this.#agenda);
    const requests = new TwinRequests(settings, uplink, subscriptions, this.#agenda);
    this.#uplink = uplink;
    this.#subscriptions = subscriptions;
    this.#requests = requests;
    this.#telemetry = new Telemetry(settings, uplink, this.#agenda, store);
    const agenda = this.#agenda;
    this.#inbox = new Inbox(settings, uplink, subscriptions, agenda, messageNames, () =>
      c2dFilter(settings.endpoint.identity),
    );
    if (options.onMessage !== undefined) this.#inbox.on(options.onMessage, undefined);
    this.#inputs = new Inbox(settings, uplink, subscriptions, agenda, inputNames, () =>
      moduleInputsFilter(this.#module()),
    );
    const { methods = {}, unknownMethod } = options;
    this.#methods = new Methods(settings, uplink, subscriptions, agenda, methods, unknownMethod);
    this.#twin = new TwinCache(settings.clock);
    this.#twinFeed = TwinCache.feed(this.#twin);
    this.#desired = new Desired(settings, subscriptions, requests, agenda, this.#twinFeed);
    this.#reports = new Reports(settings, requests, agenda, this.#twinFeed, () =>
      this.#desired.repair(),
    );
  }

  static {
    openClient = (client, signal) => client.#open(signal);
  }

  #open(signal: AbortSignal | undefined): Promise<DeviceClient> {
    const { clock, connectTimeoutMs, waitForConnection, credentials, onError } = this.#settings;
    credentials.attach?.({
      clock,
      notice: (news) => {
        onError(news, "credentials");
        this.#uplink.note(news);
      },
    });
    if (!waitForConnection) {
      this.#uplink.start();
      return Promise.resolve(this);
    }
    const opening = new PendingCall<DeviceClient>(
      "connect()",
      clock.nowMs(),
      connectTimeoutMs,
      signal,
    );
    this.#opening = opening;
    this.#deadlines.add(opening.deadlineMs, () => {
      const { cause } = this.#uplink;
      const last = cause === undefined ? "no attempt ended" : cause.message;
      const text = `Not connected within ${connectTimeoutMs} ms; last: ${last}`;
      opening.reject(new IotError("device.connect_timeout", text, { cause }));
    });
    // Also when its signal ends it: nothing goes on in the background after connect() was rejected.
    opening.promise.catch((error: unknown) => this.#finish(error as IotError));
    if (!opening.settled) this.#uplink.start();
    return opening.promise;
  }

  /** What the provisioning service said: hub, device id, returned payload. Undefined without it, and before it answered. */
  get provisioned(): Provisioned | undefined {
    return this.#settings.provisioner?.provisioned;
  }

  /** What the connection is doing. */
  status(): DeviceStatus {
    return this.#uplink.status;
  }

  /**
   * The application knows something: that the network is back, or that the connection is suspect. While the client waits it
   * tries at once; a connection that is up is asked whether it lives, and given up when it says nothing for five seconds.
   * Harmless in every state.
   */
  reconnectNow(): void {
    this.#uplink.reconnectNow();
  }

  /** What happened since the client was made, and what waits now; a copy. Works after `close` too. */
  stats(): DeviceStats {
    return this.#settings.stats.snapshot();
  }

  /** The status now, and then every change; ends after `closed` or `failed`. */
  statusChanges(options: ListenOptions = {}): AsyncIterableIterator<DeviceStatus, undefined> {
    const stream: EventStream<DeviceStatus> = new EventStream<DeviceStatus>({
      what: "statusChanges()",
      signal: options.signal,
      bufferMax: statusBufferMax,
      onOverflow: (buffer, status) => {
        buffer.shift();
        buffer.push(status);
      },
      onDone: () => this.#statusStreams.delete(stream),
    });
    const { status } = this.#uplink;
    stream.push(status);
    if (isFinal(status)) stream.end();
    else if (stream.isOpen) this.#statusStreams.add(stream);
    return stream;
  }

  /**
   * Sends a device-to-cloud message; messages of one priority leave in the order of the calls. Bytes and text go as they are,
   * any other value as JSON.
   *
   * QoS 1 (default): resolves when the hub acknowledged, and the message is sent again on the next connection when a
   * connection breaks before that; the hub may then store it twice. QoS 0: resolves when the message was given to the
   * socket; while there is no connection it waits for one.
   * @throws IotError `device.queue_full`, `device.budget_spent`, `device.message_too_large`, `call.timeout`, `call.aborted`, `client.closed`,
   *   `argument.invalid`, `topic.*`, `device.dropped_*`; `device.connection_lost` for QoS 0 only; with a durable outbox
   *   `device.outbox_disk_full`, `device.outbox_unavailable`. After an error the message is not sent any more, but the hub may
   *   have it already. One exception: what a durable outbox has accepted is sent after `call.timeout`, `call.aborted` and
   *   `client.closed` too; the message says so, and `ttlMs` is the way to limit it.
   */
  sendTelemetry(body: TelemetryBody, options?: TelemetryOptions): Promise<void> {
    if (this.#closePromise !== undefined) return Promise.reject(this.#gone("sendTelemetry"));
    const refused = this.#settings.gate.refusal("telemetry", 0);
    if (refused !== undefined) return Promise.reject(refused);
    return this.#telemetry.send(body, options);
  }

  /**
   * Puts a message into the outbox: resolves as soon as it is safe there, with a durable outbox once it is on disk. The client
   * sends it when it can, again after a restart too, and keeps it until the hub acknowledged. `timeoutMs` and `signal` end the
   * call, not the message; `ttlMs` ends the message.
   * @throws IotError `device.queue_full`, `device.dropped_newest`, `device.dropped_priority`, `device.message_too_large`,
   *   `device.outbox_disk_full`, `device.outbox_unavailable`, `call.timeout`, `call.aborted`, `client.closed`,
   *   `argument.invalid`, `topic.*`
   */
  enqueue(body: TelemetryBody, options?: TelemetryOptions): Promise<Enqueued> {
    if (this.#closePromise !== undefined) return Promise.reject(this.#gone("enqueue"));
    const refused = this.#settings.gate.refusal("telemetry", 0);
    if (refused !== undefined) return Promise.reject(refused);
    return this.#telemetry.enqueue(body, options);
  }

  /**
   * Sends several messages, in order; on the wire each is a message of its own. All are checked, and there is room for all,
   * before the first is taken. Resolves when the hub acknowledged the last; rejects with the first that fails, and then others
   * may have been sent.
   * @throws IotError as `sendTelemetry`
   */
  sendTelemetryBatch(messages: readonly TelemetryMessage[], options?: CallOptions): Promise<void> {
    if (this.#closePromise !== undefined) return Promise.reject(this.#gone("sendTelemetryBatch"));
    const refused = this.#settings.gate.refusal("telemetry", 0);
    if (refused !== undefined) return Promise.reject(refused);
    return this.#telemetry.sendBatch(messages, options);
  }

  /**
   * Sends everything an iterable gives, and asks it for more only when there is room: a slow hub slows the source down.
   * Resolves when the source has ended and all of it is acknowledged (or, with `until: "accepted"`, safe in the outbox).
   * Rejects with the first failure; the source is told to stop then.
   *
   *     await client.sendAll(readings(), { until: "accepted" });
   * @throws IotError as `sendTelemetry` or `enqueue`, but for `device.queue_full`; what the source throws
   */
  sendAll(source: TelemetrySource, options?: SendAllOptions): Promise<SendAllResult> {
    if (this.#closePromise !== undefined) return Promise.reject(this.#gone("sendAll"));
    return sendAll(this.#telemetry, this.#settings, source, options);
  }

  /**
   * Cloud-to-device messages for one `for await` loop; several loops share them, each message to one. Call `complete()` on
   * each when its work is done, not before: MQTT has no negative answer, so that leaving a message alone is the only way to
   * get it again (after the hub's lock time-out or the next connect). A loop that is left in the middle of a message leaves it.
   * @throws IotError (from the loop) `call.aborted`, `device.subscription_refused`; `argument.invalid` beside a handler that
   *   takes every message
   */
  messages(options: ListenOptions = {}): AsyncIterableIterator<C2dMessage, undefined> {
    return this.#inbox.messages(options.signal);
  }

  /**
   * Handles cloud-to-device messages: each is completed when the handler has finished, and left to come again when it throws.
   * With `filter` only those it returns true for; handlers with a filter are asked in the order they were registered, what
   * none takes goes to the handler without filter or to the loops of `messages()`.
   * @returns takes the handler away again
   * @throws IotError `argument.invalid` for a second handler without filter, or one beside a loop; `client.closed`
   */
  onMessage(handler: C2dHandler, options: { filter?: MessageFilter | undefined } = {}): () => void {
    return this.#inbox.on(handler, options.filter);
  }

  /**
   * Handles what a gateway routes to an input of this module, as `onMessage`. What an input without handler gets waits for
   * `inputs()`.
   * @returns takes the handler away again
   * @throws IotError `argument.invalid` for a device, which has no inputs; `client.closed`
   */
  onInput(name: string, handler: C2dHandler<InputMessage>): () => void {
    this.#module();
    if (typeof name !== "string" || name === "") throw invalid("onInput takes the input's name");
    return this.#inputs.on(handler, ({ inputName }) => inputName === name);
  }

  /** Messages to this module's inputs for one `for await` loop, as `messages()`. @throws as `onInput` and `messages` */
  inputs(options: ListenOptions = {}): AsyncIterableIterator<InputMessage, undefined> {
    this.#module();
    return this.#inputs.messages(options.signal);
  }

  /**
   * Answers a direct method. What goes wrong is answered too, with `{"code":…,"message":…}`: a payload that is no JSON or that
   * `parse` refuses 400, a name without handler 404 (unless there is `unknownMethod`), too many calls at a time 429
   * (`methodsConcurrentMax`), a handler that throws 500, one that takes longer than `timeoutMs` 504.
   * @returns takes the handler away again
   * @throws IotError `argument.invalid` when the name has a handler or is none, `client.closed`
   */
  onMethod<Payload = JsonValue, Answer = unknown>(
    name: string,
    handler: MethodHandler<Payload, Answer>,
    options: MethodOptions<Payload> = {},
  ): () => void {
    if (this.#closePromise !== undefined) throw this.#gone("onMethod");
    return this.#methods.on(name, handler, options);
  }

  /** IoT Plug and Play: components, writable properties, commands. */
  get pnp(): PlugAndPlay {
    this.#pnp ??= new PlugAndPlay({
      sendTelemetry: (body, options) => this.sendTelemetry(body, options),
      reportProperties: (patch, options) => this.reportProperties(patch, options),
      onMethod: (name, handler, options) => this.onMethod(name, handler, options),
      desiredChanges: (signal) => this.#desired.changes(signal),
      onError: this.#settings.onError,
    });
    return this.#pnp;
  }

  /**
   * The client's copy of the twin: what was last read, with notifications and acknowledged reports merged in. It costs nothing
   * and asks nothing; `followTwin()` and `desiredProperties()` keep it current, `getTwin()` renews it once.
   */
  get twin(): CachedTwin {
    return this.#twin;
  }

  /**
   * Keeps `twin` current from now on: reads it, follows desired properties, and reads it again after every reconnect and
   * whenever a version is missing. Resolves when both sections are known.
   * @throws IotError as `getTwin`
   */
  async followTwin(options: CallOptions = {}): Promise<CachedTwin> {
    await this.#desired.keep(options);
    return this.#twin;
  }

  /**
   * Reads the device's twin from the hub.
   * @throws IotError `device.twin_refused`, `device.twin_throttled`, `device.twin_unavailable`, `twin.bad_answer`,
   *   `device.subscription_refused`, `device.queue_full`, `call.timeout`, `call.aborted`, `client.closed`
   */
  async getTwin(options: CallOptions = {}): Promise<Twin> {
    if (this.#closePromise !== undefined) throw this.#gone("getTwin");
    this.#checkBudget("twinGet", 0);
    const { body } = await this.#requests.get("getTwin", options);
    const twin = readTwin(body);
    this.#desired.read(body);
    this.#twinFeed.read(twin);
    return twin;
  }

  /**
   * Merges a patch into the reported properties; null deletes a key. Patches reach the hub in the order of the calls, one
   * request at a time; what is reported meanwhile or offline goes together in the next one, and a lost answer makes the client
   * send again, which a merge patch allows. Throttled requests (429) are repeated until the call's deadline.
   *
   * With `ifVersion` the hub takes the patch only while the reported `$version` is this; such a patch goes by itself, and after
   * a lost answer the twin is read to find out what became of it.
   * @returns the `$version` of reported after the request that carried the patch
   * @throws IotError as `getTwin`; `twin.*` for a patch no twin can hold; `device.twin_conflict` with `ifVersion`. After
   *   `call.timeout` and `call.aborted` the patch is not sent any more, but the hub may have it already.
   */
  async reportProperties(
    patch: Readonly<Record<string, unknown>>,
    options: ReportOptions = {},
  ): Promise<{ version: number }> {
    if (this.#closePromise !== undefined) throw this.#gone("reportProperties");
    this.#checkBudget("twinReport", 0);
    return this.#reports.report(patch, options);
  }

  /**
   * Desired properties for one `for await` loop: first the whole section, then each change. What changed while the device
   * was away comes as one change after the reconnect. Documents are frozen.
   * @throws IotError (from the loop) `call.aborted`, `device.subscription_refused`, `device.twin_refused`
   */
  desiredProperties(options: ListenOptions = {}): AsyncIterableIterator<DesiredChange, undefined> {
    return this.#desired.changes(options.signal);
  }

  /**
   * Changes over to another key, token or certificate while the device works: it is tried on a new connection, and until the
   * hub has taken it the present one stays in use. Resolves when it is in use and `onRotated` has returned; for good, until
   * the process ends: store it.
   * @throws IotError `device.rotation_refused` (the present one goes on), `device.rotation_undecided`,
   *   `device.rotation_replaced`, `device.rotation_unsaved`, `argument.invalid`, `call.timeout`, `call.aborted`,
   *   `client.closed`; after `call.timeout` and `call.aborted` the present one goes on
   */
  async rotateCredentials(next: SingleProof, options: RotateOptions = {}): Promise<void> {
    const what = "rotateCredentials";
    if (this.#closePromise !== undefined) throw this.#gone(what);
    const { clock, callTimeoutMs, rotate } = this.#settings;
    const { onRotated, signal, timeoutMs = callTimeoutMs } = options;
    checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
    const call = new PendingCall<void>(what, clock.nowMs(), timeoutMs, signal);
    if (call.settled) return call.promise;
    const { decided, withdraw } = rotate(next, onRotated);
    this.#deadlines.add(call.deadlineMs, () => call.reject(timedOut(what, timeoutMs)));
    decided.then(
      () => call.resolve(),
      (error: unknown) => call.reject(error as IotError),
    );
    await call.promise.finally(withdraw);
  }

  /**
   * Preview. Makes a new key on the device and has the hub issue a certificate for it. The connection stays as it is: keep
   * the result (see `renewingCertificate` in `@hubwire/device/certificates`), and the next connection uses it. Needs
   * `apiVersion: "2025-08-01-preview"`. Waits 120 s unless told otherwise; one request at a time.
   * @throws IotError `certificate.*`, `device.subscription_refused`, `call.timeout`, `call.aborted`, `client.closed`
   */
  async renewCertificate(options: IssueOptions = {}): Promise<RenewedCertificate> {
    if (this.#closePromise !== undefined) throw this.#gone("renewCertificate");
    const { IssueCall, renewCertificate } = await import("./certificates/renew.ts");
    if (this.#closePromise !== undefined) throw this.#gone("renewCertificate");
    this.#issueCall ??= new IssueCall(
      this.#settings,
      this.#uplink,
      this.#subscriptions,
      this.#agenda,
    );
    return renewCertificate(this.#settings, this.#issueCall, options);
  }

  /**
   * Takes no more calls, finishes what is under way (for at most `timeoutMs`, 10 s), sends DISCONNECT and ends all loops.
   * What was not finished rejects with `client.closed`. Never rejects; repeating it is harmless.
   */
  close(options: CallOptions = {}): Promise<void> {
    this.#closePromise ??= this.#close(options);
    return this.#closePromise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @throws IotError `device.budget_spent` */
  #checkBudget(kind: GatedOperation, bytes: number): void {
    const refused = this.#settings.gate.refusal(kind, bytes);
    if (refused !== undefined) throw refused;
  }

  async #close(options: CallOptions): Promise<void> {
    const { timeoutMs = closeTimeoutMs, signal } = options;
    const { clock } = this.#settings;
    this.#telemetry.closing();
    if (!isFinal(this.#uplink.status)) {
      checkNumber("timeoutMs", timeoutMs, 0, 86_400_000);
      const closing = new PendingCall<void>("close()", clock.nowMs(), timeoutMs, signal);
      this.#closing = closing;
      this.#deadlines.add(closing.deadlineMs, () => closing.resolve());
      this.#checkQuiet();
      await closing.promise.catch(() => undefined);
      this.#finish(undefined);
    }
    // By then the driver has given DISCONNECT to the socket.
    await new Promise<void>((resolve) => clock.endOfTurn(resolve));
    await this.#telemetry.closed();
  }

  /** Nothing is under way any more, so a `close` need not wait longer. */
  #checkQuiet(): void {
    const closing = this.#closing;
    if (closing === undefined || this.#telemetry.pending > 0) return;
    const isHandling = this.#inbox.running > 0 || this.#inputs.running > 0;
    const isBusy = this.#requestsOpen || this.#reports.open || isHandling;
    if (!this.#uplink.connected || !isBusy) closing.resolve();
  }

  get #requestsOpen(): boolean {
    return this.#requests.open || this.#methods.running > 0 || this.#issueCall?.open === true;
  }

  /** The disk is let go of a little later than everything else. */
  async #letGo(): Promise<void> {
    await Promise.resolve();
    await this.#telemetry.closed();
  }

  /** What a call on a client that is closed, or gave up, rejects with. */
  #gone(what: string): IotError {
    const { status } = this.#uplink;
    return closed(what, status.state === "failed" ? status.cause : undefined);
  }

  #finish(failure: IotError | undefined): void {
    this.#closePromise ??= this.#letGo();
    this.#uplink.close(failure);
    this.#agenda.stop();
    this.#settings.credentials.close?.();
    this.#telemetry.close();
    this.#reports.close();
    this.#requests.close();
    this.#issueCall?.close();
    this.#desired.close();
    this.#methods.close();
    this.#inbox.close();
    this.#inputs.close();
  }

  #owner(): UplinkOwner {
    const requestsOpen = (): boolean => this.#requestsOpen;
    return {
      connected: (nowMs) => {
        this.#telemetry.connected(nowMs);
        this.#subscriptions.connected(nowMs);
      },
      effect: (effect, nowMs) => this.#effect(effect, nowMs),
      turn: (nowMs) => {
        this.#telemetry.pump(nowMs);
        this.#checkQuiet();
      },
      disconnected: () => {
        this.#telemetry.disconnected();
        this.#subscriptions.disconnected();
        this.#requests.disconnected();
        this.#issueCall?.disconnected();
        this.#desired.disconnected();
        this.#twinFeed.disconnected();
      },
      renamed: () => {
        this.#telemetry.renamed();
        this.#inbox.renamed();
        this.#inputs.renamed();
      },
      quieter: () => this.#checkQuiet(),
      statusChanged: (status) => this.#statusChanged(status),
      get requestsOpen() {
        return requestsOpen();
      },
    };
  }

  #effect(effect: ClientEffect, nowMs: number): void {
    if (effect.type === "published") this.#telemetry.acknowledged(effect.packetId, nowMs);
    else if (effect.type === "message") this.#message(effect);
    else if (effect.type === "subscribed") {
      this.#subscriptions.subscribed(effect.packetId, effect.granted, nowMs);
    }
  }

  #message(message: IncomingMessage): void {
    const topic = parseHubTopic(message.topic);
    const { skew, clock } = this.#settings;
    learnTime(skew, topic, message, clock);
    switch (topic.type) {
      case "c2d":
        return this.#inbox.received(message, topic.bag, newC2dMessage);
      case "moduleInput":
        return this.#inputs.received(
          message,
          topic.bag,
          (body, properties, hint, complete) =>
            new InputMessage(topic.input, body, properties, hint, complete),
        );
      case "method":
        return this.#methods.received(message, topic.name, topic.rid);
      case "twinResponse":
        return this.#requests.received(message, topic);
      case "desired":
        return this.#desired.received(message, topic.version);
      case "certificateResponse":
        this.#issueCall?.received(message, topic);
        this.#uplink.session.ack(message.receipt);
        return this.#uplink.touch();
      case "unknown":
        // Nobody asked for it. Acknowledged, or it would take a place in the window for ever.
        this.#uplink.session.ack(message.receipt);
        this.#uplink.touch();
    }
  }

  /** @throws IotError `argument.invalid` when this is a device */
  #module(): { deviceId: string; moduleId: string } {
    const { deviceId, moduleId } = this.#settings.endpoint.identity;
    if (moduleId === undefined) throw invalid("Only modules have inputs; this is a device");
    return { deviceId, moduleId };
  }

  #statusChanged(status: DeviceStatus): void {
    this.#news.tell(status, this.#settings.endpoint);
    if (status.state === "connected") this.#opening?.resolve(this);
    if (status.state === "failed") {
      this.#opening?.reject(status.cause);
      // Everything that still waits settles now.
      this.#finish(status.cause);
    }
    for (const stream of this.#statusStreams) {
      stream.push(status);
      if (isFinal(status)) stream.end();
    }
    try {
      this.#onStatus?.(status);
    } catch (error) {
      this.#settings.onError(error, "onStatus");
    }
  }
}

const isFinal = (status: DeviceStatus): boolean =>
  status.state === "closed" || status.state === "failed";
