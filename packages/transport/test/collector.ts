import type { ByteStream, StreamHandler } from "@hubwire/transport";

/** Reads a stream to its end, and lets a test wait for what it is waiting for. */
export class Collector implements StreamHandler {
  readonly stream: ByteStream;
  readonly #chunks: Uint8Array[] = [];
  readonly #waiting = new Set<{ isDone: () => boolean; resolve: () => void }>();
  receivedBytes = 0;
  drains = 0;
  /** Set when `onClosed` was called; a list, so that a second call shows. */
  readonly closed: (Error | undefined)[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.start(this);
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  onBytes(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.receivedBytes += bytes.length;
    this.#check();
  }
  onDrain(): void {
    this.drains++;
    this.#check();
  }
  onClosed(error: Error | undefined): void {
    this.closed.push(error);
    this.#check();
  }

  until(isDone: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add({ isDone, resolve });
      this.#check();
    });
  }

  /** Resolves with what the stream ended with. */
  async end(): Promise<Error | undefined> {
    await this.until(() => this.closed.length > 0);
    return this.closed[0];
  }

  #check(): void {
    for (const waiter of this.#waiting) {
      if (!waiter.isDone()) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }
}
