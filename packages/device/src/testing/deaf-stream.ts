import type { ByteStream, PeerInfo, StreamHandler } from "@hubwire/transport";

/**
 * The hub's end of a cable that may go dead: from then on nothing arrives and nothing leaves, and neither side hears of it,
 * as when a router forgets a connection. It never comes to life again, because bytes of a stream cannot be missing.
 */
export class DeafStream implements ByteStream, StreamHandler {
  readonly peer: PeerInfo;
  readonly #inner: ByteStream;
  #handler: StreamHandler | undefined;
  #isDead = false;

  constructor(inner: ByteStream) {
    this.#inner = inner;
    this.peer = inner.peer;
  }

  die(): void {
    this.#isDead = true;
    // What was written and not read arrives no more than what will be written.
    this.#inner.resume();
  }

  get bufferedBytes(): number {
    return this.#isDead ? 0 : this.#inner.bufferedBytes;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    this.#inner.start(this);
  }

  write(bytes: Uint8Array): boolean {
    return this.#isDead || this.#inner.write(bytes);
  }

  pause(): void {
    if (!this.#isDead) this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  /** The other side of a dead cable does not hear of the end either. */
  end(): void {
    if (this.#isDead) this.#handler?.onClosed(undefined);
    else this.#inner.end();
  }

  destroy(): void {
    if (this.#isDead) this.#handler?.onClosed(undefined);
    else this.#inner.destroy();
  }

  onBytes(bytes: Uint8Array): void {
    if (!this.#isDead) this.#handler?.onBytes(bytes);
  }

  onDrain(): void {
    if (!this.#isDead) this.#handler?.onDrain();
  }

  onClosed(error: Error | undefined): void {
    if (!this.#isDead) this.#handler?.onClosed(error);
  }
}
