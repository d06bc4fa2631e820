import type { C2dQueueStore, FeedbackOutcome, QueuedMessage } from "../../domain/ports.ts";
import { checkKey, toJson } from "../keys.ts";
import type { Operations } from "./operations.ts";

type Stored = Omit<QueuedMessage, "properties"> & { json: string };
/** `messages` in queue order: a Map keeps insertion order, and sequence numbers only grow. */
type Queue = { nextSequence: number; messages: Map<number, Stored> };

/** What outlives a restart. */
export class C2dImage {
  readonly queues = new Map<string, Queue>();
  lockTokens = 0;
}

const toMessage = ({ json, ...stored }: Stored): QueuedMessage => ({
  ...stored,
  properties: JSON.parse(json) as unknown,
  body: stored.body.slice(),
});

const isWaiting = (message: Stored): boolean => message.state !== "feedbackPending";
/** A lock past its time is no lock: the message is free for the next one who asks. */
const isFree = (message: Stored, nowMs: number): boolean =>
  message.state === "enqueued" || (message.state === "locked" && message.lockedUntilMs! <= nowMs);

function unlock(message: Stored): void {
  message.state = "enqueued";
  message.lockToken = undefined;
  message.lockedUntilMs = undefined;
}

function pend(message: Stored, outcome: FeedbackOutcome | undefined): void {
  message.state = "feedbackPending";
  message.lockToken = outcome?.statusCode;
  message.lockedUntilMs = outcome?.atMs;
}

function wantsNegative({ json }: Stored): boolean {
  const { system } = JSON.parse(json) as { system?: { ack?: unknown } };
  return system?.ack === "negative" || system?.ack === "full";
}

export class MemoryC2dQueues implements C2dQueueStore {
  readonly #image: C2dImage;
  readonly #operations: Operations;

  constructor(image: C2dImage, operations: Operations) {
    this.#image = image;
    this.#operations = operations;
  }

