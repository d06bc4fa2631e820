import type { ByteStream, PeerInfo, StreamHandler } from "@hubwire/transport";

/** A stream in a test's hand: it records what is done to it, and does what the test says. */
export class RecordingStream implements ByteStream {
  readonly peer: PeerInfo = {
    address: "test",
    certificate: undefined,
    tlsVersion: undefined,
    serverName: undefined,
  };
  /** Everything that was called, in order; writes as their text. */
  readonly calls: string[] = [];
  bufferedBytes = 0;
  /** `write` returns false above so many buffered bytes. */
  highMarkBytes = Infinity;
  /** Whether written bytes stay buffered, as with a peer that does not read. */
  keepsBytes = false;
  handler: StreamHandler | undefined;

  start(handler: StreamHandler): void {
    this.handler = handler;
    this.calls.push("start");
  }
  write(bytes: Uint8Array): boolean {
    this.calls.push(`write ${bytes.length > 40 ? bytes.length : Buffer.from(bytes).toString()}`);
    if (this.keepsBytes) this.bufferedBytes += bytes.length;
    return this.bufferedBytes <= this.highMarkBytes;
  }
  pause(): void {
    this.calls.push("pause");
  }
  resume(): void {
    this.calls.push("resume");
  }
  end(): void {
    this.calls.push("end");
  }
  destroy(): void {
    this.calls.push("destroy");
  }

  /** The calls since the last look. */
  take(): string[] {
    return this.calls.splice(0);
  }
  arrive(text: string): void {
    this.handler?.onBytes(Buffer.from(text));
  }
  drain(): void {
    this.bufferedBytes = 0;
    this.handler?.onDrain();
  }
}
