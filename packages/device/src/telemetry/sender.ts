import { IotError } from "@hubwire/protocol";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Uplink } from "../connection/uplink.ts";
import { tellAcknowledged, tellSent } from "../observe/telemetry-news.ts";
import type { Settings } from "../options/settings.ts";
import { DrainRate } from "./drain-rate.ts";
import type { Lane } from "./lane.ts";
import { nextLane } from "./lanes.ts";
import type { Ledger } from "./ledger.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Preparation } from "./prepare.ts";

/** Bytes of QoS 0 messages after which the socket is asked how much it still takes. */
const burstBytes = 256 * 1024;

/** Hands messages from the lanes to the session, and hears what became of them. */
export class Sender implements Machine {
  /** After each round: more may have to be read from disk. */
  pumped: (nowMs: number) => void = () => undefined;
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #agenda: Agenda;
  readonly #ledger: Ledger;
  readonly #preparation: Preparation;
  readonly #drainRate: DrainRate;
  /** When the oldest unacknowledged message is next looked at. */
  #ackCheckAtMs = Infinity;
  /** When the drain rate, or the rate limit, lets the next message go. */
  #pumpAtMs = Infinity;
  #nowMs = 0;
  /** Bytes of QoS 0 since the socket was last asked. */
  #burst = 0;
  readonly #flushed = (): void => this.#settleHanded();
  readonly #mayWhen = (lane: Lane): number => this.#laneMayWhen(lane);