  async enqueue(
    queue: string,
    message: { enqueuedAtMs: number; expiresAtMs: number; properties: unknown; body: Uint8Array },
    depthMax: number,
  ): Promise<{ ok: true; sequence: number } | { ok: false; reason: "full" }> {
    checkKey(queue);
    const json = toJson(message.properties);
    const body = message.body.slice();
    const { enqueuedAtMs, expiresAtMs } = message;
    return this.#run("enqueue", queue, () => {
      const found = this.#image.queues.get(queue);
      if (found && waiting(found) >= depthMax) return { ok: false, reason: "full" };
      const target: Queue = found ?? { nextSequence: 1, messages: new Map() };
      if (!found) this.#image.queues.set(queue, target);
      const sequence = target.nextSequence++;
      target.messages.set(sequence, {
        sequence,
        enqueuedAtMs,
        expiresAtMs,
        json,
        body,
        state: "enqueued",
        lockToken: undefined,
        lockedUntilMs: undefined,
        deliveryCount: 0,
      });
      return { ok: true, sequence };
    });
  }

  async lock(
    queue: string,
    options: { limit: number; nowMs: number; lockedUntilMs: number },
  ): Promise<QueuedMessage[]> {
    const { limit, nowMs, lockedUntilMs } = { ...options };
    return this.#run("lock", queue, () => {
      const locked: QueuedMessage[] = [];
      for (const message of this.#messages(queue)) {
        if (locked.length >= limit) break;
        if (!isFree(message, nowMs) || message.expiresAtMs <= nowMs) continue;
        message.state = "locked";
        message.lockToken = `lock-${++this.#image.lockTokens}`;
        message.lockedUntilMs = lockedUntilMs;
        message.deliveryCount++;
        locked.push(toMessage(message));
      }
      return locked;
    });
  }

  async extend(
    queue: string,
    sequence: number,
    lockToken: string,
    lockedUntilMs: number,
  ): Promise<{ ok: boolean }> {
    return this.#run("extend", queue, () => {
      const message = this.#locked(queue, sequence, lockToken);
      if (message) message.lockedUntilMs = lockedUntilMs;
      return { ok: message !== undefined };
    });
  }

  async complete(
    queue: string,
    sequence: number,
    lockToken: string,
    keepForFeedback: boolean | FeedbackOutcome,
  ): Promise<{ ok: boolean }> {
    return this.#run("complete", queue, () => {
      const message = this.#locked(queue, sequence, lockToken);
      if (!message) return { ok: false };
      if (keepForFeedback !== false) {
        pend(message, keepForFeedback === true ? undefined : keepForFeedback);
      } else {
        this.#image.queues.get(queue)?.messages.delete(sequence);
      }
      return { ok: true };
    });
  }

  async release(
    queue: string,
    lock: { sequence: number; lockToken: string } | "all",
  ): Promise<void> {
    return this.#run("release", queue, () => {
      if (lock === "all") {
        for (const message of this.#messages(queue))
          if (message.state === "locked") unlock(message);
      } else {
        const message = this.#locked(queue, lock.sequence, lock.lockToken);
        if (message) unlock(message);
      }
    });
  }

  async expire(queue: string, nowMs: number, outcome?: FeedbackOutcome): Promise<QueuedMessage[]> {
    return this.#run("expire", queue, () =>
      this.#remove(queue, (message) => isWaiting(message) && message.expiresAtMs <= nowMs, outcome),
    );
  }

  async count(queue: string): Promise<number> {
    return this.#run("count", queue, () => {
      const found = this.#image.queues.get(queue);
      return found ? waiting(found) : 0;
    });
  }

  async purge(queue: string, outcome?: FeedbackOutcome): Promise<QueuedMessage[]> {
    return this.#run("purge", queue, () => {
      const removed = this.#remove(queue, isWaiting, outcome);
      if (outcome === undefined) this.#image.queues.get(queue)?.messages.clear();
      return removed;
    });
  }

  async feedbackQueues(): Promise<string[]> {
    return this.#run("feedbackQueues", "", () =>
      [...this.#image.queues].flatMap(([key, { messages }]) =>
        [...messages.values()].every(isWaiting) ? [] : [key],
      ),
    );
  }

  async pendingFeedback(queue: string): Promise<QueuedMessage[]> {
    return this.#run("pendingFeedback", queue, () =>
      [...this.#messages(queue)].filter((message) => !isWaiting(message)).map(toMessage),
    );
  }

  async removeFeedback(messages: readonly { queue: string; sequence: number }[]): Promise<void> {
    return this.#run("removeFeedback", "", () => {
      for (const { queue, sequence } of messages) {
        const held = this.#image.queues.get(queue)?.messages;
        if (held?.get(sequence)?.state === "feedbackPending") held.delete(sequence);
      }
    });
  }

  async queues(): Promise<string[]> {
    return this.#run("queues", "", () =>
      [...this.#image.queues].flatMap(([key, { messages }]) => (messages.size > 0 ? [key] : [])),
    );
  }

  async releaseEverything(): Promise<void> {
    return this.#run("releaseEverything", "", () => {
      for (const { messages } of this.#image.queues.values()) {
        for (const message of messages.values()) if (message.state === "locked") unlock(message);
      }
    });
  }

  #run<T>(name: string, key: string, apply: () => T): Promise<T> {
    return this.#operations.run({ store: "c2d", name, key }, apply);
  }

  #messages(queue: string): Iterable<Stored> {
    return this.#image.queues.get(queue)?.messages.values() ?? [];
  }

  /** The message if `lockToken` is its current lock; a stale token finds nothing. */
  #locked(queue: string, sequence: number, lockToken: string): Stored | undefined {
    const message = this.#image.queues.get(queue)?.messages.get(sequence);
    return message?.state === "locked" && message.lockToken === lockToken ? message : undefined;
  }

  #remove(
    queue: string,
    which: (message: Stored) => boolean,
    outcome?: FeedbackOutcome,
  ): QueuedMessage[] {
    const removed: QueuedMessage[] = [];
    for (const message of this.#messages(queue)) {
      if (!which(message)) continue;
      removed.push(toMessage(message));
      if (outcome !== undefined && wantsNegative(message)) pend(message, outcome);
      else this.#image.queues.get(queue)?.messages.delete(message.sequence);
    }
    return removed;
  }
}

function waiting(queue: Queue): number {
  let count = 0;
  for (const message of queue.messages.values()) if (isWaiting(message)) count++;
  return count;
}
