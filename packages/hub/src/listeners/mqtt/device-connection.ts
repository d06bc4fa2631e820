import { desiredTopic, IotError, methodRequestTopic, twinResponseTopic } from "@hubwire/protocol";
import type {
  CloseEffect,
  ErrorCode,
  IncomingMessage,
  Qos,
  ServerEffect,
  ServerSession,
} from "@hubwire/protocol";
import type { CloseCause, Driver, Timer } from "@hubwire/transport";
import type { C2dChannel, C2dPort } from "../../domain/c2d/index.ts";
import type { DeviceLink } from "../../domain/connections/index.ts";
import { countCode } from "../../domain/observe.ts";
import { identityKey } from "../../domain/services.ts";
import type { Admission, IdentityRef, SubscriptionKind } from "../../domain/services.ts";
import type { TelemetryPublisher, TelemetrySink } from "../../domain/telemetry/index.ts";
import type { GatedSession } from "./gated-session.ts";
import type { MqttParts } from "./parts.ts";
import { handleRequest } from "./requests.ts";
import { Subscriptions } from "./subscriptions.ts";

/** How often the wall clock is looked at while a token is valid: it may jump. */
const expiryLookMsMax = 5 * 60_000;

export type Wire = { session: ServerSession; gate: GatedSession; driver: Driver<ServerEffect> };

type Effect = ServerEffect | CloseEffect;

/**
 * One admitted device on one connection, from CONNACK to the end. Effects of the session are carried out in their order;
 * when the telemetry store has no room they are held, and reading stops, until it has.
 *
 *     opening ──accepted──▶ open ──stream gone──▶ draining ──nothing held──▶ over
 */
export class DeviceConnection implements DeviceLink, C2dPort, TelemetrySink {
  readonly ref: IdentityRef;
  readonly generationId: string;
  readonly connectionId: number;
  readonly credentials: Admission["credentials"];
  lastActivityAtMs: number;
  readonly subscriptions: Subscriptions;
  readonly #parts: MqttParts;
  readonly #wire: Wire;
  readonly #cleanSession: boolean;
  readonly #keepAliveTimeoutMs: number;
  readonly #publisher: TelemetryPublisher;
  readonly #work = new Set<Promise<void>>();
  #state: "opening" | "open" | "draining" | "over" = "opening";
  #wasAccepted = false;
  #channel: C2dChannel | undefined;
  #publishWill: (() => void) | undefined;
  #held: Effect[] = [];
  #savesOpen = 0;
  #isStopping = false;
  /** Lenient mode tells of the first publish it ignores, and counts the others. */
  hasWarnedOfForeign = false;
  #expiryTimer: Timer | undefined;
  #end: { code: ErrorCode; reason: string } | undefined;

  constructor(
    parts: MqttParts,
    wire: Wire,
    admission: Admission,
    options: { connectionId: number; cleanSession: boolean; keepAliveTimeoutMs: number },
  ) {
    this.ref = admission.ref;
    this.generationId = admission.generationId;
    this.connectionId = options.connectionId;
    this.credentials = admission.credentials;
    this.lastActivityAtMs = parts.clock.wallMs();
    this.#parts = parts;
    this.#wire = wire;
    this.#cleanSession = options.cleanSession;
    this.#keepAliveTimeoutMs = options.keepAliveTimeoutMs;
    this.subscriptions = new Subscriptions(admission.ref, {
      strict: parts.strict,
      filtersMax: parts.limits.filtersMax,
    });
    this.#publisher = parts.telemetry.publisher(admission, this);
  }

  // ---- opening ----

  /** @throws IotError when the will could never be published */
  setWill(will: { topic: string; payload: Uint8Array; retain: boolean }): void {
    this.#publishWill = this.#publisher.prepareWill(will);
  }

