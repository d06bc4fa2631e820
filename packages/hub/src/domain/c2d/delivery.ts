import type { ServerSnapshot } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { HubMetrics } from "../observe.ts";
import type { C2dQueueStore, QueuedMessage } from "../ports.ts";
import { generationKey } from "../services.ts";
import { C2dChannel } from "./channel.ts";
import type { UnackedMessages } from "./channel.ts";
import type { C2dPort } from "./port.ts";

export type C2dDeliveryOptions = {
  store: C2dQueueStore;
  clock: Clock;
  metrics: HubMetrics;
  /** Whether a CONNECT with clean=1 empties the queue, as a Microsoft guide for embedded devices says; default true. */
  cleanSessionPurges?: boolean;
};

/**
 * Who is being delivered to. One channel per queue at a time; a new one starts after the locks of the one before are
 * released, so a message is never under way on two connections.
 */
export class C2dDelivery {
  readonly #options: C2dDeliveryOptions;
  readonly #channels = new Map<string, C2dChannel>();
  /** Sessions of clients that are away and owe PUBACKs. */
  readonly #unacked = new Map<string, UnackedMessages>();
  /** Releases under way, by queue. */
  readonly #releasing = new Map<string, Promise<void>>();

  constructor(options: C2dDeliveryOptions) {
    this.#options = options;
  }

  /** At hub start: no connection survives a restart, so no lock does. */
  async start(): Promise<void> {
    await this.#options.store.releaseEverything();
  }

  /**
   * Before CONNACK. What comes back is for the session to send again; then call `open` on the channel.
   * @throws IotError `store.unavailable`
   */
  async attach(
    port: C2dPort,
    options: { cleanSession: boolean },
  ): Promise<{ channel: C2dChannel; resend: ServerSnapshot | undefined }> {
    const { store, clock, metrics } = this.#options;
    const queue = generationKey(port.ref, port.generationId);
    await this.#released(queue);
    if (options.cleanSession) {
      this.#unacked.delete(queue);
      if (this.#options.cleanSessionPurges !== false) await this.#purge(queue);
    }
    const expire = (): Promise<void> => this.expire(queue);
    const channel = new C2dChannel({ queue, store, clock, metrics, expire }, port);
    this.#channels.set(queue, channel);
    const unacked = this.#unacked.get(queue);
    if (unacked === undefined) return { channel, resend: undefined };
    this.#unacked.delete(queue);
    // Without a QoS 1 subscription nothing may be sent again.
    const resend = port.c2dQos === 1 ? await channel.resume(unacked) : undefined;
    return { channel, resend };
  }

  /** The connection is over, whether or not its CONNECT was answered. */
  detach(port: C2dPort, channel: C2dChannel, options: { cleanSession: boolean }): void {
    const queue = generationKey(port.ref, port.generationId);
    const mayHoldLocks = channel.mayHoldLocks;
    const unacked = channel.close();
    if (this.#channels.get(queue) === channel) this.#channels.delete(queue);
    if (!options.cleanSession && unacked.sequences.size > 0) this.#unacked.set(queue, unacked);
    if (mayHoldLocks) this.#release(queue);
  }

  /** Something was put into the queue. */
  wake(queue: string): void {
    this.#channels.get(queue)?.wake();
  }

  /** Messages left the queue otherwise than by being completed. */
  gone(queue: string, messages: readonly QueuedMessage[]): void {
    if (messages.length === 0) return;
    this.#channels.get(queue)?.gone(messages.map(({ sequence }) => sequence));
  }

  /** Removes what is past its time. */
  async expire(queue: string): Promise<void> {
    const { store, clock, metrics } = this.#options;
    const expired = await store.expire(queue, clock.wallMs());
    metrics.c2dExpired += expired.length;
    this.gone(queue, expired);
  }

  async #purge(queue: string): Promise<void> {
    const { store, metrics } = this.#options;
    if ((await store.count(queue)) === 0) return;
    metrics.c2dPurged += (await store.purge(queue)).length;
  }

  /** A release that failed is tried again when the device comes back; until then the locks run out by themselves. */
  #release(queue: string): void {
    const release = this.#released(queue)
      .catch(() => {})
      .then(() => this.#options.store.release(queue, "all"));
    this.#releasing.set(queue, release);
    release.then(
      () => {
        if (this.#releasing.get(queue) === release) this.#releasing.delete(queue);
      },
      () => {},
    );
  }

  async #released(queue: string): Promise<void> {
    const release = this.#releasing.get(queue);
    if (release === undefined) return;
    try {
      await release;
    } catch {
      await this.#options.store.release(queue, "all");
      if (this.#releasing.get(queue) === release) this.#releasing.delete(queue);
    }
  }
}
