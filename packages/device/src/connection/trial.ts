import { ClientSession } from "@hubwire/protocol";
import type { ClientEffect, ConnectRequest } from "@hubwire/protocol";
import type { ByteStream, CloseCause, StreamHandler } from "@hubwire/transport";

/** How a trial ended, when it did not end with CONNACK 0. */
export type TrialFailure = { returnCode: number } | { cause: CloseCause };

/** Before CONNACK a hub has nothing to send; a whole packet of its own may follow in the same bytes. */
const packetBytesMax = 512 * 1024;

/**
 * CONNECT with a credential nobody has seen at work, on a stream of its own, while the old connection is still in use: the hub
 * looks at the credential before it closes the connection of the same identity, so that a refusal costs nothing. After
 * CONNACK 0 the stream is handed on with everything that was read, as if nobody had used it.
 */
export class Trial implements StreamHandler {
  readonly #stream: ByteStream;
  readonly #session: ClientSession;
  readonly #nowMs: () => number;
  readonly #onAccepted: (stream: ByteStream) => void;
  readonly #onFailed: (failure: TrialFailure) => void;
  readonly #read: Uint8Array[] = [];
  #connectBytes = 0;
  #heir: TriedStream | undefined;
  #over = false;

  constructor(
    stream: ByteStream,
    nowMs: () => number,
    on: { accepted: (stream: ByteStream) => void; failed: (failure: TrialFailure) => void },
  ) {
    this.#stream = stream;
    this.#nowMs = nowMs;
    this.#onAccepted = on.accepted;
    this.#onFailed = on.failed;
    // Whoever holds the trial has a deadline for it.
    this.#session = new ClientSession({
      packetBytesMax,
      inflightMax: 1,
      connackTimeoutMs: 86_400_000,
    });
  }

  start(request: ConnectRequest): void {
    this.#session.connect(request, this.#nowMs());
    const connect = this.#session.takeOutput() as Uint8Array;
    this.#connectBytes = connect.length;
    this.#stream.start(this);
    this.#stream.write(connect);
  }

  /** Nobody is interested any more. */
  drop(): void {
    this.#over = true;
    if (this.#heir === undefined) this.#stream.destroy();
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#heir !== undefined) return this.#heir.onBytes(bytes);
    if (this.#over) return;
    this.#read.push(bytes);
    for (const effect of this.#session.receive(bytes, this.#nowMs())) {
      if (this.#over) return;
      this.#effect(effect);
    }
  }

  #effect(effect: ClientEffect): void {
    if (effect.type === "connected") {
      this.#over = true;
      this.#heir = new TriedStream(this.#stream, this.#read, this.#connectBytes);
      this.#onAccepted(this.#heir);
    } else if (effect.type === "refused") this.#fail({ returnCode: effect.returnCode });
    else if (effect.type === "close") {
      this.#fail({ cause: { by: "session", code: effect.code, reason: effect.reason } });
    }
  }

  onDrain(): void {
    this.#heir?.onDrain();
  }

  onClosed(error: Error | undefined): void {
    if (this.#heir !== undefined) return this.#heir.onClosed(error);
    if (!this.#over) this.#fail({ cause: { by: "peer", error } });
  }

  #fail(failure: TrialFailure): void {
    this.#over = true;
    this.#stream.destroy();
    this.#onFailed(failure);
  }
}

/** A stream whose CONNECT was sent and answered already: leaves out the one, repeats the other. */
class TriedStream implements ByteStream, StreamHandler {
  readonly #stream: ByteStream;
  #read: Uint8Array[];
  #skipBytes: number;
  #handler: StreamHandler | undefined;
  #closed: { error: Error | undefined } | undefined;

  constructor(stream: ByteStream, read: Uint8Array[], connectBytes: number) {
    this.#stream = stream;
    this.#read = read;
    this.#skipBytes = connectBytes;
  }

  get peer(): ByteStream["peer"] {
    return this.#stream.peer;
  }

  get bufferedBytes(): number {
    return this.#stream.bufferedBytes;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    const read = this.#read;
    this.#read = [];
    for (const bytes of read) handler.onBytes(bytes);
    if (this.#closed !== undefined) handler.onClosed(this.#closed.error);
  }

  write(bytes: Uint8Array): boolean {
    const skipped = Math.min(this.#skipBytes, bytes.length);
    this.#skipBytes -= skipped;
    return skipped === bytes.length || this.#stream.write(bytes.subarray(skipped));
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  end(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  onBytes(bytes: Uint8Array): void {
    if (this.#handler === undefined) this.#read.push(bytes);
    else this.#handler.onBytes(bytes);
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }

  onClosed(error: Error | undefined): void {
    this.#closed = { error };
    this.#handler?.onClosed(error);
  }
}
