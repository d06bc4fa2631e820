import { c2dLockTimeoutMs, c2dTopic, IotError } from "@hubwire/protocol";
import type { ServerSnapshot } from "@hubwire/protocol";
import type { Clock, Timer } from "@hubwire/transport";
import type { HubMetrics } from "../observe.ts";
import type { C2dQueueStore, QueuedMessage } from "../ports.ts";
import { bagOf, wantsFeedback } from "./message.ts";
import type { OnFeedback } from "../feedback/index.ts";
import type { C2dPort } from "./port.ts";

/** QoS 0 messages handed over in one go: they have no window of their own. */
const qos0BatchMax = 10;

/** A message on its way: sent under a lock, not yet acknowledged. `dueMs`: when the lock runs out, monotonic time. */
type Sent = { message: QueuedMessage; lockToken: string; dueMs: number };

/** What outlives the connection of a clean=0 session: which packet id stands for which message. */
export type UnackedMessages = { nextPacketId: number; sequences: ReadonlyMap<number, number> };

export type ChannelParts = {
  queue: string;
  store: C2dQueueStore;
  clock: Clock;
  metrics: HubMetrics;
  /** Messages became feedbackPending. */
  onFeedback?: OnFeedback | undefined;
  /** Removes what is past its time in the queue; the owner tells everybody whom it concerns. */
  expire: () => Promise<void>;
};

/**
 * Delivery of one queue to one connection. Messages are locked in queue order, as many as the window takes, and sent; a
 * PUBACK completes the message under the very lock it was sent under. A lock that runs out is extended and the message
 * sent again, DUP and with its old id; if the lock is gone (expired, purged) the message is forgotten. Every trouble with
 * the store ends the connection: the device comes back and is sent again what was not completed.
 */
export class C2dChannel {
  readonly #parts: ChannelParts;
  readonly #port: C2dPort;
  readonly #sent = new Map<number, Sent>();
  readonly #packetIds = new Map<number, number>();
  #timer: Timer | undefined;
  #state: "attaching" | "open" | "closed" = "attaching";
  #isPumping = false;
  #completing = 0;
  /** Something may be waiting in the queue. */
  #mayHaveMore = true;
  /** Locked while the session was being resumed, to be sent behind what is sent again. */
  #locked: QueuedMessage[] = [];

  constructor(parts: ChannelParts, port: C2dPort) {
    this.#parts = parts;
    this.#port = port;
  }

  /** Whether the store may still have locks of this channel. */
  get mayHoldLocks(): boolean {
    return this.#isPumping || this.#sent.size + this.#locked.length + this.#completing > 0;
  }

