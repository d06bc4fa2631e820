import { assert } from "./assert.ts";

type OpenMessage = {
  packetId: number;
  receipt: number;
  fingerprint: number;
  /** The connection it last arrived on: only there may its PUBACK go out. */
  connection: number;
  handled: boolean;
  /** Its handler gave up: a repetition is handed over like a new message. */
  released: boolean;
};

/**
 * The client's incoming QoS 1 messages between arrival and PUBACK. They outlive a connection: the server sends them
 * again with DUP, and then a message still with its handler is not handed over twice, and one whose handler finished in
 * between is answered at once. Until it comes again its PUBACK is held back, because an answer that crosses the
 * repetition would turn the repetition into a new message.
 */
export class OpenMessages {
  readonly #byPacketId = new Map<number, OpenMessage>();
  /** Those not handled yet. */
  readonly #byReceipt = new Map<number, OpenMessage>();
  #releasedCount = 0;
  #nextReceipt = 1;
  #connection = 0;

  /** Those with a handler now: released ones wait for nobody here. */
  get unhandled(): number {
    return this.#byReceipt.size - this.#releasedCount;
  }

  /** @returns the receipt to hand over; 0 for a repetition; -1 for a repetition to acknowledge now */
  arrive(packetId: number, dup: boolean, fingerprint: number): number {
    const known = this.#byPacketId.get(packetId);
    if (known !== undefined) {
      const isRepetition = dup && known.fingerprint === fingerprint;
      if (isRepetition && (known.handled || !known.released)) {
        known.connection = this.#connection;
        if (!known.handled) return 0;
        this.#byPacketId.delete(packetId);
        return -1;
      }
      // Another message under this identifier, or another try at this one: the old receipt is stale.
      this.#close(known);
    }
    const receipt = this.#nextReceipt++;
    const message = {
      packetId,
      receipt,
      fingerprint,
      connection: this.#connection,
      handled: false,
      released: false,
    };
    this.#byPacketId.set(packetId, message);
    this.#byReceipt.set(receipt, message);
    return receipt;
  }

  /** @returns the packet identifier to acknowledge now, or 0: stale, repeated, or to be answered when it comes again */
  handled(receipt: number): number {
    assert(receipt < this.#nextReceipt, `receipt ${receipt} was never given`);
    const message = this.#byReceipt.get(receipt);
    if (message === undefined) return 0;
    this.#close(message);
    if (message.connection !== this.#connection) {
      message.handled = true;
      return 0;
    }
    this.#byPacketId.delete(message.packetId);
    return message.packetId;
  }

  /** The handler failed: the receipt stays good, and if the message comes again it is handed over again. */
  released(receipt: number): void {
    const message = this.#byReceipt.get(receipt);
    if (message === undefined || message.released) return;
    message.released = true;
    this.#releasedCount++;
  }

  #close(message: OpenMessage): void {
    if (this.#byReceipt.delete(message.receipt) && message.released) this.#releasedCount--;
  }

  connectionEnded(): void {
    this.#connection++;
  }

  /** The server has no session: it will not send them again, every receipt is stale. */
  sessionEnded(): void {
    this.#byPacketId.clear();
    this.#byReceipt.clear();
    this.#releasedCount = 0;
  }
}
