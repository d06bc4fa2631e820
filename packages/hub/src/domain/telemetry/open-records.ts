import type { TelemetryPublisher } from "./publisher.ts";

const initialCapacity = 1024;

/**
 * Records handed to the store and not yet durable, oldest first: a ring of flat arrays, no object per record. Whoever
 * appends, ordinals only grow, so one comparison tells what a commit covers.
 */
export class OpenRecords {
  #publishers: (TelemetryPublisher | undefined)[] = Array.from({ length: initialCapacity });
  #ordinals = new Float64Array(initialCapacity);
  #receipts = new Float64Array(initialCapacity);
  #bytes = new Uint32Array(initialCapacity);
  #first = 0;
  #next = 0;

  get size(): number {
    return this.#next - this.#first;
  }

  push(publisher: TelemetryPublisher, ordinal: number, receipt: number, bytes: number): void {
    if (this.size === this.#ordinals.length) this.#grow();
    const slot = this.#next++ & (this.#ordinals.length - 1);
    this.#publishers[slot] = publisher;
    this.#ordinals[slot] = ordinal;
    this.#receipts[slot] = receipt;
    this.#bytes[slot] = bytes;
  }

  /** Takes the oldest record off if its ordinal is at most `ordinal`; the fields of the last one taken are below. */
  take(ordinal: number): TelemetryPublisher | undefined {
    if (this.#first === this.#next) return undefined;
    const slot = this.#first & (this.#ordinals.length - 1);
    if (this.#ordinals[slot]! > ordinal) return undefined;
    this.#first++;
    const publisher = this.#publishers[slot];
    this.#publishers[slot] = undefined;
    this.takenOrdinal = this.#ordinals[slot]!;
    this.takenReceipt = this.#receipts[slot]!;
    this.takenBytes = this.#bytes[slot]!;
    return publisher;
  }
  takenOrdinal = 0;
  /** 0 for QoS 0 and wills. */
  takenReceipt = 0;
  takenBytes = 0;

  #grow(): void {
    const capacity = 2 * this.#ordinals.length;
    const publishers: (TelemetryPublisher | undefined)[] = Array.from({ length: capacity });
    const ordinals = new Float64Array(capacity);
    const receipts = new Float64Array(capacity);
    const bytes = new Uint32Array(capacity);
    const mask = this.#ordinals.length - 1;
    for (let i = this.#first; i < this.#next; i++) {
      const from = i & mask;
      const to = i & (capacity - 1);
      publishers[to] = this.#publishers[from];
      ordinals[to] = this.#ordinals[from]!;
      receipts[to] = this.#receipts[from]!;
      bytes[to] = this.#bytes[from]!;
    }
    this.#publishers = publishers;
    this.#ordinals = ordinals;
    this.#receipts = receipts;
    this.#bytes = bytes;
  }
}
