import { IotError } from "@hubwire/protocol";

const protocolMark = 0x414d5150; // "AMQP"
const headerBytes = 8;

/**
 * Cuts a stream into protocol headers and whole frames, so that what parses them never holds half a one. A frame larger
 * than announced is refused by its first four bytes.
 */
export class FrameSplitter {
  readonly #frameBytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes the unit under way needs; 0 when its size is not known yet. */
  #needed = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Whether a frame was begun and not finished. */
  get isInside(): boolean {
    return this.#bytes > 0;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#bytes += bytes.length;
  }

  /**
   * The next whole header or frame; undefined when more bytes are needed.
   * @throws IotError `amqp.bad_frame`
   */
  next(): { unit: Buffer; isHeader: boolean } | undefined {
    if (this.#needed === 0) {
      if (this.#bytes < 4) return undefined;
      this.#needed = this.#sizeOf(this.#join().readUInt32BE(0));
    }
    if (this.#bytes < this.#needed) return undefined;
    const all = this.#join();
    const unit = all.subarray(0, this.#needed);
    this.#chunks = this.#bytes > this.#needed ? [all.subarray(this.#needed)] : [];
    this.#bytes -= this.#needed;
    this.#needed = 0;
    return { unit, isHeader: unit.readUInt32BE(0) === protocolMark };
  }

  #sizeOf(first: number): number {
    if (first === protocolMark) return headerBytes;
    if (first >= headerBytes && first <= this.#frameBytesMax) return first;
    throw new IotError(
      "amqp.bad_frame",
      `A frame announces ${first} bytes; it has ${headerBytes} to ${this.#frameBytesMax}`,
    );
  }

  #join(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#bytes)];
    return this.#chunks[0]!;
  }
}