  constructor(
    settings: Settings,
    uplink: Uplink,
    agenda: Agenda,
    ledger: Ledger,
    preparation: Preparation,
  ) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#agenda = agenda;
    this.#ledger = ledger;
    this.#preparation = preparation;
    this.#drainRate = new DrainRate(settings.drainRate);
    agenda.add(this);
  }

  /** Hands over what the window, the socket and the rate limits take. */
  pump(nowMs: number): void {
    const { session } = this.#uplink;
    if (!this.#uplink.accepting || this.#isHeld) return;
    this.#nowMs = nowMs;
    this.#pumpAtMs = Infinity;
    const { prefix } = this.#preparation;
    const { gate } = this.#settings;
    const { lanes, flight } = this.#ledger;
    let free = session.windowFree;
    let touched = false;
    for (;;) {
      const lane = nextLane(lanes, this.#mayWhen);
      if (typeof lane === "number") {
        this.pumpAt(lane);
        break;
      }
      const message = lane.head() as Outgoing;
      if (message.expiresAtMs <= nowMs) {
        this.#ledger.expired(message);
        continue;
      }
      const { payload, qos } = message;
      if (!this.#uplink.writable) break;
      if (qos === 1 && (free === 0 || !flight.hasRoomFor(payload.length))) break;
      const admittedAtMs = gate.admit("telemetry", message.sizeBytes, nowMs);
      if (admittedAtMs > 0) {
        this.pumpAt(admittedAtMs);
        break;
      }
      if (message.sequenceNumber < lane.backlogBefore) this.#drainRate.take();
      lane.shift();
      if (message.prefix !== prefix) {
        message.topic = prefix + message.bag;
        message.prefix = prefix;
      }
      free -= qos;
      this.#send(message, nowMs);
      touched = true;
      if (this.#burst > burstBytes) {
        this.#burst = 0;
        this.#uplink.flush();
        // That may have been the end of the connection.
        if (!this.#uplink.accepting) return;
      }
    }
    this.pumped(nowMs);
    if (!touched) return;
    this.#uplink.touch();
    // Behind the driver's own end of turn, which was asked for first: by then the bytes are with the socket.
    if (this.#ledger.handed.length > 0) this.#settings.clock.endOfTurn(this.#flushed);
  }

  #send(message: Outgoing, nowMs: number): void {
    const { stats } = this.#settings;
    message.packetId = this.#uplink.session.publish(message, nowMs);
    message.sentAtMs = nowMs;
    stats.sent += 1;
    tellSent(stats, message.sizeBytes, message.qos === 1 ? 1 : 0, false);
    if (message.qos === 1) {
      message.state = "sent";
      this.#ledger.flight.push(message);
      if (this.#ackCheckAtMs === Infinity) this.#expectAck(nowMs);
    } else {
      message.state = "handed";
      this.#ledger.handed.push(message);
      this.#burst += message.payload.length;
    }
  }

  /** What is on disk stays there when the client is about to end and nobody waits for it. */
  get #isHeld(): boolean {
    const { isClosing, store, callers } = this.#ledger;
    return isClosing && store !== undefined && callers === 0;
  }

  #laneMayWhen(lane: Lane): number {
    const head = lane.head() as Outgoing;
    return head.sequenceNumber < lane.backlogBefore ? this.#drainRate.nextAtMs(this.#nowMs) : 0;
  }

  /** Tries again then at the latest. */
  pumpAt(atMs: number): void {
    if (atMs >= this.#pumpAtMs) return;
    this.#pumpAtMs = atMs;
    this.#agenda.expect(atMs);
  }

  /** PUBACK. */
  acknowledged(packetId: number, nowMs: number): void {
    const { flight } = this.#ledger;
    const message = flight.find(packetId);
    if (message === undefined) return;
    const { stats } = this.#settings;
    const roundTripMs = nowMs - message.sentAtMs;
    stats.acknowledged += 1;
    stats.roundTrip.record(roundTripMs);
    tellAcknowledged(stats, roundTripMs);
    this.#ledger.settle(message);
    this.#ledger.tell(message, undefined);
    flight.trim();
  }

  /** What the session still had was sent again just now, so the first look at it is a whole interval away. */
  connected(nowMs: number): void {
    const { lanes, flight } = this.#ledger;
    const { stats } = this.#settings;
    for (const lane of lanes) lane.backlogBefore = lane.nextSequenceNumber;
    const { messages } = flight;
    for (let i = 0; i < messages.length; i++) {
      const message = messages.at(i);
      if (message.state !== "sent") continue;
      message.sentAtMs = nowMs;
      stats.resent += 1;
      tellSent(stats, message.sizeBytes, 1, true);
    }
    if (flight.count > 0) this.#expectAck(nowMs);
  }

  disconnected(): void {
    this.#ackCheckAtMs = Infinity;
    this.#pumpAtMs = Infinity;
    this.#burst = 0;
    const ledger = this.#ledger;
    const { handed } = ledger;
    ledger.handed = [];
    for (const message of handed.toReversed()) {
      if (message.state !== "handed") continue;
      if (message.waits === "nothing") this.#putBack(message);
      else {
        const text = "The connection ended before the message reached the socket";
        ledger.drop(message, new IotError("device.connection_lost", text), undefined);
      }
    }
  }

  /** The device has another id: what the session still has waits again, to go under the new id's topics. */
  renamed(): void {
    for (const message of this.#ledger.flight.takeBack().toReversed()) {
      this.#uplink.session.cancel(message.packetId);
      this.#putBack(message);
    }
  }

  #putBack(message: Outgoing): void {
    message.state = "queued";
    this.#ledger.laneOf(message).putBack(message);
  }

  close(): void {
    this.#ackCheckAtMs = Infinity;
    this.#pumpAtMs = Infinity;
  }

  get deadlineMs(): number {
    return Math.min(this.#ackCheckAtMs, this.#pumpAtMs);
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#ackCheckAtMs) this.#checkAck(nowMs);
    if (nowMs < this.#pumpAtMs) return;
    this.#pumpAtMs = Infinity;
    this.pump(nowMs);
    this.pumped(nowMs);
  }

  /** The oldest message with the session decides whether the connection is alive. */
  #checkAck(nowMs: number): void {
    this.#ackCheckAtMs = Infinity;
    const oldest = this.#ledger.flight.oldest();
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

  #settleHanded(): void {
    const ledger = this.#ledger;
    const { handed } = ledger;
    if (handed.length === 0) return;
    ledger.handed = [];
    this.#burst = 0;
    for (const message of handed) {
      if (message.state !== "handed") continue;
      ledger.settle(message);
      ledger.tell(message, undefined);
    }
    this.pump(this.#settings.clock.nowMs());
  }
}
