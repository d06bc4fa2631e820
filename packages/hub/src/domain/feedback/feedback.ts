import type { Clock, Timer } from "@hubwire/transport";
import type { Logger } from "../observe.ts";
import type { C2dQueueStore } from "../ports.ts";
import type { Feedback, FeedbackBatch, Identities } from "../services.ts";
import { readFeedback, splitQueueKey } from "./record.ts";
import type { PendingFeedback } from "./record.ts";

/** A batch is made of so many records at most, or of what there is so long after the one before (Azure IoT Hub docs, "Message feedback"). */
const batchRecordsMax = 64;
const batchIntervalMs = 15_000;
/** Defaults of a new IoT Hub: how long feedback is kept, a batch is locked, and how often it is handed out. */
const ttlMs = 3_600_000;
const lockMs = 60_000;
const deliveriesMax = 10;
const sweepIntervalMs = 60_000;

/** Messages of a queue became feedbackPending. */
export type OnFeedback = (queue: string, sequences: readonly number[]) => void;

/**
 * Delivery feedback. What became of a message stays with the message, in its queue, until the batch that reports it was
 * accepted: a batch is a view with a lock, and a hub that is killed has lost locks and nothing else.
 */
export interface FeedbackQueue extends Feedback {
  /** A batch can be taken now. */
  onReady(listener: () => void): () => void;
  readonly onFeedback: OnFeedback;
  /** Finds what earlier lives of the hub left. */
  start(): Promise<void>;
  stop(): void;
}

export type FeedbackOptions = {
  store: Pick<C2dQueueStore, "feedbackQueues" | "pendingFeedback" | "removeFeedback">;
  identities: Pick<Identities, "find">;
  clock: Clock;
  logger: Logger;
  newLockToken: () => string;
};

type Locked = { records: PendingFeedback[]; untilMs: number };

