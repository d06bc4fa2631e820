import {
  IotError,
  parseDeviceFilter,
  parseDeviceTopic,
  payloadOf,
  ServerSession,
  telemetryBytesMax,
  telemetryMessageSize,
  topicFiltersMax,
} from "@hubwire/protocol";
import type { ConnectRequest, IncomingMessage, ServerEffect, TopicFilter } from "@hubwire/protocol";
import { Driver } from "@hubwire/transport";
import type { ByteStream, Clock, Timer } from "@hubwire/transport";
import type { C2dOutlet } from "./c2d-queue.ts";
import { DeafStream } from "./deaf-stream.ts";
import type { DeviceState } from "./device-state.ts";
import type { Faults, Refusal } from "./faults.ts";
import { ReceivedTelemetry } from "./received.ts";
import { answerTwin } from "./twin-answers.ts";

/** What a connection needs of its hub. */
export interface ConnectionHost {
  readonly clock: Clock;
  readonly faults: Faults;
  /** Who that is, or why not. */
  admit(request: ConnectRequest): { device: DeviceState; expiresAtMs: number } | Refusal;
  received(telemetry: ReceivedTelemetry): void;
  gone(connection: FakeConnection): void;
}

/** Cloud-to-device messages under way to one device, as in IoT Hub's clients' experience. */
const c2dWindow = 20;
/** The hub waits one and a half times the keep-alive, at most this; also when none was asked for. */
const keepAliveMsMax = 1_767_000;

/** One device on one connection, from CONNECT to the end: a real server session over a cable in memory. */
export class FakeConnection implements C2dOutlet {
  readonly #host: ConnectionHost;
  readonly #stream: DeafStream;
  readonly #session: ServerSession;
  readonly #driver: Driver<ServerEffect>;
  #device: DeviceState | undefined;
  #cleanSession = true;
  /** There is something to resume: a session that never subscribed is none. */
  #hasSession = false;
  #expiry: Timer | undefined;

