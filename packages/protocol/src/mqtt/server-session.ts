import { assert } from "./assert.ts";
import { checkEmpty, decodePacketId } from "./codec/decode-acks.ts";
import { decodeConnect } from "./codec/decode-connect.ts";
import { decodeSubscribe, decodeUnsubscribe } from "./codec/decode-subscribe.ts";
import { encodeConnack, encodeEmpty, encodePacketId, encodeSuback } from "./codec/encode.ts";
import { FrameReader } from "./codec/frame-reader.ts";
import { OutputBuffer } from "./codec/output-buffer.ts";
import { PacketType, packetName } from "./codec/packet-type.ts";
import { PublishDecoder } from "./codec/publish-decoder.ts";
import { PublishEncoder } from "./codec/publish-encoder.ts";
import { Violation } from "./codec/violation.ts";
import { NONE } from "./effects.ts";
import type { SessionSnapshot } from "./outstanding.ts";
import { OutstandingPackets } from "./outstanding.ts";
import { ReceiptRing } from "./receipt-ring.ts";
import { refusalCode } from "./refusal.ts";
import type { ServerEffect, Session } from "./session-contract.ts";
import type { ConnackCode, OutgoingMessage, SubackCode } from "./types.ts";
import { unexpected } from "./unexpected.ts";

export type ServerSessionOptions = {
  /** Largest packet taken, fixed header included. A larger one is refused at its length prefix. */
  packetBytesMax: number;
  /** From the start of the session to the last byte of CONNECT. */
  connectTimeoutMs: number;
  /** QoS 1 messages to the client that may be unacknowledged at a time; at most 64,000. */
  inflightMax: number;
  /** Bytes a client may send behind CONNECT before `accept`. At least the size of one read. */
  pendingBytesMax: number;
  /** Where packet identifiers begin, 1 to 65535; default 1. A snapshot given to `accept` overrides it. */
  firstPacketId?: number;
};

/** The messages to the client that are not acknowledged yet. */
export type ServerSnapshot = SessionSnapshot;

export type Acceptance = {
  sessionPresent: boolean;
  /** Silence after which the connection is closed (1.5 × keep alive [MQTT-3.1.2-24]); `Infinity` for never. */
  keepAliveTimeoutMs: number;
  /** Messages of the client's earlier connection to send again, with DUP, before anything else. */
  inflight?: ServerSnapshot;
};

/**
 * The server's end of one MQTT 3.1.1 connection.
 *
 *     connect ──CONNECT──▶ waiting ──accept()──▶ open ──▶ closed
 *        └─────timeout, violation, refuse()──────────────▶┘
 *
 * While waiting, whatever the client pipelined is kept as bytes, bounded. Incoming QoS 1 messages are receipts until
 * `ack`; PUBACKs leave in order of receipt [MQTT-4.6.0-2]. Once a close effect is out every call is a harmless no-op.
 */
export class ServerSession implements Session<ServerEffect> {
  readonly #options: ServerSessionOptions;
  readonly #reader: FrameReader;
  readonly #publishes = new PublishDecoder();
  readonly #encoder = new PublishEncoder();
  readonly #out = new OutputBuffer();
  readonly #receipts = new ReceiptRing();
  readonly #outstanding: OutstandingPackets;
  #state: "connect" | "waiting" | "open" | "closed" = "connect";
  readonly #connectDeadlineMs: number;
  #keepAliveTimeoutMs = Infinity;
  #lastReceivedMs: number;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #ignoredAcks = 0;

  constructor(options: ServerSessionOptions, nowMs: number) {
    this.#options = options;
    this.#reader = new FrameReader(options.packetBytesMax);
    this.#outstanding = new OutstandingPackets(options.firstPacketId ?? 1, options.inflightMax);
    this.#connectDeadlineMs = nowMs + options.connectTimeoutMs;
    this.#lastReceivedMs = nowMs;
  }

