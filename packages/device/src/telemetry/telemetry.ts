import { IotError, telemetryBytesMax } from "@hubwire/protocol";
import type { Qos } from "@hubwire/protocol";
import { aborted, closed, timedOut } from "../calls/errors.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Uplink } from "../connection/uplink.ts";
import { encodeBody, isJsonBody } from "./body.ts";
import { Deque } from "./deque.ts";
import type { TelemetryBody, TelemetryOptions } from "./telemetry-options.ts";
import { TopicCache } from "./topic-cache.ts";

const what = "sendTelemetry";

/** Waiting for its turn; with the session; given to the socket (QoS 0) in this turn; done. */
type State = "queued" | "sent" | "handed" | "settled";

/** One message on its way. Its promise's functions are kept, so that settling needs no closure. */
class Outgoing {
  readonly topic: string;
  payload: Uint8Array;
  readonly qos: Qos;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  state: State = "queued";
  packetId = 0;
  sentAtMs = 0;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;

  constructor(topic: string, payload: Uint8Array, qos: Qos, timeoutMs: number, deadlineMs: number) {
    this.topic = topic;
    this.payload = payload;
    this.qos = qos;
    this.timeoutMs = timeoutMs;
    this.deadlineMs = deadlineMs;
    this.resolve = latestResolve;
    this.reject = latestReject;
  }
}

/** The executor runs inside `new Promise`, so one shared function can carry both of its arguments out. */
let latestResolve: () => void = () => undefined;
let latestReject: (error: Error) => void = () => undefined;
const capture = (resolve: () => void, reject: (error: Error) => void): void => {
  latestResolve = resolve;
  latestReject = reject;
};

/**
 * Bytes of QoS 1 messages with the session: all of them are sent again at once when a connection begins, and the driver
 * takes a connection for dead that has eight megabytes to send.
 */
const windowBytesMax = 4 * 1024 * 1024;
/** Bytes of QoS 0 messages after which the socket is asked how much it still takes. */
const burstBytes = 256 * 1024;

/** Settled messages in the middle of the queue are swept out when there are so many more of them than live ones. */
const settledSlack = 1_024;

/**
 * The outbox: messages in the order they were given, first those with the session (the window), behind them those that
 * wait. Bounded in messages and in bytes. One promise per message and nothing else: no timer, no closure, no microtask of
 * ours; deadlines are looked at by one timer, and only when the nearest one is reached.
 */
export class Telemetry implements Machine {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #agenda: Agenda;
  readonly #topics: TopicCache;
  readonly #queue = new Deque<Outgoing>();
  /** How many at the head of the queue were given to the session. */
  #sent = 0;
  /** Payload bytes of those not acknowledged. */
  #sentBytes = 0;
  /** Not settled: what the bounds count. */
  #live = 0;
  #liveBytes = 0;
  /** The nearest deadline of any message, or an earlier time. */
  #scanAtMs = Infinity;
  /** When the oldest unacknowledged message is next looked at. */
  #ackCheckAtMs = Infinity;
  /** QoS 0: given to the socket, or about to be, in this turn. */
  #handed: Outgoing[] = [];
  /** Their bytes since the socket was last asked. */
  #burst = 0;
  readonly #flushed = (): void => this.#settleHanded();
  #closed: string | undefined;

