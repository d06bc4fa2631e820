import { assert } from "./assert.ts";
import { checkEmpty, decodeConnack, decodePacketId } from "./codec/decode-acks.ts";
import { decodeSuback } from "./codec/decode-subscribe.ts";
import {
  encodeConnect,
  encodeEmpty,
  encodePacketId,
  encodeSubscribe,
  encodeUnsubscribe,
} from "./codec/encode.ts";
import { FrameReader } from "./codec/frame-reader.ts";
import { OutputBuffer } from "./codec/output-buffer.ts";
import { PacketType, packetName } from "./codec/packet-type.ts";
import { PublishDecoder } from "./codec/publish-decoder.ts";
import { PublishEncoder } from "./codec/publish-encoder.ts";
import { Violation } from "./codec/violation.ts";
import { NONE } from "./effects.ts";
import { fingerprint } from "./fingerprint.ts";
import { KeepAlive } from "./keep-alive.ts";
import { OpenMessages } from "./open-messages.ts";
import type { SessionSnapshot } from "./outstanding.ts";
import { OutstandingPackets } from "./outstanding.ts";
import { refusalCode } from "./refusal.ts";
import type { ClientEffect, Session } from "./session-contract.ts";
import type { ConnectRequest, OutgoingMessage, TopicFilter } from "./types.ts";
import { unexpected } from "./unexpected.ts";

export type ClientSessionOptions = {
  /** Largest packet taken, fixed header included. A larger one is refused at its length prefix. */
  packetBytesMax: number;
  /** QoS 1 messages to the server that may be unacknowledged at a time; at most 64,000. */
  inflightMax: number;
  /** From `connect` to CONNACK. */
  connackTimeoutMs: number;
  /** From PINGREQ, or the last byte received since, to PINGRESP; default half the keep alive. */
  pingTimeoutMs?: number;
  /** Where packet identifiers begin, 1 to 65535; default 1. */
  firstPacketId?: number;
};

/** The publishes the server has not acknowledged yet. */
export type ClientSnapshot = SessionSnapshot;

/**
 * The client's end of an MQTT 3.1.1 session, across connections.
 *
 *     idle ──connect()──▶ connecting ──CONNACK──▶ open ──▶ closed ──lost() or connect()──▶
 *
 * Unacknowledged publishes survive and are sent again, in order and with DUP, before anything new. Incoming QoS 1
 * messages are receipts until `ack`; PUBACKs leave as handlers finish, so that one slow handler holds up nobody.
 * SUBSCRIBE and UNSUBSCRIBE do not survive: who asked asks again.
 */