  /** What the queue's channel is, so that it is given back whatever happens next. */
  setChannel(channel: C2dChannel): void {
    this.#channel = channel;
    if (this.#state === "over") this.#detach();
  }

  /** CONNACK is written: from here on the device is online. */
  accepted(admission: Admission): void {
    this.#state = "open";
    this.#wasAccepted = true;
    this.#parts.metrics.connections++;
    this.#parts.connections.accepted(this);
    this.#watchExpiry(admission.expiresAtMs);
  }

  /** Everything behind the CONNACK is handled: deliver, and tell who waits for the device. */
  start(): void {
    if (this.#state !== "open") return;
    this.#channel?.open();
    for (const kind of this.subscriptions.kinds()) this.#parts.connections.subscribed(this, kind);
  }

  get isOpening(): boolean {
    return this.#state === "opening";
  }

  // ---- what the device sends ----

  onEffects(effects: readonly Effect[]): void {
    this.lastActivityAtMs = this.#parts.clock.wallMs();
    if (this.#held.length > 0) this.#held.push(...effects);
    else this.#run(effects);
  }

  /** The client has read what had piled up for it. */
  onWritable(): void {
    this.#channel?.writable();
  }

  /** The stream is gone. What was received before is still carried out, once there is room. */
  onClosed(cause: CloseCause): void {
    if (cause.by === "session") this.#end ??= { code: cause.code, reason: cause.reason };
    const reason =
      (cause.by === "peer" && cause.error?.message) || "the client closed the connection";
    this.#end ??= { code: "mqtt.connection_lost", reason };
    if (this.#state === "draining" || this.#state === "over") return;
    this.#state = "draining";
    this.#expiryTimer?.cancel();
    if (this.#held.length === 0) this.#finish();
  }

  #run(effects: readonly Effect[]): void {
    for (let i = 0; i < effects.length; i++) {
      const effect = effects[i]!;
      if (effect.type !== "message") this.#control(effect);
      else if (!this.#message(effect)) return this.#hold(effects.slice(i));
      if (this.#state === "over") return;
    }
    if (this.#state === "draining") this.#finish();
  }

  /** False when the store has no room. */
  #message(message: IncomingMessage): boolean {
    try {
      const outcome = this.#publisher.publish(message);
      if (outcome === "taken") return true;
      if (outcome === "full") return false;
      if (this.#state === "open") handleRequest(this.#parts, this, outcome, message);
    } catch (error) {
      this.#fail(error);
    }
    return true;
  }

  #hold(effects: Effect[]): void {
    this.#held = effects;
    this.#wire.gate.shut();
  }

  #control(effect: Exclude<Effect, IncomingMessage>): void {
    if (effect.type === "disconnect") {
      this.#publishWill = undefined;
      return;
    }
    if (this.#state !== "open") return;
    if (effect.type === "published") this.#channel?.published(effect.packetId);
    else if (effect.type === "subscribe") this.#subscribe(effect);
    else if (effect.type === "unsubscribe") {
      const changed = this.subscriptions.unsubscribe(effect.filters);
      this.#committed(changed, () => this.#wire.session.unsuback(effect.packetId));
    }
  }

  #subscribe({ packetId, filters }: Extract<Effect, { type: "subscribe" }>): void {
    try {
      const { grants, granted, changed } = this.subscriptions.subscribe(filters);
      this.#committed(changed, () => {
        this.#wire.session.suback(packetId, grants);
        for (const kind of new Set(granted)) this.#parts.connections.subscribed(this, kind);
        if (granted.includes("c2d")) this.#channel?.wake();
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Answers once the session is stored as it is now. */
  #committed(changed: boolean, answer: () => void): void {
    if (this.#cleanSession || (!changed && this.#savesOpen === 0)) {
      answer();
      this.#wire.driver.touch();
      return;
    }
    this.#savesOpen++;
    const save = this.#parts.connections.save(this, this.subscriptions.list()).then(
      () => {
        this.#savesOpen--;
        if (this.#state !== "open") return;
        answer();
        this.#wire.driver.touch();
      },
      (error: unknown) => {
        this.#savesOpen--;
        this.#fail(error);
      },
    );
    this.track(save);
  }

  /** Work that was accepted and should be finished before the hub stops. */
  track(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  // ---- telemetry's answers ----

  ack(receipt: number): void {
    this.#wire.session.ack(receipt);
  }

  ackNow(receipt: number): void {
    if (receipt === 0) return;
    this.#wire.session.ack(receipt);
    this.#wire.driver.touch();
  }

  flush(): void {
    this.#wire.driver.flush();
  }

  room(): void {
    const held = this.#held;
    this.#held = [];
    if (this.#state === "over") return;
    this.#run(held);
    if (this.#held.length > 0 || this.#isStopping || this.#state !== "open") return;
    this.#wire.gate.open(this.#parts.clock.nowMs(), this.#keepAliveTimeoutMs);
    this.#wire.driver.touch();
  }

  lost(): void {
    this.close("store.unavailable", "Telemetry of this connection could not be stored");
  }

  // ---- what is sent to the device ----

  isSubscribed(kind: SubscriptionKind): boolean {
    return this.#state === "open" && this.subscriptions.qosOf(kind) !== undefined;
  }

  sendMethod(rid: string, name: string, payload: Uint8Array): void {
    if (!this.isSubscribed("methods")) return;
    this.#parts.metrics.methodRequests++;
    this.#send(() => methodRequestTopic(name, rid), payload);
  }

  sendTwinResponse(
    rid: string,
    status: number,
    version: number | undefined,
    body: Uint8Array,
  ): void {
    if (!this.isSubscribed("twinResponses")) return;
    this.#send(() => twinResponseTopic(status, rid, version), body);
  }

  sendDesired(version: number, body: Uint8Array): void {
    if (!this.isSubscribed("desired")) return;
    this.#parts.metrics.desiredNotifications++;
    this.#send(() => desiredTopic(version), body);
  }

  #send(topic: () => string, payload: Uint8Array): void {
    try {
      this.publish(topic(), payload, 0);
      this.#wire.driver.touch();
    } catch (error) {
      // A request id that cannot be echoed in a topic: the device made it up and waits for it.
      this.#fail(error);
    }
  }

  // ---- C2dPort ----

  get c2dQos(): Qos | undefined {
    return this.subscriptions.qosOf("c2d");
  }
  get windowFree(): number {
    return this.#wire.session.windowFree;
  }
  get writable(): boolean {
    return this.#wire.driver.writable;
  }
  get nextPacketId(): number {
    return this.#wire.session.snapshot().nextPacketId;
  }
  publish(topic: string, payload: Uint8Array, qos: Qos): number {
    this.lastActivityAtMs = this.#parts.clock.wallMs();
    return this.#wire.session.publish({ topic, payload, qos }, this.#parts.clock.nowMs());
  }
  resend(packetId: number): void {
    this.#wire.session.resend(packetId);
  }
  forget(packetId: number): void {
    this.#wire.session.forget(packetId);
  }

  // ---- the end ----

  /** At once: what was received and not handed over yet is dropped. */
  close(code: ErrorCode, reason: string): void {
    if (this.#state === "over") return;
    this.#end ??= { code, reason };
    // Not handed over, and still the device's own word that it leaves in order.
    if (this.#held.some(({ type }) => type === "disconnect")) this.#publishWill = undefined;
    this.#held = [];
    if (this.#state === "draining") this.#finish();
    else this.#wire.driver.close(code, reason);
  }

  /** Takes nothing more in. Resolves when what was taken in is answered. */
  async finishWork(): Promise<void> {
    this.#isStopping = true;
    this.#wire.gate.shut();
    this.#wire.driver.touch();
    await Promise.allSettled(this.#work);
  }

  #fail(error: unknown): void {
    if (error instanceof IotError) return this.close(error.code, error.message);
    this.#parts.logger.error(
      { event: "internal_error", error, ...this.who() },
      "A connection failed in a way the hub did not foresee",
    );
    this.close("hub.internal", String(error));
  }

  #finish(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    const { connections, logger, metrics, telemetry } = this.#parts;
    telemetry.forget(this.#publisher);
    if (this.#wasAccepted) this.#publishWill?.();
    this.#publishWill = undefined;
    this.#detach();
    connections.closed(this, this.#wasAccepted);
    if (!this.#wasAccepted) return;
    const { code, reason } = this.#end ?? { code: "mqtt.connection_lost", reason: "" };
    metrics.connections--;
    countCode(metrics.disconnects, code);
    logger.info({ event: "disconnected", code, reason, ...this.who() }, "Device disconnected");
  }

  #detach(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    if (channel === undefined) return;
    this.#parts.c2d.detach(this, channel, { cleanSession: this.#cleanSession });
  }

  #watchExpiry(expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined || this.#state !== "open") return;
    const { clock } = this.#parts;
    const leftMs = expiresAtMs - clock.wallMs();
    if (leftMs <= 0) {
      const at = new Date(expiresAtMs).toISOString();
      return this.close("connection.token_expired", `The token and its grace ended at ${at}`);
    }
    const lookAtMs = clock.nowMs() + Math.min(leftMs, expiryLookMsMax);
    this.#expiryTimer = clock.at(lookAtMs, () => this.#watchExpiry(expiresAtMs));
  }

  /** For log lines. */
  who(): object {
    return {
      clientId: identityKey(this.ref),
      address: this.#wire.driver.stream.peer.address,
      connectionId: this.connectionId,
    };
  }
}