  constructor(settings: Settings, uplink: Uplink, agenda: Agenda) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#agenda = agenda;
    this.#topics = new TopicCache(settings.endpoint.identity);
    agenda.add(this);
  }

  /** Messages accepted and not settled. */
  get pending(): number {
    return this.#live;
  }

  send(body: TelemetryBody, options: TelemetryOptions | undefined): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(closed(what));
    const { callTimeoutMs, qos: qosDefault, clock } = this.#settings;
    let topic: string;
    let payload: Uint8Array;
    let timeoutMs = callTimeoutMs;
    let qos: Qos = qosDefault;
    let signal: AbortSignal | undefined;
    try {
      payload = encodeBody(body);
      const found = this.#topics.topicFor(options, isJsonBody(body));
      topic = found.topic;
      if (options !== undefined) {
        signal = options.signal;
        if (options.qos !== undefined) qos = checkQos(options.qos);
        if (options.timeoutMs !== undefined) timeoutMs = checkTimeout(options.timeoutMs);
      }
      if (payload.length + found.propertyBytes > telemetryBytesMax) {
        throw tooLarge(payload.length, found.propertyBytes);
      }
      this.#checkRoom(payload.length + topic.length);
      if (signal?.aborted) throw aborted(what, signal);
    } catch (error) {
      return Promise.reject(error as Error);
    }
    const nowMs = clock.nowMs();
    const promise = new Promise<void>(capture);
    const message = new Outgoing(topic, payload, qos, timeoutMs, nowMs + timeoutMs);
    if (signal !== undefined) this.#listen(message, signal);
    this.#queue.push(message);
    this.#live += 1;
    this.#liveBytes += payload.length + topic.length;
    if (message.deadlineMs < this.#scanAtMs) {
      this.#scanAtMs = message.deadlineMs;
      this.#agenda.expect(message.deadlineMs);
    }
    if (this.#uplink.accepting) this.pump(nowMs);
    return promise;
  }

  /** Hands over what the window and the socket take. */
  pump(nowMs: number): void {
    const { session } = this.#uplink;
    if (!this.#uplink.accepting) return;
    const queue = this.#queue;
    let free = session.windowFree;
    let touched = false;
    while (this.#sent < queue.length) {
      const message = queue.at(this.#sent);
      if (message.state === "settled") {
        this.#sent += 1;
        continue;
      }
      if (!this.#uplink.writable) break;
      if (message.qos === 1) {
        const bytes = message.payload.length;
        if (free === 0 || (this.#sentBytes > 0 && this.#sentBytes + bytes > windowBytesMax)) break;
        free -= 1;
        this.#sentBytes += bytes;
        message.packetId = session.publish(message, nowMs);
        message.sentAtMs = nowMs;
        message.state = "sent";
        if (this.#ackCheckAtMs === Infinity) this.#expectAck(nowMs);
      } else {
        session.publish(message, nowMs);
        message.state = "handed";
        this.#handed.push(message);
        this.#burst += message.payload.length;
      }
      this.#sent += 1;
      touched = true;
      if (this.#burst > burstBytes) {
        this.#burst = 0;
        this.#uplink.flush();
        // That may have been the end of the connection.
        if (!this.#uplink.accepting) return;
      }
    }
    if (!touched) return;
    this.#uplink.touch();
    // Behind the driver's own end of turn, which was asked for first: by then the bytes are with the socket.
    if (this.#handed.length > 0) this.#settings.clock.endOfTurn(this.#flushed);
  }

  /** PUBACK. In order almost always, so the search ends at the first. */
  acknowledged(packetId: number): void {
    const queue = this.#queue;
    for (let i = 0; i < this.#sent; i++) {
      const message = queue.at(i);
      if (message.packetId !== packetId || message.state !== "sent") continue;
      this.#settle(message);
      message.resolve();
      this.#trim();
      return;
    }
  }

  /** What the session still had was sent again just now, so the first look at it is a whole interval away. */
  connected(nowMs: number): void {
    if (this.#sent > 0) this.#expectAck(nowMs);
  }

  disconnected(): void {
    this.#ackCheckAtMs = Infinity;
    const handed = this.#handed;
    this.#handed = [];
    for (const message of handed) {
      if (message.state !== "handed") continue;
      const text = "The connection ended before the message reached the socket";
      this.#fail(message, new IotError("device.connection_lost", text));
    }
    this.#trim();
  }

  close(): void {
    this.#closed = what;
    for (let i = 0; i < this.#queue.length; i++) {
      const message = this.#queue.at(i);
      if (message.state !== "settled") this.#fail(message, closed(what));
    }
    this.#trim();
    this.#scanAtMs = Infinity;
    this.#ackCheckAtMs = Infinity;
  }

  get deadlineMs(): number {
    return Math.min(this.#scanAtMs, this.#ackCheckAtMs);
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#scanAtMs) this.#expire(nowMs);
    if (nowMs >= this.#ackCheckAtMs) this.#checkAck(nowMs);
  }

  #expire(nowMs: number): void {
    let nextMs = Infinity;
    for (let i = 0; i < this.#queue.length; i++) {
      const message = this.#queue.at(i);
      if (message.state === "settled") continue;
      if (message.deadlineMs > nowMs) nextMs = Math.min(nextMs, message.deadlineMs);
      else this.#fail(message, this.#late(message));
    }
    this.#scanAtMs = nextMs;
    this.#trim();
  }

  #late(message: Outgoing): IotError {
    const { cause } = this.#uplink;
    return timedOut(
      message.state === "sent" ? `${what} (sent, not acknowledged)` : `${what} (not sent)`,
      message.timeoutMs,
      cause === undefined ? undefined : { cause },
    );
  }

  /** The oldest message with the session decides whether the connection is alive. */
  #checkAck(nowMs: number): void {
    this.#ackCheckAtMs = Infinity;
    for (let i = 0; i < this.#sent; i++) {
      const message = this.#queue.at(i);
      if (message.state !== "sent") continue;
      const { retryIntervalMs } = this.#settings;
      if (nowMs - message.sentAtMs < retryIntervalMs) return this.#expectAck(message.sentAtMs);
      const reason = `The hub did not acknowledge a message for ${retryIntervalMs} ms`;
      return this.#uplink.kill("device.ack_timeout", reason);
    }
  }

  #expectAck(sinceMs: number): void {
    this.#ackCheckAtMs = sinceMs + this.#settings.retryIntervalMs;
    this.#agenda.expect(this.#ackCheckAtMs);
  }

  #settleHanded(): void {
    const handed = this.#handed;
    if (handed.length === 0) return;
    this.#handed = [];
    this.#burst = 0;
    for (const message of handed) {
      if (message.state !== "handed") continue;
      this.#settle(message);
      message.resolve();
    }
    this.#trim();
    if (this.#sent < this.#queue.length) this.pump(this.#settings.clock.nowMs());
  }

  #checkRoom(bytes: number): void {
    const { queueMessagesMax, queueBytesMax } = this.#settings;
    if (this.#live >= queueMessagesMax) {
      throw new IotError("device.queue_full", `${this.#live} messages wait to be sent`);
    }
    if (this.#live > 0 && this.#liveBytes + bytes > queueBytesMax) {
      throw new IotError("device.queue_full", `${this.#liveBytes} bytes wait to be sent`);
    }
  }

  #listen(message: Outgoing, signal: AbortSignal): void {
    message.signal = signal;
    message.onAbort = () => {
      if (message.state === "settled") return;
      this.#fail(message, aborted(what, signal));
      this.#trim();
    };
    signal.addEventListener("abort", message.onAbort, { once: true });
  }

  #fail(message: Outgoing, error: IotError): void {
    // Its caller was told it failed: it must not be sent again on the next connection.
    if (message.state === "sent") this.#uplink.session.cancel(message.packetId);
    this.#settle(message);
    message.reject(error);
  }

  #settle(message: Outgoing): void {
    if (message.state === "sent") this.#sentBytes -= message.payload.length;
    message.state = "settled";
    this.#live -= 1;
    this.#liveBytes -= message.payload.length + message.topic.length;
    message.payload = none;
    if (message.onAbort !== undefined) {
      message.signal?.removeEventListener("abort", message.onAbort);
    }
    if (this.#live === 0) this.#uplink.requestDone();
  }

  #trim(): void {
    const queue = this.#queue;
    while (queue.length > 0 && queue.at(0).state === "settled") {
      queue.shift();
      if (this.#sent > 0) this.#sent -= 1;
    }
    if (queue.length <= 2 * this.#live + settledSlack) return;
    let sent = 0;
    for (let i = 0; i < this.#sent; i++) if (queue.at(i).state !== "settled") sent += 1;
    queue.filter((message) => message.state !== "settled");
    this.#sent = sent;
  }
}

const none = new Uint8Array(0);

function tooLarge(bodyBytes: number, propertyBytes: number): IotError {
  const size = `${bodyBytes} bytes of body and ${propertyBytes} of properties`;
  return new IotError(
    "device.message_too_large",
    `The message has ${size}, more than ${telemetryBytesMax} in all`,
  );
}

function checkQos(qos: unknown): Qos {
  checkNumber("qos", qos, 0, 1, "IoT Hub has no QoS 2");
  return qos as Qos;
}

function checkTimeout(timeoutMs: unknown): number {
  checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
  return timeoutMs;
}
