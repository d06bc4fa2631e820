/// <reference lib="esnext.disposable" preserve="true" />
import type { IotError, JsonValue } from "@hubwire/protocol";
import type { C2dHandler, C2dMessage, InputMessage } from "./c2d/c2d-message.ts";
import type { MessageFilter } from "./c2d/handlers.ts";
import { invalid } from "./calls/errors.ts";
import type { CallOptions } from "./calls/pending-call.ts";
import type { IssueOptions } from "./certificates/issue-call.ts";
import type { RenewedCertificate } from "./certificates/issued.ts";
import type { SingleProof } from "./credentials/credentials.ts";
import type { RotateOptions } from "./credentials/rotate.ts";
import { rotateCredentials } from "./credentials/rotate-call.ts";
import type { Provisioned } from "./connection/provisioner.ts";
import type { DeviceStatus } from "./connection/status.ts";
import type { Features } from "./features.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { MethodHandler, MethodOptions } from "./methods/method.ts";
import type { DeviceStats } from "./observe/stats.ts";
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
import type { Enqueued } from "./telemetry/telemetry.ts";
import type { DesiredChange, Twin } from "./twin/twin.ts";
import type { CachedTwin } from "./twin/twin-cache.ts";
import type { ReportOptions } from "./twin/twin-requests.ts";

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
  readonly #life: Lifecycle;
  readonly #features: Features;
  #pnp: PlugAndPlay | undefined;

  /** @internal Use `connect`. */
  constructor(settings: Settings, options: ConnectOptions, store?: MessageStore) {
    this.#settings = settings;
    this.#life = new Lifecycle(settings, options, store);
    this.#features = this.#life.features;
  }

  static {
    openClient = async (client, signal) => {
      await client.#life.open(signal);
      return client;
    };
  }

  /** What the provisioning service said: hub, device id, returned payload. Undefined without it, and before it answered. */
  get provisioned(): Provisioned | undefined {
    return this.#settings.provisioner?.provisioned;
  }

  /** What the connection is doing. */
  status(): DeviceStatus {
    return this.#life.uplink.status;
  }

  /**
   * The application knows something: that the network is back, or that the connection is suspect. While the client waits it
   * tries at once; a connection that is up is asked whether it lives, and given up when it says nothing for five seconds.
   * Harmless in every state.
   */
  reconnectNow(): void {
    this.#life.uplink.reconnectNow();
  }

  /** What happened since the client was made, and what waits now; a copy. Works after `close` too. */
  stats(): DeviceStats {
    return this.#settings.stats.snapshot();
  }

  /** The status now, and then every change; ends after `closed` or `failed`. */
  statusChanges(options: ListenOptions = {}): AsyncIterableIterator<DeviceStatus, undefined> {
    const { statuses, uplink } = this.#life;
    return statuses.stream(uplink.status, options.signal);
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
    const refused = this.#telemetryRefusal("sendTelemetry");
    if (refused !== undefined) return Promise.reject(refused);
    return this.#features.telemetry.send(body, options);
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
    const refused = this.#telemetryRefusal("enqueue");
    if (refused !== undefined) return Promise.reject(refused);
    return this.#features.telemetry.enqueue(body, options);
  }

  /**
   * Sends several messages, in order; on the wire each is a message of its own. All are checked, and there is room for all,
   * before the first is taken. Resolves when the hub acknowledged the last; rejects with the first that fails, and then others
   * may have been sent.
   * @throws IotError as `sendTelemetry`
   */
  sendTelemetryBatch(messages: readonly TelemetryMessage[], options?: CallOptions): Promise<void> {
    const refused = this.#telemetryRefusal("sendTelemetryBatch");
    if (refused !== undefined) return Promise.reject(refused);
    return this.#features.telemetry.sendBatch(messages, options);
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
    const refused = this.#life.refusal("sendAll");
    if (refused !== undefined) return Promise.reject(refused);
    return sendAll(this.#features.telemetry, this.#settings, source, options);
  }

  /**
   * Cloud-to-device messages for one `for await` loop; several loops share them, each message to one. Call `complete()` on
   * each when its work is done, not before: MQTT has no negative answer, so that leaving a message alone is the only way to
   * get it again (after the hub's lock time-out or the next connect). A loop that is left in the middle of a message leaves it.
   * @throws IotError (from the loop) `call.aborted`, `device.subscription_refused`; `argument.invalid` beside a handler that
   *   takes every message
   */
  messages(options: ListenOptions = {}): AsyncIterableIterator<C2dMessage, undefined> {
    return this.#features.inbox.messages(options.signal);
  }

  /**
   * Handles cloud-to-device messages: each is completed when the handler has finished, and left to come again when it throws.
   * With `filter` only those it returns true for; handlers with a filter are asked in the order they were registered, what
   * none takes goes to the handler without filter or to the loops of `messages()`.
   * @returns takes the handler away again
   * @throws IotError `argument.invalid` for a second handler without filter, or one beside a loop; `client.closed`
   */
  onMessage(handler: C2dHandler, options: { filter?: MessageFilter | undefined } = {}): () => void {
    return this.#features.inbox.on(handler, options.filter);
  }

  /**
   * Handles what a gateway routes to an input of this module, as `onMessage`. What an input without handler gets waits for
   * `inputs()`.
   * @returns takes the handler away again
   * @throws IotError `argument.invalid` for a device, which has no inputs; `client.closed`
   */
  onInput(name: string, handler: C2dHandler<InputMessage>): () => void {
    this.#features.module();
    if (typeof name !== "string" || name === "") throw invalid("onInput takes the input's name");
    return this.#features.inputs.on(handler, ({ inputName }) => inputName === name);
  }

  /** Messages to this module's inputs for one `for await` loop, as `messages()`. @throws as `onInput` and `messages` */
  inputs(options: ListenOptions = {}): AsyncIterableIterator<InputMessage, undefined> {
    this.#features.module();
    return this.#features.inputs.messages(options.signal);
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
    this.#check("onMethod");
    return this.#features.methods.on(name, handler, options);
  }

  /** IoT Plug and Play: components, writable properties, commands. */
  get pnp(): PlugAndPlay {
    this.#pnp ??= new PlugAndPlay({
      sendTelemetry: (body, options) => this.sendTelemetry(body, options),
      reportProperties: (patch, options) => this.reportProperties(patch, options),
      onMethod: (name, handler, options) => this.onMethod(name, handler, options),
      desiredChanges: (signal) => this.#features.twin.changes(signal),
      onError: this.#settings.onError,
    });
    return this.#pnp;
  }

  /**
   * The client's copy of the twin: what was last read, with notifications and acknowledged reports merged in. It costs nothing
   * and asks nothing; `followTwin()` and `desiredProperties()` keep it current, `getTwin()` renews it once.
   */
  get twin(): CachedTwin {
    return this.#features.twin.cache;
  }

  /**
   * Keeps `twin` current from now on: reads it, follows desired properties, and reads it again after every reconnect and
   * whenever a version is missing. Resolves when both sections are known.
   * @throws IotError as `getTwin`
   */
  async followTwin(options: CallOptions = {}): Promise<CachedTwin> {
    return this.#features.twin.follow(options);
  }

  /**
   * Reads the device's twin from the hub.
   * @throws IotError `device.twin_refused`, `device.twin_throttled`, `device.twin_unavailable`, `twin.bad_answer`,
   *   `device.subscription_refused`, `device.queue_full`, `call.timeout`, `call.aborted`, `client.closed`
   */
  async getTwin(options: CallOptions = {}): Promise<Twin> {
    this.#check("getTwin");
    return this.#features.twin.get(options);
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
    this.#check("reportProperties");
    return this.#features.twin.report(patch, options);
  }

  /**
   * Desired properties for one `for await` loop: first the whole section, then each change. What changed while the device
   * was away comes as one change after the reconnect. Documents are frozen.
   * @throws IotError (from the loop) `call.aborted`, `device.subscription_refused`, `device.twin_refused`
   */
  desiredProperties(options: ListenOptions = {}): AsyncIterableIterator<DesiredChange, undefined> {
    return this.#features.twin.changes(options.signal);
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
    this.#check("rotateCredentials");
    await rotateCredentials(this.#settings, this.#life.deadlines, next, options);
  }

  /**
   * Preview. Makes a new key on the device and has the hub issue a certificate for it. The connection stays as it is: keep
   * the result (see `renewingCertificate` in `@hubwire/device/certificates`), and the next connection uses it. Needs
   * `apiVersion: "2025-08-01-preview"`. Waits 120 s unless told otherwise; one request at a time.
   * @throws IotError `certificate.*`, `device.subscription_refused`, `call.timeout`, `call.aborted`, `client.closed`
   */
  async renewCertificate(options: IssueOptions = {}): Promise<RenewedCertificate> {
    this.#check("renewCertificate");
    const { IssueCall, renewCertificate } = await import("./certificates/renew.ts");
    this.#check("renewCertificate");
    return renewCertificate(this.#settings, this.#features.issueCall(IssueCall), options);
  }

  /**
   * Takes no more calls, finishes what is under way (for at most `timeoutMs`, 10 s), sends DISCONNECT and ends all loops.
   * What was not finished rejects with `client.closed`. Never rejects; repeating it is harmless.
   */
  close(options: CallOptions = {}): Promise<void> {
    return this.#life.close(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @throws IotError `client.closed` */
  #check(what: string): void {
    const refused = this.#life.refusal(what);
    if (refused !== undefined) throw refused;
  }

  #telemetryRefusal(what: string): IotError | undefined {
    return this.#life.refusal(what) ?? this.#settings.gate.refusal("telemetry", 0);
  }
}
