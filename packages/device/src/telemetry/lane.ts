import { Deque } from "./deque.ts";
import type { Outgoing } from "./outgoing.ts";
import { SettledRanges } from "./settled-ranges.ts";

/** With a durable outbox so much of a lane is in memory; what comes then stays on disk until its turn is near. */
const memoryMessagesMax = 4_096;
const memoryBytesMax = 4 * 1024 * 1024;

/** Settled messages in the middle of a queue are swept out when there are so many more of them than live ones. */
export const settledSlack = 1_024;

/**
 * The messages of one priority that wait, in order: the first of them in memory, those behind on disk only.
 *
 *     settled … │ with the session │ waiting (in memory) │ stored (on disk only) │ being written
 */
export class Lane {
  readonly priority: number;
  readonly waiting = new Deque<Outgoing>();
  /** Payload bytes of `waiting`. */
  waitingBytes = 0;
  /** Settled messages still in `waiting`. */
  #dead = 0;
  /** Sequence numbers [from, to) are on disk and not in memory; their bytes, estimated where nobody has read them yet. */
  storedFrom = 0;
  storedTo = 0;
  storedBytes = 0;
  /** Callers who wait for messages that are on disk only, by sequence number. */
  readonly parked = new Map<number, Outgoing>();
  /** What need not be sent (again). */
  readonly settled = new SettledRanges();
  /** Messages before it were accepted while there was no connection: they leave at the drain rate. */
  backlogBefore = 0;
  nextSequenceNumber = 0;
  /** Messages being written that will be on disk only: what comes behind them must not overtake. */
  storing = 0;
  isReading = false;
  /** After a failed read: not before this monotonic time. */
  readAgainAtMs = 0;
  /** Times it was ready and another was served. */
  passedOver = 0;

  constructor(priority: number) {
    this.priority = priority;
  }

  get storedCount(): number {
    return this.storedTo - this.storedFrom;
  }

  /** Whether a message may wait in memory: only if none before it is on disk only. */
  get hasRoomInMemory(): boolean {
    return (
      this.storedCount === 0 &&
      this.waiting.length < memoryMessagesMax &&
      this.waitingBytes < memoryBytesMax
    );
  }

  push(message: Outgoing): void {
    this.waiting.push(message);
    this.waitingBytes += message.payload.length;
  }

  /** It was sent and has to be sent again, before all that wait. */
  putBack(message: Outgoing): void {
    this.waiting.unshift(message);
    this.waitingBytes += message.payload.length;
  }

  /** The next to be sent; undefined when none is in memory. */
  head(): Outgoing | undefined {
    const { waiting } = this;
    while (waiting.length > 0) {
      const message = waiting.at(0);
      if (message.state === "queued") return message;
      waiting.shift();
      this.#dead -= 1;
    }
    return undefined;
  }

  /** The head goes to the session. */
  shift(): void {
    this.waitingBytes -= this.waiting.at(0).payload.length;
    this.waiting.shift();
  }

  /** A message among `waiting` was settled: call it while it still has its payload. */
  settledWaiting(message: Outgoing): void {
    this.waitingBytes -= message.payload.length;
    this.#dead += 1;
    if (this.#dead <= this.waiting.length / 2 + settledSlack) return;
    this.waiting.filter((other) => other.state !== "settled" && other !== message);
    this.#dead = 0;
  }

  /** A message was written and there is no room for it in memory. */
  store(message: Outgoing): void {
    if (this.storedCount === 0) {
      this.storedFrom = message.sequenceNumber;
      this.storedBytes = 0;
    }
    this.storedTo = message.sequenceNumber + 1;
    this.storedBytes += message.bytes;
  }

  /** The first stored one was read, or is given up unread. Returns the bytes it counted for. */
  unstore(): number {
    const bytes = this.storedBytes / this.storedCount;
    this.storedFrom += 1;
    this.storedBytes -= bytes;
    return bytes;
  }
}
