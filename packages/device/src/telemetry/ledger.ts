import { IotError } from "@hubwire/protocol";
import type { Uplink } from "../connection/uplink.ts";
import type { DropReason } from "../observe/stats.ts";
import { tellDropped } from "../observe/telemetry-news.ts";
import type { Settings } from "../options/settings.ts";
import type { DroppedMessage } from "../outbox/outbox-options.ts";
import type { MessageStore } from "../outbox/store.ts";
import { Flight } from "./flight.ts";
import { Lane } from "./lane.ts";
import type { Deque } from "./deque.ts";
import type { Outgoing, State } from "./outgoing.ts";
import { priorities } from "./priority.ts";

const none = new Uint8Array(0);

/** All messages there are, who waits for them, and how each comes to its end: exactly once. */
export class Ledger {
  readonly store: MessageStore | undefined;
  /** Least urgent first. */
  readonly lanes: readonly Lane[];
  readonly flight = new Flight();
  /** QoS 0: given to the socket, or about to be, in this turn. */
  handed: Outgoing[] = [];
  isClosing = false;
  /** Callers not told yet. */
  callers = 0;
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  /** Accepted and not settled, and what they count: the bounds are on these. */
  #live = 0;
  #liveBytes = 0;
  #roomWaiters: (() => void)[] = [];

  constructor(settings: Settings, uplink: Uplink, store: MessageStore | undefined) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.store = store;
    this.lanes = store?.lanes ?? priorities.map((_, index) => new Lane(index));
    if (store !== undefined) this.count(store.storedCount, store.storedBytes);
  }

  get live(): number {
    return this.#live;
  }

  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** What a `close` waits for: with a durable outbox only what callers wait for and what is on its way. */
  get pending(): number {
    return this.store === undefined ? this.#live : this.callers + this.flight.count;
  }

  laneOf(message: Outgoing): Lane {
    return this.lanes[message.priority] as Lane;
  }

  count(messages: number, bytes: number): void {
    this.#live += messages;
    this.#liveBytes += bytes;
    const { stats } = this.#settings;
    stats.queueDepth = this.#live;
    // Of what nobody has read yet it is an estimate.
    stats.queueBytes = Math.max(0, Math.round(this.#liveBytes));
    if (messages < 0 && this.pending === 0) this.#uplink.requestDone();
  }

  /** Ends what its caller waits for. Nothing the second time. */
  tell(message: Outgoing, error: Error | undefined): void {
    const { waits } = message;
    if (waits === "nothing") return;
    message.waits = "nothing";
    message.deadlineMs = Infinity;
    this.callers -= 1;
    if (message.onAbort !== undefined) {
      message.signal?.removeEventListener("abort", message.onAbort);
      message.onAbort = undefined;
    }
    if (error !== undefined) message.reject(error);
    else if (waits === "accepted") message.resolve({ messageId: message.messageId });
    else message.resolve(undefined);
    if (this.pending === 0) this.#uplink.requestDone();
  }

  /** The message itself is done with; its caller is told apart from that. */
  settle(message: Outgoing): void {
    const lane = this.laneOf(message);
    if (message.state === "sent") this.flight.settled(message);
    else if (message.state === "queued") lane.settledWaiting(message);
    message.state = "settled";
    message.payload = none;
    // Until it is committed its number may still become another's.
    if (message.isCommitted) this.store?.settled(lane, message.sequenceNumber);
    this.count(-1, -message.bytes);
    this.letIn();
  }

  /** A message is on disk. */
  committed(message: Outgoing): void {
    const lane = this.laneOf(message);
    message.isCommitted = true;
    if (message.waits === "accepted") this.tell(message, undefined);
    if (message.state === "settled") this.store?.settled(lane, message.sequenceNumber);
    if (message.state !== "storing") return;
    lane.storing -= 1;
    if (lane.hasRoomInMemory) {
      message.state = "queued";
      return lane.push(message);
    }
    lane.store(message);
    message.payload = none;
    message.state = "stored";
    if (message.waits !== "nothing") lane.parked.set(message.sequenceNumber, message);
  }

  /** A message will not be on disk. Unless the hub has it already, its caller is told so and it is not sent (again). */
  refused(message: Outgoing, error: IotError): void {
    const { state } = message;
    if (state === "settled") return;
    const lane = this.laneOf(message);
    if (state === "sent") {
      this.#uplink.session.cancel(message.packetId);
      this.flight.settled(message);
    } else if (state === "queued") lane.settledWaiting(message);
    else if (state === "storing") lane.storing -= 1;
    message.state = "settled";
    message.payload = none;
    this.count(-1, -message.bytes);
    this.tell(message, error);
  }

  /** It is not sent any more. @param reason what it counts as; undefined when the connection is to blame */
  drop(message: Outgoing, error: IotError, reason: DropReason | undefined): void {
    if (message.state === "settled") return;
    // Its caller is told that it failed: it must not be sent again on the next connection.
    if (message.state === "sent") this.#uplink.session.cancel(message.packetId);
    if (reason !== undefined) this.countDrop(reason, message.messageId);
    this.settle(message);
    this.tell(message, error);
  }

  expired(message: Outgoing): void {
    const text = `The message waited longer than its ttlMs, ${message.ttlMs}`;
    this.drop(message, new IotError("device.dropped_expired", text), "expired");
    this.report("expired", message.messageId, message.priority);
  }

  /** A stored message is given up unread; without a reason it was settled before the process began. */
  skipped(bytes: number, reason: DropReason | undefined): void {
    if (reason === undefined) return this.count(0, -bytes);
    this.countDrop(reason, undefined);
    this.count(-1, -bytes);
  }

  countDrop(reason: DropReason, messageId: string | undefined): void {
    const { stats } = this.#settings;
    stats.dropped[reason] += 1;
    tellDropped(stats, reason, messageId);
  }

  /** Whoever was told that a message is accepted hears that it is given up. */
  report(reason: DroppedMessage["reason"], messageId: string | undefined, priority: number): void {
    const { outbox, onError } = this.#settings;
    try {
      outbox.onDropped?.({ reason, messageId, priority: priorities[priority] ?? "normal" });
    } catch (error) {
      onError(error, "outbox.onDropped");
    }
  }

  /** Resolves when the outbox may have room again, or is closed. */
  whenRoom(): Promise<void> {
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  letIn(): void {
    if (this.#roomWaiters.length === 0) return;
    const { messagesMax, bytesMax } = this.#settings.outbox;
    const isFull = this.#live >= messagesMax || this.#liveBytes >= bytesMax;
    if (isFull && !this.isClosing) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Everything in memory that is not settled. `visit` may settle what it is given. */
  each(visit: (message: Outgoing) => void): void {
    const found: Outgoing[] = [];
    const collect = (queue: Deque<Outgoing>, only?: State): void => {
      for (let i = 0; i < queue.length; i++) {
        const message = queue.at(i);
        if (only === undefined ? message.state !== "settled" : message.state === only) {
          found.push(message);
        }
      }
    };
    collect(this.flight.messages);
    for (const message of this.handed) found.push(message);
    for (const lane of this.lanes) {
      collect(lane.waiting);
      for (const message of lane.parked.values()) found.push(message);
    }
    if (this.store !== undefined) collect(this.store.uncommitted, "storing");
    for (const message of found) if (message.state !== "settled") visit(message);
  }
}