export class ClientSession implements Session<ClientEffect> {
  readonly #options: ClientSessionOptions;
  readonly #out = new OutputBuffer();
  readonly #encoder = new PublishEncoder();
  readonly #publishes = new PublishDecoder();
  readonly #outstanding: OutstandingPackets;
  readonly #messages = new OpenMessages();
  #reader: FrameReader;
  #state: "idle" | "connecting" | "open" | "closed" = "idle";
  #request: ConnectRequest | undefined;
  #connackDeadlineMs = Infinity;
  #keepAlive = new KeepAlive(Infinity, Infinity, 0);
  #ignoredAcks = 0;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
    this.#outstanding = new OutstandingPackets(options.firstPacketId ?? 1, options.inflightMax);
    this.#reader = new FrameReader(options.packetBytesMax);
  }

  get deadlineMs(): number {
    if (this.#state === "open") return this.#keepAlive.deadlineMs;
    return this.#state === "connecting" ? this.#connackDeadlineMs : Infinity;
  }

  get hasOutput(): boolean {
    return this.#out.length > 0;
  }

  takeOutput(): Uint8Array | undefined {
    return this.#out.take();
  }

  /** Incoming QoS 1 messages still with their handlers, of earlier connections too. */
  get openReceipts(): number {
    return this.#messages.unhandled;
  }

  /** Between an accepting CONNACK and the end of the connection. */
  get connected(): boolean {
    return this.#state === "open";
  }

  /** QoS 1 publishes not acknowledged yet, cancelled ones included. */
  get inflight(): number {
    return this.#outstanding.publishes;
  }

  /** How many QoS 1 messages may be published now. */
  get windowFree(): number {
    return this.#outstanding.windowFree;
  }

  /** Answers for identifiers that stand for nothing, or for something else: ignored, but counted. */
  get ignoredAcks(): number {
    return this.#ignoredAcks;
  }

  /** Begins a connection: writes CONNECT. The byte stream to the server is fresh. */
  connect(request: ConnectRequest, nowMs: number): void {
    assert(
      this.#state === "idle" || this.#state === "closed",
      "connect comes once per connection; call lost first",
    );
    this.lost(nowMs);
    encodeConnect(this.#out, request);
    this.#request = request;
    this.#reader = new FrameReader(this.#options.packetBytesMax);
    this.#state = "connecting";
    this.#connackDeadlineMs = nowMs + this.#options.connackTimeoutMs;
  }

  /** The connection is gone. Publishes stay in flight and receipts stay open; output not taken is dropped. */
  lost(_nowMs: number): void {
    if (this.#state === "connecting" || this.#state === "open") this.#end();
    this.#out.clear();
    this.#state = "idle";
  }

  /** Ends the connection in order: writes DISCONNECT and returns the close effect `mqtt.disconnected`. */
  disconnect(_nowMs: number): readonly ClientEffect[] {
    if (this.#state !== "connecting" && this.#state !== "open") return NONE;
    encodeEmpty(this.#out, PacketType.disconnect);
    return this.#close([], "mqtt.disconnected", "the client sent DISCONNECT");
  }

  /**
   * Sends a message. The payload is kept, not copied, until acknowledged: leave it unchanged.
   * @returns the packet identifier, 0 for QoS 0
   * @throws IotError `argument.invalid` for a topic MQTT cannot carry; nothing is sent then
   */
  publish(message: OutgoingMessage, nowMs: number): number {
    assert(this.#state === "open", "publish only while connected");
    const { topic, payload } = message;
    if (message.qos === 0) {
      this.#encoder.encode(this.#out, topic, payload, 0, false);
      this.#keepAlive.sent(nowMs);
      return 0;
    }
    assert(this.windowFree > 0, "publish QoS 1 only while windowFree is above 0");
    const packetId = this.#outstanding.nextFree();
    this.#encoder.encode(this.#out, topic, payload, packetId, false);
    this.#outstanding.add(packetId, { kind: "publish", topic, payload });
    this.#keepAlive.sent(nowMs);
    return packetId;
  }

  /**
   * Gives up a publish: no `published` effect, and it is not sent on another connection. Its identifier and its place in
   * the window stay taken until it is acknowledged or the connection ends.
   */
  cancel(packetId: number): void {
    this.#outstanding.cancel(packetId);
    if (this.#state !== "open") this.#outstanding.keepPublishes();
  }

  /** @throws IotError `argument.invalid` for a malformed filter, or none */
  subscribe(filters: readonly TopicFilter[], nowMs: number): number {
    assert(this.#state === "open", "subscribe only while connected");
    for (const { qos } of filters)
      assert(qos < 2, "IoT Hub grants QoS 0 and 1; 2 is not asked for");
    const packetId = this.#outstanding.nextFree();
    encodeSubscribe(this.#out, packetId, filters);
    this.#outstanding.add(packetId, { kind: "subscribe", filterCount: filters.length });
    this.#keepAlive.sent(nowMs);
    return packetId;
  }

  /** @throws IotError `argument.invalid` for a malformed filter, or none */
  unsubscribe(filters: readonly string[], nowMs: number): number {
    assert(this.#state === "open", "unsubscribe only while connected");
    const packetId = this.#outstanding.nextFree();
    encodeUnsubscribe(this.#out, packetId, filters);
    this.#outstanding.add(packetId, { kind: "unsubscribe" });
    this.#keepAlive.sent(nowMs);
    return packetId;
  }

  /** The handler is done with a message. Harmless when stale, repeated, 0, or between connections. */
  ack(receipt: number): void {
    if (receipt === 0) return;
    const packetId = this.#messages.handled(receipt);
    if (packetId !== 0) encodePacketId(this.#out, PacketType.puback, packetId);
  }

  /**
   * The handler failed and leaves the message unacknowledged: if the server repeats it, it is a new message with a new
   * receipt. Until then `ack` still works, and it does not count as open. Harmless when stale, repeated or 0.
   */
  release(receipt: number): void {
    this.#messages.released(receipt);
  }

  /**
   * Asks whether the connection still lives: writes PINGREQ; when nothing at all arrives within `timeoutMs`, the session
   * closes with `mqtt.ping_timeout`. For whoever has a reason to doubt it before keep alive does.
   */
  probe(nowMs: number, timeoutMs: number): void {
    if (this.#state !== "open") return;
    encodeEmpty(this.#out, PacketType.pingreq);
    this.#keepAlive.probe(nowMs, timeoutMs);
  }

  snapshot(): ClientSnapshot {
    return this.#outstanding.snapshot();
  }

  /** Takes over the publishes of an earlier process, before the first `connect`. */
  restore(snapshot: ClientSnapshot): void {
    assert(this.#state === "idle", "restore comes before connect");
    this.#outstanding.restore(snapshot);
  }

  tick(nowMs: number): readonly ClientEffect[] {
    if (nowMs < this.deadlineMs) return NONE;
    if (this.#state === "connecting") {
      const reason = `no CONNACK within ${this.#options.connackTimeoutMs} ms`;
      return this.#close([], "mqtt.connack_timeout", reason);
    }
    if (this.#state !== "open") return NONE;
    const due = this.#keepAlive.tick(nowMs);
    if (due === "dead") return this.#close([], "mqtt.ping_timeout", "no PINGRESP in time");
    if (due === "ping") encodeEmpty(this.#out, PacketType.pingreq);
    return NONE;
  }

  receive(bytes: Uint8Array, nowMs: number): readonly ClientEffect[] {
    if (this.#state !== "open" && this.#state !== "connecting") return NONE;
    this.#keepAlive.received(nowMs);
    const reader = this.#reader;
    reader.push(bytes);
    let effects: ClientEffect[] | undefined;
    while (reader.next()) {
      effects ??= [];
      const violation = this.#readPacket(effects, nowMs);
      if (violation !== undefined) return this.#close(effects, violation.code, violation.reason);
      if (this.#isClosed()) return effects;
    }
    const { violation } = reader;
    if (violation !== undefined)
      return this.#close(effects ?? [], violation.code, violation.reason);
    return effects === undefined || effects.length === 0 ? NONE : effects;
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #close(
    effects: ClientEffect[],
    code: Violation["code"],
    reason: string,
  ): readonly ClientEffect[] {
    this.#end();
    this.#state = "closed";
    effects.push({ type: "close", code, reason });
    return effects;
  }

  /** What ends with the connection, however it ends. */
  #end(): void {
    this.#reader.release();
    this.#outstanding.keepPublishes();
    this.#messages.connectionEnded();
  }

  #readPacket(effects: ClientEffect[], nowMs: number): Violation | undefined {
    const type = this.#reader.header >> 4;
    if (this.#state === "connecting") {
      if (type === PacketType.connack) return this.#readConnack(effects, nowMs);
      const name = packetName(this.#reader.header);
      return new Violation("mqtt.connack_expected", `the server's first packet was ${name}`);
    }
    if (type === PacketType.publish) return this.#readPublish(effects);
    return this.#readAnswer(effects, type);
  }

  #readConnack(effects: ClientEffect[], nowMs: number): Violation | undefined {
    const { bytes, bodyStart, bodyEnd } = this.#reader;
    const connack = decodeConnack(bytes, bodyStart, bodyEnd);
    if (connack instanceof Violation) return connack;
    const { returnCode } = connack;
    const request = this.#request;
    assert(request !== undefined, "a connecting session has a request");
    if (returnCode !== 0) {
      effects.push({ type: "refused", returnCode });
      this.#close(
        effects,
        refusalCode(returnCode),
        `the server refused CONNECT with return code ${returnCode}`,
      );
      return undefined;
    }
    // A server that claims a session we asked it to drop has none of ours (§3.2.2.2 leaves the client the choice).
    const sessionPresent = connack.sessionPresent && !request.cleanSession;
    if (!sessionPresent) this.#messages.sessionEnded();
    this.#state = "open";
    const intervalMs = request.keepAliveS === 0 ? Infinity : request.keepAliveS * 1000;
    this.#keepAlive = new KeepAlive(
      intervalMs,
      this.#options.pingTimeoutMs ?? intervalMs / 2,
      nowMs,
    );
    for (const { packetId, topic, payload } of this.#outstanding.messages()) {
      this.#encoder.encode(this.#out, topic, payload, packetId, true);
    }
    effects.push({ type: "connected", sessionPresent });
    return undefined;
  }

  #readPublish(effects: ClientEffect[]): Violation | undefined {
    const { bytes, header, bodyEnd } = this.#reader;
    const publish = this.#publishes;
    const violation = publish.decode(this.#reader);
    if (violation !== undefined) return violation;
    const { topic, packetId, payloadStart } = publish;
    const dup = (header & 8) !== 0;
    let receipt = 0;
    if (packetId !== 0) {
      const print = fingerprint(topic, bytes, payloadStart, bodyEnd);
      receipt = this.#messages.arrive(packetId, dup, print);
      if (receipt === -1) encodePacketId(this.#out, PacketType.puback, packetId);
      if (receipt <= 0) return undefined;
    }
    effects.push({
      type: "message",
      topic,
      qos: packetId === 0 ? 0 : 1,
      dup,
      retain: (header & 1) !== 0,
      packetId,
      receipt,
      chunk: bytes,
      payloadStart,
      payloadEnd: bodyEnd,
    });
    return undefined;
  }

  #readAnswer(effects: ClientEffect[], type: number): Violation | undefined {
    const { bytes, bodyStart, bodyEnd } = this.#reader;
    switch (type) {
      case PacketType.puback: {
        const packetId = decodePacketId("PUBACK", bytes, bodyStart, bodyEnd);
        if (typeof packetId !== "number") return packetId;
        const kind = this.#outstanding.get(packetId)?.kind;
        if (kind === "publish") effects.push({ type: "published", packetId });
        if (kind === "publish" || kind === "cancelled") this.#outstanding.delete(packetId);
        else this.#ignoredAcks++;
        return undefined;
      }
      case PacketType.suback: {
        const suback = decodeSuback(bytes, bodyStart, bodyEnd);
        if (suback instanceof Violation) return suback;
        const { packetId, granted } = suback;
        const entry = this.#outstanding.get(packetId);
        if (entry?.kind !== "subscribe") {
          this.#ignoredAcks++;
          return undefined;
        }
        if (entry.filterCount !== granted.length) {
          const reason = `SUBACK with ${granted.length} return codes for ${entry.filterCount} filters`;
          return new Violation("mqtt.suback_malformed", reason);
        }
        this.#outstanding.delete(packetId);
        effects.push({ type: "subscribed", packetId, granted });
        return undefined;
      }
      case PacketType.unsuback: {
        const packetId = decodePacketId("UNSUBACK", bytes, bodyStart, bodyEnd);
        if (typeof packetId !== "number") return packetId;
        if (this.#outstanding.get(packetId)?.kind !== "unsubscribe") {
          this.#ignoredAcks++;
          return undefined;
        }
        this.#outstanding.delete(packetId);
        effects.push({ type: "unsubscribed", packetId });
        return undefined;
      }
      case PacketType.pingresp: {
        const violation = checkEmpty("PINGRESP", bodyStart, bodyEnd);
        if (violation === undefined) this.#keepAlive.pingresp();
        return violation;
      }
      default:
        return unexpected(this.#reader.header, "server");
    }
  }
}
