import {
  c2dBytesMax,
  c2dLockTimeoutMs,
  c2dQueueMessagesMax,
  c2dTopic,
  c2dTtlMsDefault,
  formatC2dProperties,
  IotError,
  telemetryMessageSize,
} from "@hubwire/protocol";
import type { DeviceIdentity, SystemProperties } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";

/** What `sendC2d` takes beside the body. */
export type C2dOptions = {
  /** Given by the hub when left out. */
  messageId?: string;
  correlationId?: string;
  contentType?: string;
  contentEncoding?: string;
  /** Application properties. */
  properties?: Readonly<Record<string, string>>;
  /** When the hub throws it away undelivered; one hour. */
  timeToLiveMs?: number;
};

/** A cloud-to-device message on its way, as its sender sees it. */
export type SentC2d = {
  readonly messageId: string;
  /** queued, delivered (and not yet completed), completed by the device, or expired. */
  readonly state: "queued" | "delivered" | "completed" | "expired";
  /** How often it was delivered. */
  readonly deliveries: number;
};

/** The connection messages are delivered on. */
export interface C2dOutlet {
  /** undefined: not subscribed. */
  readonly c2dQos: 0 | 1 | undefined;
  readonly windowFree: number;
  publishC2d(topic: string, body: Uint8Array, qos: 0 | 1): number;
  resendC2d(packetId: number): void;
  forgetC2d(packetId: number): void;
}

type Entry = {
  messageId: string;
  topic: string;
  body: Uint8Array;
  expiresAtMs: number;
  state: "queued" | "delivered" | "completed" | "expired";
  deliveries: number;
  packetId: number;
  lockedUntilMs: number;
};

/** The hub's queue of cloud-to-device messages for one device: delivered in order, kept until the device's PUBACK. */
export class C2dQueue {
  readonly #identity: DeviceIdentity;
  readonly #clock: Clock;
  #entries: Entry[] = [];
  #outlet: C2dOutlet | undefined;
  #count = 0;

  constructor(identity: DeviceIdentity, clock: Clock) {
    this.#identity = identity;
    this.#clock = clock;
  }

  /** @throws IotError `message.too_large`, `quota.queue_full`, `topic.*` */
  send(body: Uint8Array, options: C2dOptions): SentC2d {
    const { messageId = `c2d-${++this.#count}`, properties = {}, timeToLiveMs } = options;
    const system: SystemProperties = { messageId };
    for (const name of ["correlationId", "contentType", "contentEncoding"] as const) {
      const value = options[name];
      if (value !== undefined) system[name] = value;
    }
    const expiresAtMs = this.#clock.wallMs() + (timeToLiveMs ?? c2dTtlMsDefault);
    if (timeToLiveMs !== undefined) system.absoluteExpiryTime = new Date(expiresAtMs).toISOString();
    const all = { system, application: properties };
    if (telemetryMessageSize(body.length, all) > c2dBytesMax) {
      throw new IotError("message.too_large", `A message has at most ${c2dBytesMax} bytes`);
    }
    this.#expire();
    if (this.#entries.length >= c2dQueueMessagesMax) {
      throw new IotError("quota.queue_full", `${c2dQueueMessagesMax} messages wait already`);
    }
    const entry: Entry = {
      messageId,
      topic: c2dTopic(this.#identity, formatC2dProperties(this.#identity, all)),
      body,
      expiresAtMs,
      state: "queued",
      deliveries: 0,
      packetId: 0,
      lockedUntilMs: 0,
    };
    this.#entries.push(entry);
    this.pump();
    return entry;
  }

  /** How many wait or are delivered and not completed. */
  get length(): number {
    this.#expire();
    return this.#entries.length;
  }

  /** A connection is there; its session sends again what it had unacknowledged, if it was kept. */
  attach(outlet: C2dOutlet, resumed: ReadonlySet<number>): void {
    this.#outlet = outlet;
    for (const entry of this.#entries) {
      if (entry.state !== "delivered") continue;
      if (resumed.has(entry.packetId)) this.#delivered(entry);
      else entry.state = "queued";
    }
    this.pump();
  }

  detach(outlet: C2dOutlet): void {
    if (this.#outlet === outlet) this.#outlet = undefined;
  }

  purge(): void {
    for (const entry of this.#entries) {
      if (entry.state === "delivered") this.#outlet?.forgetC2d(entry.packetId);
      entry.state = "expired";
    }
    this.#entries = [];
  }

  /** PUBACK. */
  completed(packetId: number): void {
    const entry = this.#entries.find(
      (one) => one.state === "delivered" && one.packetId === packetId,
    );
    if (entry !== undefined) this.#complete(entry);
    this.pump();
  }

  /** Delivers what the subscription and the window allow. */
  pump(): void {
    const outlet = this.#outlet;
    if (outlet === undefined) return;
    this.#expire();
    for (const entry of this.#entries) {
      const qos = outlet.c2dQos;
      if (qos === undefined || (qos === 1 && outlet.windowFree === 0)) return;
      if (entry.state !== "queued") continue;
      entry.packetId = outlet.publishC2d(entry.topic, entry.body, qos);
      this.#delivered(entry);
      // Without PUBACK, written is delivered.
      if (qos === 0) this.#complete(entry);
    }
  }

  #complete(entry: Entry): void {
    entry.state = "completed";
    this.#entries = this.#entries.filter((one) => one !== entry);
  }

  #delivered(entry: Entry): void {
    entry.state = "delivered";
    entry.deliveries += 1;
    entry.lockedUntilMs = this.#clock.nowMs() + c2dLockTimeoutMs;
    const { lockedUntilMs } = entry;
    const outlet = this.#outlet;
    this.#clock.at(lockedUntilMs, () => {
      const isLate = entry.state === "delivered" && entry.lockedUntilMs === lockedUntilMs;
      if (!isLate || outlet === undefined || this.#outlet !== outlet) return;
      this.#expire();
      if (!this.#entries.includes(entry)) return;
      outlet.resendC2d(entry.packetId);
      this.#delivered(entry);
    });
  }

  #expire(): void {
    const wallMs = this.#clock.wallMs();
    for (const entry of this.#entries) {
      if (entry.expiresAtMs > wallMs) continue;
      if (entry.state === "delivered") this.#outlet?.forgetC2d(entry.packetId);
      entry.state = "expired";
    }
    this.#entries = this.#entries.filter(({ state }) => state !== "expired");
  }
}
