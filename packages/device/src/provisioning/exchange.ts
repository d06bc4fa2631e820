import { ClientSession, IotError, payloadOf } from "@hubwire/protocol";
import type { ClientEffect } from "@hubwire/protocol";
import { dpsConnackError } from "@hubwire/protocol/dps";
import type {
  AssignedRegistration,
  ProvisioningEffect,
  ProvisioningMachine,
} from "@hubwire/protocol/dps";
import { Driver } from "@hubwire/transport";
import type { ByteStream, Clock, CloseCause, Timer } from "@hubwire/transport";
import { closeError } from "../connection/refusal.ts";

/** One answer is at most 96 KB; with room to spare. */
const packetBytesMax = 256 * 1024;
/** Registrations take seconds; long ones keep their connection alive. */
const keepAliveS = 60;

export type ExchangeOptions = {
  machine: ProvisioningMachine;
  stream: ByteStream;
  clock: Clock;
  registrationId: string;
  username: string;
  password: Uint8Array | undefined;
  connackTimeoutMs: number;
  signal: AbortSignal;
  /** CONNACK 0. */
  onConnected: () => void;
  /** The service asked not to be asked before this monotonic time. */
  onRetryAt: (atMs: number) => void;
};

/**
 * One connection with the provisioning service: the machine decides, the session and the driver carry.
 * @throws IotError what ended it before the device was assigned
 */
export function exchange(options: ExchangeOptions): Promise<AssignedRegistration> {
  return new Promise((resolve, reject) => {
    new Exchange(options, resolve, reject).start();
  });
}

class Exchange {
  readonly #options: ExchangeOptions;
  readonly #resolve: (registration: AssignedRegistration) => void;
  readonly #reject: (error: Error) => void;
  readonly #session: ClientSession;
  readonly #driver: Driver<ClientEffect>;
  readonly #onAbort: () => void;
  #refused: IotError | undefined;
  #timer: Timer | undefined;
  #isOver = false;

  constructor(
    options: ExchangeOptions,
    resolve: (registration: AssignedRegistration) => void,
    reject: (error: Error) => void,
  ) {
    const { stream, clock, connackTimeoutMs, signal } = options;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#session = new ClientSession({ packetBytesMax, inflightMax: 1_000, connackTimeoutMs });
    this.#driver = new Driver<ClientEffect>({
      session: this.#session,
      stream,
      clock,
      onEffects: (effects) => {
        for (const effect of effects) this.#heard(effect);
      },
      onClosed: (cause) => this.#closed(cause),
    });
    this.#onAbort = () => {
      this.#fail(signal.reason as Error);
      this.#driver.destroy("call.aborted", "provisioning was aborted");
    };
  }

  start(): void {
    const { clock, registrationId: clientId, username, password, signal } = this.#options;
    if (signal.aborted) return this.#onAbort();
    signal.addEventListener("abort", this.#onAbort, { once: true });
    const request = { clientId, username, password, cleanSession: true, keepAliveS };
    this.#session.connect({ ...request, will: undefined }, clock.nowMs());
    this.#driver.start();
    this.#arm();
  }

  #heard(effect: ClientEffect): void {
    if (this.#isOver) return;
    const { machine, clock, registrationId } = this.#options;
    const nowMs = clock.nowMs();
    switch (effect.type) {
      case "connected":
        this.#options.onConnected();
        return this.#obey(machine.connected(nowMs));
      case "refused":
        this.#refused = dpsConnackError(effect.returnCode, registrationId);
        return;
      case "subscribed":
        return this.#obey(machine.subscribed(effect.granted, nowMs));
      case "message": {
        // Copied: the payload's chunk belongs to the session, and what is read from it is kept.
        const orders = machine.message(effect.topic, payloadOf(effect).slice(), nowMs);
        this.#session.ack(effect.receipt);
        return this.#obey(orders);
      }
      case "published":
      case "unsubscribed":
      case "close":
    }
  }

  #obey(orders: readonly ProvisioningEffect[]): void {
    for (const order of orders) this.#do(order);
    if (this.#isOver) return;
    this.#driver.touch();
    this.#arm();
  }

  #do(order: ProvisioningEffect): void {
    const nowMs = this.#options.clock.nowMs();
    switch (order.type) {
      case "subscribe":
        this.#session.subscribe([{ filter: order.filter, qos: 1 }], nowMs);
        return;
      case "publish":
        this.#session.publish({ topic: order.topic, payload: order.payload, qos: 1 }, nowMs);
        return;
      case "reconnect":
        this.#fail(order.cause);
        return this.#driver.destroy(order.cause.code, order.cause.message);
      case "assigned":
        if (this.#settle()) this.#resolve(order.registration);
        return this.#leave();
      case "failed":
        this.#options.onRetryAt(order.retryAtMs);
        this.#fail(order.error);
        return this.#leave();
    }
  }

  /** DISCONNECT; the service drops the subscription with the connection. The driver tells us of our own close at once. */
  #leave(): void {
    this.#driver.apply(this.#session.disconnect(this.#options.clock.nowMs()));
  }

  #closed(cause: CloseCause): void {
    this.#fail(this.#refused ?? serviceError(cause));
  }

  #fail(error: Error): void {
    const { machine, clock } = this.#options;
    if (!this.#settle()) return;
    machine.lost(clock.nowMs());
    this.#reject(error);
  }

  #settle(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    return true;
  }

  #arm(): void {
    const { clock, machine } = this.#options;
    this.#timer?.cancel();
    this.#timer = clock.at(machine.deadlineMs, () => {
      if (!this.#isOver) this.#obey(machine.tick(clock.nowMs()));
    });
  }
}

function serviceError(cause: CloseCause): IotError {
  if (cause.by === "session") return closeError(cause, true);
  const why = cause.error === undefined ? "" : `: ${cause.error.message}`;
  return new IotError(
    "device.connection_lost",
    `The connection to the provisioning service ended${why}`,
    { cause: cause.error },
  );
}
