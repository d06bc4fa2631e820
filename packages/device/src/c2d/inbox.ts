import { IotError, payloadOf } from "@hubwire/protocol";
import type { IncomingMessage, MessageProperties } from "@hubwire/protocol";
import { closed, invalid } from "../calls/errors.ts";
import { EventStream } from "../calls/event-stream.ts";
import { LazySignal } from "../calls/lazy-signal.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import type { Uplink } from "../connection/uplink.ts";
import { channels } from "../observe/channels.ts";
import type { Settings } from "../options/settings.ts";
import { readableProperties } from "./c2d-message.ts";
import type { C2dHandler, C2dMessage, DeliveryHint } from "./c2d-message.ts";
import { Delivery } from "./delivery.ts";
import { DeliveryMemory } from "./delivery-memory.ts";
import { Handlers } from "./handlers.ts";
import type { MessageFilter } from "./handlers.ts";

/** Makes the message that readers see. */
export type MakeMessage<Message> = (
  body: Uint8Array,
  properties: MessageProperties,
  hint: DeliveryHint,
  complete: () => Promise<void>,
) => Message;

type Run = { readonly stop: LazySignal; readonly deadlineMs: number };

/** Who takes what, for messages in the user's words. */
export type InboxNames = { loop: string; handler: string };

/**
 * Incoming messages between the connection and whoever takes them: handlers, or the readers of a loop, each message to one
 * of them. What comes while nobody takes it is held unacknowledged, so that nothing is lost; the bound is `receiveMax`, above
 * which the driver stops reading from the connection.
 *
 * A message is acknowledged when its handler has finished, never before; one whose handler fails is left alone, because MQTT
 * has no negative answer. While a message is held or handled its repetitions are not handed over: they add to what completing
 * it answers.
 */
export class Inbox<Message extends C2dMessage> implements Machine {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #subscriptions: Subscriptions;
  readonly #agenda: Agenda;
  readonly #names: InboxNames;
  readonly #filter: () => string;
  readonly #handlers: Handlers<Message>;
  readonly #readers = new Map<EventStream<Message>, (delivery: Delivery<Message>) => void>();
  readonly #memory = new DeliveryMemory();
  /** Arrived and not over: what a repetition is compared with. */
  readonly #open = new Set<Delivery<Message>>();
  readonly #runs = new Map<Delivery<Message>, Run>();
  #held: Delivery<Message>[] = [];
  /** What was subscribed. */
  #subscribed: string | undefined;
  #closed = false;

