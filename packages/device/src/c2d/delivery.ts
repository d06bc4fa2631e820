import type { ClientSession, IncomingMessage } from "@hubwire/protocol";
import type { C2dMessage } from "./c2d-message.ts";

/** Receipts kept of one message: with a lock of a minute a handler that runs for a quarter of an hour. */
const receiptsMax = 16;

/**
 * One message between its first arrival and its completion, however often the hub repeats it meanwhile: each repetition adds
 * a receipt, and completing answers them all, the latest included.
 */
export class Delivery<Message extends C2dMessage> {
  readonly message: Message;
  /** The message id and where it was delivered to; undefined without message id. */
  readonly id: string | undefined;
  readonly #topic: string;
  readonly #receipts: number[];
  /** Left to come again, or completed: a repetition is handed over like a new message. */
  isOver = false;
  isCompleted = false;

  constructor(message: Message, id: string | undefined, incoming: IncomingMessage) {
    this.message = message;
    this.id = id;
    this.#topic = incoming.topic;
    this.#receipts = [incoming.receipt];
  }

  /**
   * Whether this arrival is the same message. With a message id: same id, same topic, same content. Without one only DUP tells a
   * repetition from a second message that says the same.
   */
  isRepeatedBy({ topic, dup }: IncomingMessage, body: Uint8Array): boolean {
    if (topic !== this.#topic || (this.id === undefined && !dup)) return false;
    return Buffer.compare(this.message.body, body) === 0;
  }

  repeated(receipt: number, session: ClientSession): void {
    if (receipt === 0) return;
    // Still good, but it takes no place in the window: only the latest one does.
    for (const earlier of this.#receipts) session.release(earlier);
    this.#receipts.push(receipt);
    if (this.#receipts.length > receiptsMax) this.#receipts.shift();
  }

  /** Its repetition is handed over again; until then it can still be completed. */
  release(session: ClientSession): void {
    this.isOver = true;
    for (const receipt of this.#receipts) session.release(receipt);
  }

  acknowledge(session: ClientSession): void {
    this.isOver = true;
    this.isCompleted = true;
    for (const receipt of this.#receipts) session.ack(receipt);
  }
}
