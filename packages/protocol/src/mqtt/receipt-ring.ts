import { assert } from "./assert.ts";
import { encodePacketId } from "./codec/encode.ts";
import type { OutputBuffer } from "./codec/output-buffer.ts";
import { PacketType } from "./codec/packet-type.ts";

const NO_IDS = new Uint16Array(0);
const NO_FLAGS = new Uint8Array(0);

/**
 * The server's open receipts. Acknowledged in any order, answered strictly in order of receipt [MQTT-4.6.0-2]: an
 * acknowledged message waits here until all before it are acknowledged. A ring of packet identifiers, no object per message.
 */
export class ReceiptRing {
  #packetIds = NO_IDS;
  /** 1 where the message is acknowledged and its PUBACK waits for an earlier one. */
  #acked = NO_FLAGS;
  /** The oldest unanswered receipt and the next to give; receipt r lives in slot r modulo the capacity. */
  #first = 1;
  #next = 1;

  /** Receipts not yet answered with PUBACK. */
  get size(): number {
    return this.#next - this.#first;
  }

  open(packetId: number): number {
    if (this.size === this.#packetIds.length) this.#grow();
    const receipt = this.#next++;
    const slot = receipt & (this.#packetIds.length - 1);
    this.#packetIds[slot] = packetId;
    this.#acked[slot] = 0;
    return receipt;
  }

  /** Writes every PUBACK that may go now. Repeating an acknowledgement is harmless. */
  ack(receipt: number, out: OutputBuffer): void {
    assert(receipt < this.#next, `receipt ${receipt} was never given`);
    if (receipt < this.#first) return;
    const mask = this.#packetIds.length - 1;
    this.#acked[receipt & mask] = 1;
    if (receipt !== this.#first) return;
    let first = receipt;
    do {
      encodePacketId(out, PacketType.puback, this.#packetIds[first & mask]!);
      first++;
    } while (first < this.#next && this.#acked[first & mask] === 1);
    this.#first = first;
  }

  #grow(): void {
    const capacity = Math.max(16, 2 * this.#packetIds.length);
    const packetIds = new Uint16Array(capacity);
    const acked = new Uint8Array(capacity);
    const mask = this.#packetIds.length - 1;
    for (let receipt = this.#first; receipt < this.#next; receipt++) {
      packetIds[receipt & (capacity - 1)] = this.#packetIds[receipt & mask]!;
      acked[receipt & (capacity - 1)] = this.#acked[receipt & mask]!;
    }
    this.#packetIds = packetIds;
    this.#acked = acked;
  }
}