  /**
   * Before CONNACK: locks again what the session's earlier connection left unacknowledged, and returns it for the session
   * to send again under the old ids. In flight are always the oldest messages of a queue, so locking so many from its
   * front finds exactly them, or newer ones where some have expired.
   */
  async resume(unacked: UnackedMessages): Promise<ServerSnapshot | undefined> {
    const byQueueOrder = new Map(
      [...unacked.sequences].map(([packetId, sequence]) => [sequence, packetId]),
    );
    const messages = await this.#lock(byQueueOrder.size);
    const inflight: ServerSnapshot["inflight"][number][] = [];
    for (const message of messages) {
      const packetId = byQueueOrder.get(message.sequence);
      if (packetId === undefined) {
        this.#locked.push(message);
        continue;
      }
      this.#track(packetId, message);
      inflight.push({ packetId, topic: this.#topicOf(message), payload: message.body, qos: 1 });
    }
    this.#parts.metrics.c2dDelivered += inflight.length;
    return inflight.length === 0 ? undefined : { nextPacketId: unacked.nextPacketId, inflight };
  }

  /** After CONNACK. */
  open(): void {
    if (this.#state !== "attaching") return;
    this.#state = "open";
    for (const message of this.#locked.splice(0)) this.#send(message);
    this.#arm();
    this.#pump();
  }

  /** The peer has read what kept it from being `writable`. */
  writable(): void {
    this.#pump();
  }

  /** The queue has something new, or the subscription is. */
  wake(): void {
    this.#mayHaveMore = true;
    this.#pump();
  }

  /** PUBACK. */
  published(packetId: number): void {
    const sent = this.#sent.get(packetId);
    if (sent === undefined) return;
    this.#untrack(packetId);
    void this.#complete(sent.message, sent.lockToken);
    if (this.#mayHaveMore) this.#pump();
  }

  /** These messages exist no more. */
  gone(sequences: Iterable<number>): void {
    for (const sequence of sequences) {
      const packetId = this.#packetIds.get(sequence);
      if (packetId === undefined) continue;
      this.#untrack(packetId);
      this.#port.forget(packetId);
    }
    this.wake();
  }

  /** The connection is over. Returns what a resumed session needs; releasing the locks is the owner's work. */
  close(): UnackedMessages {
    this.#state = "closed";
    this.#timer?.cancel();
    const sequences = new Map(
      [...this.#sent].map(([packetId, { message }]) => [packetId, message.sequence]),
    );
    return { nextPacketId: this.#port.nextPacketId, sequences };
  }

  #pump(): void {
    if (this.#isPumping || this.#state !== "open") return;
    this.#isPumping = true;
    void this.#fill()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#isPumping = false;
      });
  }

  async #fill(): Promise<void> {
    while (this.#state === "open" && this.#mayHaveMore) {
      const qos = this.#port.c2dQos;
      if (qos === undefined || !this.#port.writable) return;
      const room = qos === 1 ? this.#port.windowFree : qos0BatchMax;
      if (room === 0) return;
      this.#mayHaveMore = false;
      const messages = await this.#lock(room);
      if (messages.length === room) this.#mayHaveMore = true;
      for (const message of messages) this.#send(message);
      this.#port.flush();
      if (qos === 0) await this.#completeWritten(messages);
      this.#arm();
    }
  }

  #lock(limit: number): Promise<QueuedMessage[]> {
    const nowMs = this.#parts.clock.wallMs();
    const lockedUntilMs = nowMs + c2dLockTimeoutMs;
    return this.#parts.store.lock(this.#parts.queue, { limit, nowMs, lockedUntilMs });
  }

  #send(message: QueuedMessage): void {
    if (this.#state !== "open") return;
    const known = this.#packetIds.get(message.sequence);
    this.#parts.metrics.c2dDelivered++;
    if (known !== undefined) {
      // Its lock ran out before our timer looked, as when the wall clock jumped: the same delivery, under a new lock.
      this.#track(known, message);
      this.#port.resend(known);
      return;
    }
    const qos = this.#port.c2dQos ?? 0;
    const packetId = this.#port.publish(this.#topicOf(message), message.body, qos);
    if (packetId !== 0) this.#track(packetId, message);
  }

  /** Without PUBACK, written is delivered. */
  async #completeWritten(messages: readonly QueuedMessage[]): Promise<void> {
    for (const message of messages) {
      if (this.#packetIds.has(message.sequence)) continue;
      const { lockToken } = message;
      if (lockToken !== undefined) await this.#complete(message, lockToken);
    }
  }

  async #complete(message: QueuedMessage, lockToken: string): Promise<void> {
    const { store, queue, metrics } = this.#parts;
    this.#completing++;
    try {
      const keep = wantsFeedback(message, "positive") && {
        statusCode: "Success" as const,
        atMs: this.#parts.clock.wallMs(),
      };
      const { ok } = await store.complete(queue, message.sequence, lockToken, keep);
      if (!ok) return;
      metrics.c2dCompleted++;
      if (keep !== false) this.#parts.onFeedback?.(queue, [message.sequence]);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#completing--;
    }
  }

  #track(packetId: number, message: QueuedMessage): void {
    const { lockToken } = message;
    if (lockToken === undefined) {
      throw new IotError("hub.internal", "The store handed out a message without a lock");
    }
    const dueMs = this.#parts.clock.nowMs() + c2dLockTimeoutMs;
    this.#sent.set(packetId, { message, lockToken, dueMs });
    this.#packetIds.set(message.sequence, packetId);
  }

  #untrack(packetId: number): void {
    const sent = this.#sent.get(packetId);
    if (sent === undefined) return;
    this.#sent.delete(packetId);
    this.#packetIds.delete(sent.message.sequence);
  }

  #topicOf(message: QueuedMessage): string {
    return c2dTopic(this.#port.ref, bagOf(this.#port.ref, message));
  }

  /** One timer, for the lock that runs out first. */
  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#state !== "open") return;
    let firstMs = Infinity;
    for (const { dueMs } of this.#sent.values()) firstMs = Math.min(firstMs, dueMs);
    if (firstMs === Infinity) return;
    this.#timer = this.#parts.clock.at(firstMs, () => {
      void this.#renew().catch((error: unknown) => this.#fail(error));
    });
  }

  /** Locks that ran out: sent again, released when nobody is subscribed any more, or given up with their message. */
  async #renew(): Promise<void> {
    const { clock, store, queue } = this.#parts;
    const nowMs = clock.nowMs();
    const wallMs = clock.wallMs();
    const due = [...this.#sent].filter(([, sent]) => sent.dueMs <= nowMs);
    if (due.some(([, { message }]) => message.expiresAtMs <= wallMs)) await this.#parts.expire();
    for (const [packetId, sent] of due) {
      if (this.#state !== "open") return;
      if (this.#sent.get(packetId) !== sent) continue;
      const { message, lockToken } = sent;
      if (this.#port.c2dQos === undefined) {
        this.#drop(packetId);
        await store.release(queue, { sequence: message.sequence, lockToken });
        continue;
      }
      const untilMs = clock.wallMs() + c2dLockTimeoutMs;
      const { ok } = await store.extend(queue, message.sequence, lockToken, untilMs);
      if (this.#state !== "open" || this.#sent.get(packetId) !== sent) continue;
      if (ok) {
        sent.dueMs = clock.nowMs() + c2dLockTimeoutMs;
        this.#parts.metrics.c2dDelivered++;
        this.#port.resend(packetId);
      } else this.#drop(packetId);
    }
    this.#port.flush();
    this.#arm();
    this.wake();
  }

  #drop(packetId: number): void {
    this.#untrack(packetId);
    this.#port.forget(packetId);
  }

  #fail(error: unknown): void {
    if (this.#state === "closed") return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#port.close(error instanceof IotError ? error.code : "hub.internal", reason);
  }
}
