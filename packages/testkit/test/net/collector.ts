import type { ByteStream, StreamHandler } from "@hubwire/transport";

/** Reads a stream and keeps what it saw. */
export class Collector implements StreamHandler {
  readonly stream: ByteStream;
  readonly chunks: Uint8Array[] = [];
  drains = 0;
  readonly closed: (Error | undefined)[] = [];

  constructor(stream: ByteStream) {
    this.stream = stream;
    stream.start(this);
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
  onBytes(bytes: Uint8Array): void {
    this.chunks.push(bytes);
  }
  onDrain(): void {
    this.drains++;
  }
  onClosed(error: Error | undefined): void {
    this.closed.push(error);
  }
}
