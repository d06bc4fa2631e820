import { c2dFilter, payloadOf } from "@hubwire/protocol";
import type { IncomingMessage, IotError } from "@hubwire/protocol";
import { closed, invalid } from "../calls/errors.ts";
import { EventStream } from "../calls/event-stream.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import type { Uplink } from "../connection/uplink.ts";
import type { Settings } from "../options/settings.ts";
import { C2dMessage, readableProperties } from "./c2d-message.ts";
import type { C2dHandler } from "./c2d-message.ts";

/**
 * Cloud-to-device messages between the connection and whoever takes them: the handler given to `connect`, or the readers
 * of `messages()`, each message to one of them. What comes while nobody reads is held unacknowledged, so that nothing is
 * lost; the bound is `receiveMax`, above which the driver stops reading from the connection.
 */
export class Inbox {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #subscriptions: Subscriptions;
  readonly #handler: C2dHandler | undefined;
  readonly #readers = new Map<EventStream<C2dMessage>, (message: C2dMessage) => void>();
  #held: C2dMessage[] = [];
  /** Receipts by message: what a reader has that may stop before completing it. */
  readonly #receipts = new WeakMap<C2dMessage, number>();
  #filter: string | undefined;
  #closed = false;

  constructor(
    settings: Settings,
    uplink: Uplink,
    subscriptions: Subscriptions,
    handler: C2dHandler | undefined,
  ) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#subscriptions = subscriptions;
    this.#handler = handler;
    if (handler !== undefined) this.#subscribe();
  }

  messages(signal: AbortSignal | undefined): AsyncIterableIterator<C2dMessage, undefined> {
    let latest: C2dMessage | undefined;
    const give = (message: C2dMessage): void => {
      latest = message;
      stream.push(message);
    };
    const stream: EventStream<C2dMessage> = new EventStream<C2dMessage>({
      what: "messages()",
      signal,
      // Nothing is pushed to a stream that has no reader waiting.
      bufferMax: 0,
      onOverflow: (_buffer, message) => this.#held.unshift(message),
      onRead: () => {
        const message = this.#held.shift();
        if (message !== undefined) give(message);
      },
      onDone: () => {
        this.#readers.delete(stream);
        // Left in the middle of a message: if it was not completed, its repetition goes to the next reader.
        if (latest !== undefined) this.#release(latest);
      },
    });
    if (this.#closed) stream.fail(closed("messages()"));
    else if (this.#handler !== undefined) {
      stream.fail(invalid("messages() has nothing to give while onMessage takes every message"));
    }
    if (!stream.isOpen) return stream;
    this.#readers.set(stream, give);
    this.#subscribe();
    return stream;
  }

  received(message: IncomingMessage, bag: string): void {
    const c2d = new C2dMessage(
      // Copied: a held message must not keep the whole chunk of the socket alive.
      new Uint8Array(payloadOf(message)),
      readableProperties(bag),
      message.dup,
      () => this.#complete(message.receipt),
    );
    this.#receipts.set(c2d, message.receipt);
    if (this.#handler !== undefined) return void this.#handle(this.#handler, c2d);
    for (const [reader, give] of this.#readers) {
      if (reader.hasReader) return give(c2d);
    }
    this.#held.push(c2d);
  }

  /** The device has another id: its messages come under another topic. */
  renamed(): void {
    if (this.#filter === undefined) return;
    this.#subscriptions.drop(this.#filter);
    this.#subscribe();
  }

  close(): void {
    this.#closed = true;
    this.#held = [];
    for (const reader of this.#readers.keys()) reader.end();
  }

  async #handle(handler: C2dHandler, message: C2dMessage): Promise<void> {
    try {
      await handler(message);
    } catch (error) {
      this.#release(message);
      return this.#settings.onError(error, "onMessage");
    }
    if (!this.#closed) await message.complete();
  }

  /** Its repetition is handed over again; until then it can still be completed. */
  #release(message: C2dMessage): void {
    this.#uplink.session.release(this.#receipts.get(message) ?? 0);
  }

  #complete(receipt: number): Promise<void> {
    if (this.#closed) return Promise.reject(closed("complete"));
    this.#uplink.session.ack(receipt);
    this.#uplink.touch();
    return Promise.resolve();
  }

  #subscribe(): void {
    this.#filter = c2dFilter(this.#settings.endpoint.identity);
    this.#subscriptions.need({
      filter: this.#filter,
      qos: 1,
      onGranted: () => undefined,
      onRefused: (error: IotError) => {
        for (const reader of this.#readers.keys()) reader.fail(error);
      },
    });
  }
}
