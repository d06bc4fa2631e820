import type { ServerSnapshot } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { HubMetrics } from "../observe.ts";
import type { C2dQueueStore, QueuedMessage } from "../ports.ts";
import { generationKey } from "../services.ts";
import { C2dChannel } from "./channel.ts";
import type { UnackedMessages } from "./channel.ts";
import type { OnFeedback } from "../feedback/index.ts";
import { wantsFeedback } from "./message.ts";
import type { C2dPort } from "./port.ts";

export type C2dDeliveryOptions = {
  store: C2dQueueStore;
  clock: Clock;
  metrics: HubMetrics;
  /** Messages became feedbackPending. */
  onFeedback?: OnFeedback;
  /** Whether a CONNECT with clean=1 empties the queue, as a Microsoft guide for embedded devices says; default true. */
  cleanSessionPurges?: boolean;
};

/** One after the other through the door of a queue: `left` resolves when the one inside has given everything back. */
type Turn = { left: Promise<void>; leave: () => void };

/**
 * Who is being delivered to. One channel per queue at a time, from `attach` to the end of `detach`: a newer connection's
 * channel waits until every lock of the older one is released, so a message is never under way on two connections and no
 * release takes back the locks of another.
 */
export class C2dDelivery {
  readonly #options: C2dDeliveryOptions;
  readonly #channels = new Map<string, C2dChannel>();
  /** Sessions of clients that are away and owe PUBACKs. */
  readonly #unacked = new Map<string, UnackedMessages>();
  /** The last one who came to each queue's door. */
  readonly #turns = new Map<string, Turn>();
  readonly #turnOf = new WeakMap<C2dChannel, Turn>();
  /** Queues whose release failed: to be made up for before anything else. */
  readonly #unreleased = new Set<string>();

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
    const queue = generationKey(port.ref, port.generationId);
    const before = this.#turns.get(queue);
    const turn = newTurn();
    this.#turns.set(queue, turn);
    await before?.left;
    try {
      return await this.#enter(queue, port, turn, options.cleanSession);
    } catch (error) {
      // Whether it had locked anything is not known.
      this.#unreleased.add(queue);
      this.#leave(queue, turn);
      throw error;
    }
  }

  async #enter(
    queue: string,
    port: C2dPort,
    turn: Turn,
    cleanSession: boolean,
  ): Promise<{ channel: C2dChannel; resend: ServerSnapshot | undefined }> {
    const { store, clock, metrics } = this.#options;
    if (this.#unreleased.has(queue)) {
      await store.release(queue, "all");
      this.#unreleased.delete(queue);
    }
    if (cleanSession && this.#options.cleanSessionPurges !== false) {
      await this.#purgeForCleanSession(queue);
    }
    const expire = (): Promise<void> => this.expire(queue);
    const { onFeedback } = this.#options;
    const channel = new C2dChannel({ queue, store, clock, metrics, expire, onFeedback }, port);
    const unacked = this.#unacked.get(queue);
    // Without a QoS 1 subscription nothing may be sent again.
    const resend =
      unacked !== undefined && port.c2dQos === 1 ? await channel.resume(unacked) : undefined;
    this.#unacked.delete(queue);
    this.#channels.set(queue, channel);
    this.#turnOf.set(channel, turn);
    return { channel, resend };
  }

  /** The connection is over, whether or not its CONNECT was answered. */
  detach(port: C2dPort, channel: C2dChannel, options: { cleanSession: boolean }): void {
    const queue = generationKey(port.ref, port.generationId);
    const mayHoldLocks = channel.mayHoldLocks;
    const unacked = channel.close();
    this.#channels.delete(queue);
    if (!options.cleanSession && unacked.sequences.size > 0) this.#unacked.set(queue, unacked);
    const turn = this.#turnOf.get(channel);
    if (turn === undefined) return;
    if (mayHoldLocks) void this.#release(queue).finally(() => this.#leave(queue, turn));
    else this.#leave(queue, turn);
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
    const nowMs = clock.wallMs();
    const outcome = { statusCode: "Expired" as const, atMs: nowMs };
    const expired = await store.expire(queue, nowMs, outcome);
    metrics.c2dExpired += expired.length;
    this.#left(queue, expired);
  }

  /** Empties the queue; what was in it and wants negative feedback is reported as purged. */
  async purge(queue: string): Promise<number> {
    const { store, metrics, clock } = this.#options;
    const outcome = { statusCode: "Purged" as const, atMs: clock.wallMs() };
    const purged = await store.purge(queue, outcome);
    metrics.c2dPurged += purged.length;
    this.#left(queue, purged);
    return purged.length;
  }

  #left(queue: string, messages: readonly QueuedMessage[]): void {
    this.gone(queue, messages);
    const reported = messages.filter((message) => wantsFeedback(message, "negative"));
    if (reported.length === 0) return;
    this.#options.onFeedback?.(
      queue,
      reported.map(({ sequence }) => sequence),
    );
  }

  async #purgeForCleanSession(queue: string): Promise<void> {
    if ((await this.#options.store.count(queue)) > 0) await this.purge(queue);
  }

  async #release(queue: string): Promise<void> {
    try {
      await this.#options.store.release(queue, "all");
    } catch {
      this.#unreleased.add(queue);
    }
  }

  #leave(queue: string, turn: Turn): void {
    if (this.#turns.get(queue) === turn) this.#turns.delete(queue);
    turn.leave();
  }
}

function newTurn(): Turn {
  let leave = (): void => {};
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  return { left, leave };
}