  constructor(host: ConnectionHost, stream: ByteStream) {
    const { clock } = host;
    this.#host = host;
    this.#stream = new DeafStream(stream);
    this.#session = new ServerSession(
      {
        packetBytesMax: 2 * telemetryBytesMax,
        connectTimeoutMs: 30_000,
        inflightMax: c2dWindow,
        pendingBytesMax: telemetryBytesMax,
      },
      clock.nowMs(),
    );
    this.#driver = new Driver<ServerEffect>({
      session: this.#session,
      stream: this.#stream,
      clock,
      onEffects: (effects) => {
        for (const effect of effects) this.#effect(effect);
      },
      onClosed: () => this.#closed(),
    });
    if (host.faults.silent) this.#stream.die();
    this.#driver.start();
  }

  // ---- what tests do to it ----

  cut(): void {
    this.#driver.destroy("transport.closed", "cut by the test");
  }

  /** From now on nothing gets through, and nobody is told. */
  die(): void {
    this.#stream.die();
  }

  /** Ends it as a hub does, from its side. */
  close(code: "connection.token_expired" | "topic.foreign_publish", reason: string): void {
    this.#driver.close(code, reason);
  }

  // ---- what the hub sends ----

  send(topic: string, payload: Uint8Array): void {
    this.#session.publish({ topic, payload, qos: 0 }, this.#host.clock.nowMs());
    this.#driver.touch();
  }

  get c2dQos(): 0 | 1 | undefined {
    return this.#device?.subscribed("c2d");
  }

  get windowFree(): number {
    return this.#session.windowFree;
  }

  publishC2d(topic: string, payload: Uint8Array, qos: 0 | 1): number {
    const packetId = this.#session.publish({ topic, payload, qos }, this.#host.clock.nowMs());
    this.#driver.touch();
    return packetId;
  }

  resendC2d(packetId: number): void {
    this.#session.resend(packetId);
    this.#driver.touch();
  }

  forgetC2d(packetId: number): void {
    this.#session.forget(packetId);
  }

  // ---- what the device sends ----

  #effect(effect: ServerEffect): void {
    try {
      this.#carryOut(effect);
    } catch (error) {
      // As the real hub: what it does not take ends the connection, and the device is not told why.
      const known = error instanceof IotError ? error : undefined;
      this.#driver.close(known?.code ?? "hub.internal", String(error));
      if (known === undefined) throw error;
    }
  }

  #carryOut(effect: ServerEffect): void {
    switch (effect.type) {
      case "connect":
        return this.#connect(effect.request);
      case "subscribe":
        return this.#subscribe(effect.packetId, effect.filters);
      case "unsubscribe":
        for (const filter of effect.filters) this.#device?.subscriptions.delete(filter);
        this.#session.unsuback(effect.packetId);
        return this.#driver.touch();
      case "published":
        return this.#device?.c2d.completed(effect.packetId);
      case "message":
        return this.#message(effect);
      case "disconnect":
      case "close":
    }
  }

  #connect(request: ConnectRequest): void {
    const { clock } = this.#host;
    const admitted = this.#host.admit(request);
    if (typeof admitted === "number") {
      return this.#driver.apply(this.#session.refuse(admitted, clock.nowMs()));
    }
    const { device, expiresAtMs } = admitted;
    // An identity has one connection: the earlier one ends without a word.
    device.connection?.cut();
    device.connection?.leave();
    this.#device = device;
    this.#cleanSession = request.cleanSession;
    if (request.cleanSession) {
      device.session = undefined;
      device.subscriptions.clear();
      device.c2d.purge();
    }
    const unacked = device.session?.unacked;
    const sessionPresent = device.session !== undefined;
    this.#hasSession = sessionPresent;
    device.session = undefined;
    device.connection = this;
    device.connects += 1;
    this.#watchExpiry(expiresAtMs);
    const silenceMs = request.keepAliveS === 0 ? Infinity : request.keepAliveS * 1_500;
    const effects = this.#session.accept(
      {
        sessionPresent,
        keepAliveTimeoutMs: Math.min(silenceMs, keepAliveMsMax),
        ...(unacked === undefined ? {} : { inflight: unacked }),
      },
      clock.nowMs(),
    );
    const resumed = new Set(unacked?.inflight.map(({ packetId }) => packetId));
    device.c2d.attach(this, resumed);
    this.#driver.apply(effects);
    this.#driver.touch();
  }

  #subscribe(packetId: number, filters: readonly TopicFilter[]): void {
    const device = this.#device;
    if (device === undefined) return;
    const granted: (0 | 1)[] = [];
    for (const { filter, qos: asked } of filters) {
      const { type } = parseDeviceFilter(filter, device.identity);
      if (type === "foreign" || type === "credentials") {
        throw new IotError("topic.foreign_filter", `${filter} is not served`);
      }
      const qos = asked === 0 ? 0 : 1;
      device.subscriptions.set(filter, { kind: type, qos });
      granted.push(qos);
    }
    if (device.subscriptions.size > topicFiltersMax) {
      throw new IotError("topic.too_many_filters", `More than ${topicFiltersMax} topic filters`);
    }
    this.#hasSession = true;
    this.#session.suback(packetId, granted);
    this.#driver.touch();
    device.c2d.pump();
  }

  #message(message: IncomingMessage): void {
    const device = this.#device;
    if (device === undefined) return;
    const topic = parseDeviceTopic(message.topic, device.identity);
    switch (topic.type) {
      case "telemetry":
        return this.#telemetry(device, message, topic.bag);
      case "methodResponse":
        device.methods.answered(topic.rid, topic.status, payloadOf(message), this);
        break;
      case "twinGet":
      case "twinReport": {
        const answer = answerTwin(device, topic, payloadOf(message), this.#host);
        // Without its subscription a device hears nothing.
        if (answer !== undefined && device.subscribed("twinResponses") !== undefined) {
          this.send(answer.topic, answer.body);
        }
        break;
      }
      case "certificateIssue":
        throw new IotError("topic.foreign_publish", "The fake hub issues no certificates");
      case "foreign":
        if (topic.fatal) throw new IotError("topic.foreign_publish", topic.why);
    }
    this.#session.ack(message.receipt);
    this.#driver.touch();
  }

  #telemetry(device: DeviceState, message: IncomingMessage, bag: string): void {
    const { faults, clock } = this.#host;
    const body = new Uint8Array(payloadOf(message));
    const { qos, dup } = message;
    const wallMs = clock.wallMs();
    const received = new ReceivedTelemetry(device.identity, { bag, body, qos, dup, wallMs });
    const { system, properties: application } = received;
    if (telemetryMessageSize(body.length, { system, application }) > telemetryBytesMax) {
      throw new IotError("message.too_large", `More than ${telemetryBytesMax} bytes`);
    }
    device.telemetry.push(received);
    this.#host.received(received);
    if (message.receipt === 0 || faults.dropsAcks) return;
    const acknowledge = (): void => {
      this.#session.ack(message.receipt);
      this.#driver.touch();
    };
    if (faults.ackDelayMs === 0) acknowledge();
    else clock.at(clock.nowMs() + faults.ackDelayMs, acknowledge);
  }

  // ---- the end ----

  #watchExpiry(expiresAtMs: number): void {
    if (expiresAtMs === Infinity) return;
    const { clock } = this.#host;
    const leftMs = expiresAtMs - clock.wallMs();
    if (leftMs <= 0) return this.close("connection.token_expired", "The token ended");
    // Looked at often, because the wall clock may jump meanwhile.
    const lookAtMs = clock.nowMs() + Math.min(leftMs, 60_000);
    this.#expiry = clock.at(lookAtMs, () => this.#watchExpiry(expiresAtMs));
  }

  #closed(): void {
    this.#host.gone(this);
    this.leave();
  }

  /** The device has no connection any more, unless it has a newer one. */
  leave(): void {
    const device = this.#device;
    this.#expiry?.cancel();
    if (device?.connection !== this) return;
    device.connection = undefined;
    device.c2d.detach(this);
    device.methods.disconnected(this);
    if (this.#cleanSession) device.subscriptions.clear();
    else if (this.#hasSession) device.session = { unacked: this.#session.snapshot() };
  }
}