  constructor(
    settings: Settings,
    uplink: Uplink,
    subscriptions: Subscriptions,
    agenda: Agenda,
    names: InboxNames,
    filter: () => string,
  ) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#subscriptions = subscriptions;
    this.#agenda = agenda;
    this.#names = names;
    this.#filter = filter;
    this.#handlers = new Handlers<Message>(names.handler, settings.onError);
    agenda.add(this);
  }

  /** Handlers at work. */
  get running(): number {
    return this.#runs.size;
  }

  /** @returns takes the handler away again; what it works on it finishes */
  on(handler: C2dHandler<Message>, filter: MessageFilter<Message> | undefined): () => void {
    const { loop, handler: what } = this.#names;
    if (this.#closed) throw closed(what);
    if (filter === undefined && this.#readers.size > 0) {
      throw invalid(`${what} without filter would take everything from ${loop}`);
    }
    const remove = this.#handlers.add(handler, filter);
    this.#subscribe();
    for (const delivery of this.#held.splice(0)) this.#dispatch(delivery);
    return remove;
  }

  messages(signal: AbortSignal | undefined): AsyncIterableIterator<Message, undefined> {
    const { loop, handler } = this.#names;
    let latest: Delivery<Message> | undefined;
    const give = (delivery: Delivery<Message>): void => {
      latest = delivery;
      stream.push(delivery.message);
    };
    const stream: EventStream<Message> = new EventStream<Message>({
      what: loop,
      signal,
      // Nothing is pushed to a stream that has no reader waiting.
      bufferMax: 0,
      onOverflow: () => undefined,
      onRead: () => {
        const delivery = this.#held.shift();
        if (delivery !== undefined) give(delivery);
      },
      onDone: () => {
        this.#readers.delete(stream);
        // Left in the middle of a message: if it was not completed, its repetition goes to the next reader.
        if (latest !== undefined && !latest.isOver) this.#release(latest);
      },
    });
    if (this.#closed) stream.fail(closed(loop));
    else if (this.#handlers.takesAll) {
      stream.fail(invalid(`${loop} has nothing to give while ${handler} takes every message`));
    }
    if (!stream.isOpen) return stream;
    this.#readers.set(stream, give);
    this.#subscribe();
    return stream;
  }

  received(incoming: IncomingMessage, bag: string, make: MakeMessage<Message>): void {
    const { stats, gate, clock } = this.#settings;
    stats.c2dReceived += 1;
    const payload = payloadOf(incoming);
    // Counted in the daily budget, never held back.
    gate.admit("c2dComplete", payload.length, clock.nowMs());
    const repeated = this.#repeated(incoming, payload);
    const properties = readableProperties(bag);
    // A message that is routed to two inputs has one id and two deliveries.
    const { messageId } = properties.system;
    const where = incoming.topic.slice(0, incoming.topic.length - bag.length);
    const id = messageId === undefined ? undefined : where + messageId;
    const hint = this.#memory.delivered(id, incoming.dup);
    if (hint.redelivered) stats.c2dDuplicates += 1;
    if (repeated !== undefined) {
      repeated.repeated(incoming.receipt, this.#uplink.session);
      return this.#tell("received", repeated.message, true);
    }
    const complete = (): Promise<void> => this.#complete(delivery);
    // Copied: a held message must not keep the whole chunk of the socket alive.
    const message = make(new Uint8Array(payload), properties, hint, complete);
    const delivery: Delivery<Message> = new Delivery(message, id, incoming);
    this.#remember(delivery);
    this.#tell("received", message, hint.redelivered);
    this.#dispatch(delivery);
  }

  get deadlineMs(): number {
    let nextMs = Infinity;
    if (this.#settings.messageTimeoutMs === undefined) return nextMs;
    for (const { deadlineMs } of this.#runs.values()) nextMs = Math.min(nextMs, deadlineMs);
    return nextMs;
  }

  tick(nowMs: number): void {
    for (const [delivery, { stop, deadlineMs }] of this.#runs) {
      if (deadlineMs > nowMs) continue;
      const text = `A handler of messages did not finish within ${this.#settings.messageTimeoutMs} ms`;
      const error = new IotError("device.message_handler_timeout", text);
      this.#runs.delete(delivery);
      this.#failed(delivery);
      stop.abort(error);
      this.#uplink.requestDone();
      this.#settings.onError(error, this.#names.handler);
    }
  }

  /** The device has another id: its messages come under another topic. */
  renamed(): void {
    if (this.#subscribed === undefined) return;
    this.#subscriptions.drop(this.#subscribed);
    this.#subscribe();
  }

  close(): void {
    this.#closed = true;
    this.#held = [];
    for (const { stop } of this.#runs.values()) stop.abort(closed(this.#names.handler));
    this.#runs.clear();
    for (const reader of this.#readers.keys()) reader.end();
  }

  #repeated(incoming: IncomingMessage, body: Uint8Array): Delivery<Message> | undefined {
    for (const delivery of this.#open) {
      if (delivery.isRepeatedBy(incoming, body)) return delivery;
    }
    return undefined;
  }

  /** Bounded, because a hub that loses its sessions makes room for new messages without the old ones being completed. */
  #remember(delivery: Delivery<Message>): void {
    this.#open.add(delivery);
    if (this.#open.size <= 2 * this.#settings.receiveMax) return;
    for (const oldest of this.#open) {
      this.#open.delete(oldest);
      return;
    }
  }

  #dispatch(delivery: Delivery<Message>): void {
    const handler = this.#handlers.for(delivery.message);
    if (handler !== undefined) return void this.#handle(handler, delivery);
    for (const [reader, give] of this.#readers) {
      if (reader.hasReader) return give(delivery);
    }
    this.#held.push(delivery);
  }

  async #handle(handler: C2dHandler<Message>, delivery: Delivery<Message>): Promise<void> {
    const stop = new LazySignal();
    const { clock, messageTimeoutMs = Infinity, onError } = this.#settings;
    const deadlineMs = clock.nowMs() + messageTimeoutMs;
    this.#runs.set(delivery, { stop, deadlineMs });
    if (deadlineMs !== Infinity) this.#agenda.expect(deadlineMs);
    const context = {
      get signal() {
        return stop.signal;
      },
    };
    try {
      await handler(delivery.message, context);
    } catch (error) {
      // After its time was over it has failed already.
      if (this.#runs.delete(delivery)) this.#failed(delivery);
      this.#uplink.requestDone();
      return onError(error, this.#names.handler);
    }
    this.#runs.delete(delivery);
    if (this.#closed) return;
    // Also after its time: the work is done, and as long as the message has not come again this completes it.
    await this.#complete(delivery);
    this.#uplink.requestDone();
  }

  #failed(delivery: Delivery<Message>): void {
    if (delivery.isCompleted) return;
    this.#release(delivery);
    this.#tell("failed", delivery.message, delivery.message.redelivered);
  }

  #release(delivery: Delivery<Message>): void {
    this.#open.delete(delivery);
    delivery.release(this.#uplink.session);
  }

  #complete(delivery: Delivery<Message>): Promise<void> {
    if (this.#closed) return Promise.reject(closed("complete"));
    if (delivery.isCompleted) return Promise.resolve();
    this.#open.delete(delivery);
    delivery.acknowledge(this.#uplink.session);
    this.#uplink.touch();
    this.#settings.stats.c2dCompleted += 1;
    this.#memory.completed(delivery.id);
    this.#tell("completed", delivery.message, delivery.message.redelivered);
    return Promise.resolve();
  }

  #tell(what: "received" | "completed" | "failed", message: Message, duplicate: boolean): void {
    if (!channels.c2d.hasSubscribers) return;
    const { messageId, body } = message;
    const { device } = this.#settings.stats;
    channels.c2d.publish({ device, what, messageId, bytes: body.length, duplicate });
  }

  #subscribe(): void {
    this.#subscribed = this.#filter();
    this.#subscriptions.need({
      filter: this.#subscribed,
      qos: 1,
      onGranted: () => undefined,
      onRefused: (error: IotError) => {
        for (const reader of this.#readers.keys()) reader.fail(error);
      },
    });
  }
}