export function createFeedback(options: FeedbackOptions): FeedbackQueue {
  const { store, identities, clock, logger, newLockToken } = options;
  /** By queue: messages that are in no batch. */
  const waiting = new Map<string, Set<number>>();
  const locked = new Map<string, Locked>();
  /** How often a message's feedback was handed out; forgotten with the hub, as locks are. */
  const deliveries = new Map<string, number>();
  const listeners = new Set<() => void>();
  let waitingCount = 0;
  let batches = 0;
  let nextBatchAtMs = -Infinity;
  let batchTimer: Timer | undefined;
  let sweepTimer: Timer | undefined;
  let isStopped = false;
  let last: Promise<unknown> = Promise.resolve();

  const keyOf = (queue: string, sequence: number): string => `${queue} ${sequence}`;
  const add = (queue: string, sequence: number): void => {
    const held = waiting.get(queue) ?? new Set();
    waiting.set(queue, held);
    if (held.has(sequence)) return;
    held.add(sequence);
    waitingCount++;
  };
  const drop = (queue: string, sequence: number): void => {
    const held = waiting.get(queue);
    if (held?.delete(sequence) === true) waitingCount--;
    if (held?.size === 0) waiting.delete(queue);
  };

  const isTime = (): boolean => waitingCount >= batchRecordsMax || clock.nowMs() >= nextBatchAtMs;
  const tell = (): void => {
    if (isStopped || waitingCount === 0) return;
    if (isTime()) {
      for (const listener of listeners) listener();
      return;
    }
    batchTimer ??= clock.at(nextBatchAtMs, () => {
      batchTimer = undefined;
      tell();
    });
  };

  const onFeedback: OnFeedback = (queue, sequences) => {
    for (const sequence of sequences) add(queue, sequence);
    tell();
  };

  const isLiving = async (queue: string): Promise<boolean> => {
    const { ref, generationId } = splitQueueKey(queue);
    return (await identities.find(ref))?.generationId === generationId;
  };

  /** Moves records out of `waiting`, oldest queues first, and leaves out what nobody is to hear any more. */
  const collect = async (): Promise<PendingFeedback[]> => {
    const taken: PendingFeedback[] = [];
    const over: PendingFeedback[] = [];
    const nowMs = clock.wallMs();
    for (const [queue, sequences] of waiting) {
      if (taken.length >= batchRecordsMax) break;
      const living = await isLiving(queue);
      const rows = await store.pendingFeedback(queue);
      const found = new Set<number>();
      for (const row of rows) {
        found.add(row.sequence);
        if (!sequences.has(row.sequence) || taken.length >= batchRecordsMax) continue;
        const record = readFeedback(queue, row);
        const often = deliveries.get(keyOf(queue, row.sequence)) ?? 0;
        drop(queue, row.sequence);
        const isOver = !living || record.enqueuedAtMs + ttlMs <= nowMs || often >= deliveriesMax;
        (isOver ? over : taken).push(record);
      }
      // Purged with their device.
      for (const sequence of sequences) if (!found.has(sequence)) drop(queue, sequence);
    }
    if (over.length > 0) await store.removeFeedback(over);
    return taken.toSorted((a, b) => a.enqueuedAtMs - b.enqueuedAtMs);
  };

  const take = async (): Promise<FeedbackBatch | undefined> => {
    releaseOverdue();
    if (isStopped || waitingCount === 0 || !isTime()) {
      tell();
      return undefined;
    }
    const records = await collect();
    if (records.length === 0) return undefined;
    nextBatchAtMs = clock.nowMs() + batchIntervalMs;
    const lockToken = newLockToken();
    locked.set(lockToken, { records, untilMs: clock.nowMs() + lockMs });
    let deliveryCount = 0;
    for (const { queue, sequence } of records) {
      const key = keyOf(queue, sequence);
      const often = (deliveries.get(key) ?? 0) + 1;
      deliveries.set(key, often);
      deliveryCount = Math.max(deliveryCount, often);
    }
    return { lockToken, sequence: ++batches, enqueuedAtMs: clock.wallMs(), deliveryCount, records };
  };

  const unlock = (lockToken: string): Locked | undefined => {
    releaseOverdue();
    const found = locked.get(lockToken);
    locked.delete(lockToken);
    return found;
  };
  const giveBack = ({ records }: Locked): void => {
    for (const { queue, sequence } of records) add(queue, sequence);
    // It has been a batch already: nobody has to wait for it to become one.
    nextBatchAtMs = -Infinity;
    clock.endOfTurn(tell);
  };
  const releaseOverdue = (): void => {
    const nowMs = clock.nowMs();
    for (const [lockToken, held] of locked) {
      if (held.untilMs > nowMs) continue;
      locked.delete(lockToken);
      giveBack(held);
    }
  };
  const sweep = (): void => {
    sweepTimer = clock.at(clock.nowMs() + sweepIntervalMs, () => {
      releaseOverdue();
      sweep();
    });
  };

  return {
    receive() {
      const taken = last.then(take);
      last = taken.catch(() => {});
      return taken;
    },
    async complete(lockToken) {
      const held = unlock(lockToken);
      if (held === undefined) return { ok: false };
      try {
        await store.removeFeedback(held.records);
      } catch (error) {
        giveBack(held);
        throw error;
      }
      for (const { queue, sequence } of held.records) deliveries.delete(keyOf(queue, sequence));
      return { ok: true };
    },
    async abandon(lockToken) {
      const held = unlock(lockToken);
      if (held !== undefined) giveBack(held);
      return { ok: held !== undefined };
    },
    onReady(listener) {
      listeners.add(listener);
      if (waitingCount > 0) clock.endOfTurn(tell);
      return () => listeners.delete(listener);
    },
    onFeedback,
    async start() {
      for (const queue of await store.feedbackQueues()) {
        for (const { sequence } of await store.pendingFeedback(queue)) add(queue, sequence);
      }
      if (waitingCount > 0) {
        logger.info(
          { event: "feedback_found", waiting: waitingCount },
          "Feedback waits for readers",
        );
      }
      sweep();
    },
    stop() {
      isStopped = true;
      batchTimer?.cancel();
      sweepTimer?.cancel();
    },
  };
}