  get deadlineMs(): number {
    if (this.#state === "open") return this.#lastReceivedMs + this.#keepAliveTimeoutMs;
    return this.#state === "connect" ? this.#connectDeadlineMs : Infinity;
  }

  get hasOutput(): boolean {
    return this.#out.length > 0;
  }

  takeOutput(): Uint8Array | undefined {
    return this.#out.take();
  }

  /** Incoming QoS 1 messages without PUBACK yet, also those acknowledged that wait for an earlier one. */
  get openReceipts(): number {
    return this.#receipts.size;
  }

  /** How many QoS 1 messages may be published now. */
  get windowFree(): number {
    return this.#outstanding.windowFree;
  }

  /** PUBACKs for identifiers that stand for nothing: ignored, but counted. */
  get ignoredAcks(): number {
    return this.#ignoredAcks;
  }

  receive(bytes: Uint8Array, nowMs: number): readonly ServerEffect[] {
    if (this.#state === "closed" || bytes.length === 0) return NONE;
    this.#lastReceivedMs = nowMs;
    if (this.#state === "waiting") return this.#keepPending(bytes);
    this.#reader.push(bytes);
    return this.#state === "open" ? this.#readPackets() : this.#readConnect();
  }

  tick(nowMs: number): readonly ServerEffect[] {
    if (nowMs < this.deadlineMs || this.#state === "closed") return NONE;
    if (this.#state === "open") {
      const silenceMs = nowMs - this.#lastReceivedMs;
      return this.#close([], "mqtt.keep_alive_timeout", `nothing received for ${silenceMs} ms`);
    }
    const reason = `no whole CONNECT within ${this.#options.connectTimeoutMs} ms`;
    return this.#close([], "mqtt.connect_timeout", reason);
  }

  /**
   * Answers CONNECT with CONNACK 0, sends the snapshot's messages again (DUP, same identifiers, same order) and then
   * reads what the client sent behind its CONNECT.
   */
  accept(acceptance: Acceptance, nowMs: number): readonly ServerEffect[] {
    if (this.#state === "closed") return NONE;
    assert(
      this.#state === "waiting",
      `accept answers a connect effect, the session is in state ${this.#state}`,
    );
    const { sessionPresent, keepAliveTimeoutMs, inflight } = acceptance;
    assert(keepAliveTimeoutMs > 0, "keepAliveTimeoutMs is positive, or Infinity");
    this.#state = "open";
    this.#keepAliveTimeoutMs = keepAliveTimeoutMs;
    this.#lastReceivedMs = nowMs;
    encodeConnack(this.#out, sessionPresent, 0);
    if (inflight !== undefined) {
      this.#outstanding.restore(inflight);
      for (const { packetId } of this.#outstanding.messages()) this.resend(packetId);
    }
    const pending = this.#pending;
    this.#pending = [];
    const effects: ServerEffect[] = [];
    for (const bytes of pending) {
      this.#reader.push(bytes);
      for (const effect of this.#readPackets()) effects.push(effect);
      if (this.#isClosed()) break;
    }
    return effects.length === 0 ? NONE : effects;
  }

  /** Answers CONNECT with a refusal. The close effect's code tells which. */
  refuse(returnCode: Exclude<ConnackCode, 0>, _nowMs: number): readonly ServerEffect[] {
    if (this.#state === "closed") return NONE;
    assert(
      this.#state === "waiting",
      `refuse answers a connect effect, the session is in state ${this.#state}`,
    );
    encodeConnack(this.#out, false, returnCode);
    return this.#close(
      [],
      refusalCode(returnCode),
      `CONNECT refused with return code ${returnCode}`,
    );
  }

  /** The message is dealt with: its PUBACK goes out once all earlier ones may. Receipt 0 (QoS 0) is a no-op. */
  ack(receipt: number): void {
    if (this.#state === "closed" || receipt === 0) return;
    this.#receipts.ack(receipt, this.#out);
  }

  suback(packetId: number, codes: readonly SubackCode[]): void {
    if (this.#state === "open") encodeSuback(this.#out, packetId, codes);
  }

  unsuback(packetId: number): void {
    if (this.#state === "open") encodePacketId(this.#out, PacketType.unsuback, packetId);
  }

  /**
   * Sends a message. The payload is kept, not copied, until acknowledged.
   * @returns the packet identifier, 0 for QoS 0 (and on a closed session)
   */
  publish(message: OutgoingMessage, _nowMs: number): number {
    if (this.#state === "closed") return 0;
    assert(this.#state === "open", "publish comes after accept");
    const { topic, payload } = message;
    if (message.qos === 0) {
      this.#encoder.encode(this.#out, topic, payload, 0, false);
      return 0;
    }
    assert(this.windowFree > 0, "publish QoS 1 only while windowFree is above 0");
    const packetId = this.#outstanding.nextFree();
    this.#encoder.encode(this.#out, topic, payload, packetId, false);
    this.#outstanding.add(packetId, { kind: "publish", topic, payload });
    return packetId;
  }

  /** Sends an unacknowledged message once more, with DUP. A no-op if it is not in flight. */
  resend(packetId: number): void {
    const entry = this.#outstanding.get(packetId);
    if (this.#state !== "open" || entry?.kind !== "publish") return;
    this.#encoder.encode(this.#out, entry.topic, entry.payload, packetId, true);
  }

  /** Stops tracking a message (expired, purged): it leaves the window, and a late PUBACK is ignored. */
  forget(packetId: number): void {
    this.#outstanding.forget(packetId);
  }

  /** Works on a closed session too: that is when it is needed. */
  snapshot(): ServerSnapshot {
    return this.#outstanding.snapshot();
  }

  #isClosed(): boolean {
    return this.#state === "closed";
  }

  #close(
    effects: ServerEffect[],
    code: Violation["code"],
    reason: string,
  ): readonly ServerEffect[] {
    this.#state = "closed";
    this.#reader.release();
    this.#pending = [];
    effects.push({ type: "close", code, reason });
    return effects;
  }

  #refuseViolation(effects: ServerEffect[], violation: Violation): readonly ServerEffect[] {
    return this.#close(effects, violation.code, violation.reason);
  }

  #keepPending(bytes: Uint8Array): readonly ServerEffect[] {
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > this.#options.pendingBytesMax) {
      const reason = `more than ${this.#options.pendingBytesMax} bytes behind CONNECT`;
      return this.#close([], "mqtt.pipeline_overflow", reason);
    }
    this.#pending.push(bytes.slice());
    return NONE;
  }

  #readConnect(): readonly ServerEffect[] {
    const reader = this.#reader;
    if (!reader.next()) {
      return reader.violation === undefined ? NONE : this.#refuseViolation([], reader.violation);
    }
    if (reader.header >> 4 !== PacketType.connect) {
      const reason = `the first packet was ${packetName(reader.header)}`;
      return this.#close([], "mqtt.connect_expected", reason);
    }
    const request = decodeConnect(reader.bytes, reader.bodyStart, reader.bodyEnd);
    if (request instanceof Violation) {
      if (request.code === "mqtt.protocol_version") encodeConnack(this.#out, false, 1);
      return this.#refuseViolation([], request);
    }
    this.#state = "waiting";
    const effects: ServerEffect[] = [{ type: "connect", request }];
    const rest = reader.takeRest();
    if (rest.length === 0) return effects;
    return [...effects, ...this.#keepPending(rest)];
  }

  #readPackets(): readonly ServerEffect[] {
    const reader = this.#reader;
    let effects: ServerEffect[] | undefined;
    while (reader.next()) {
      effects ??= [];
      if (reader.header >> 4 === PacketType.publish) {
        const violation = this.#readPublish(effects);
        if (violation !== undefined) return this.#refuseViolation(effects, violation);
        continue;
      }
      const violation = this.#readOther(effects);
      if (violation !== undefined) return this.#refuseViolation(effects, violation);
      if (this.#isClosed()) return effects;
    }
    if (reader.violation !== undefined)
      return this.#refuseViolation(effects ?? [], reader.violation);
    return effects ?? NONE;
  }

  #readPublish(effects: ServerEffect[]): Violation | undefined {
    const reader = this.#reader;
    const publish = this.#publishes;
    const violation = publish.decode(reader);
    if (violation !== undefined) return violation;
    const { header } = reader;
    const packetId = publish.packetId;
    effects.push({
      type: "message",
      topic: publish.topic,
      qos: packetId === 0 ? 0 : 1,
      dup: (header & 8) !== 0,
      retain: (header & 1) !== 0,
      packetId,
      receipt: packetId === 0 ? 0 : this.#receipts.open(packetId),
      chunk: reader.bytes,
      payloadStart: publish.payloadStart,
      payloadEnd: reader.bodyEnd,
    });
    return undefined;
  }

  #readOther(effects: ServerEffect[]): Violation | undefined {
    const { bytes, header, bodyStart, bodyEnd } = this.#reader;
    switch (header >> 4) {
      case PacketType.puback: {
        const packetId = decodePacketId("PUBACK", bytes, bodyStart, bodyEnd);
        if (typeof packetId !== "number") return packetId;
        if (this.#outstanding.delete(packetId)) effects.push({ type: "published", packetId });
        else this.#ignoredAcks++;
        return undefined;
      }
      case PacketType.subscribe: {
        const subscribe = decodeSubscribe(bytes, bodyStart, bodyEnd);
        if (subscribe instanceof Violation) return subscribe;
        effects.push({ type: "subscribe", ...subscribe });
        return undefined;
      }
      case PacketType.unsubscribe: {
        const unsubscribe = decodeUnsubscribe(bytes, bodyStart, bodyEnd);
        if (unsubscribe instanceof Violation) return unsubscribe;
        effects.push({ type: "unsubscribe", ...unsubscribe });
        return undefined;
      }
      case PacketType.pingreq: {
        const violation = checkEmpty("PINGREQ", bodyStart, bodyEnd);
        if (violation === undefined) encodeEmpty(this.#out, PacketType.pingresp);
        return violation;
      }
      case PacketType.disconnect: {
        const violation = checkEmpty("DISCONNECT", bodyStart, bodyEnd);
        if (violation !== undefined) return violation;
        effects.push({ type: "disconnect" });
        this.#close(effects, "mqtt.disconnected", "the client sent DISCONNECT");
        return undefined;
      }
      default:
        return unexpected(header, "client");
    }
  }
}
