import type { Clock, Timer } from "./clock.ts";
import type { ByteStream, PeerInfo, StreamHandler } from "./stream.ts";
import { systemClock } from "./system-clock.ts";

export type MemoryStreamOptions = {
  /** Bytes are delivered at the end of this clock's turns; default the system clock. */
  clock?: Clock;
  /** What the first stream tells about its peer, the second; and the other way round. */
  peers?: readonly [first: Partial<PeerInfo>, second: Partial<PeerInfo>];
  /** `write` returns false above so many bytes that the other side has not read; default 64 KiB. */
  highMarkBytes?: number;
};

/** Two ends of one perfect cable in memory. */
export function memoryStreamPair(options: MemoryStreamOptions = {}): [ByteStream, ByteStream] {
  const clock = options.clock ?? systemClock();
  const highMarkBytes = options.highMarkBytes ?? 65_536;
  const first = new MemoryStream(clock, highMarkBytes, { ...noPeer, ...options.peers?.[0] });
  const second = new MemoryStream(clock, highMarkBytes, { ...noPeer, ...options.peers?.[1] });
  first.join(second);
  second.join(first);
  return [first, second];
}

const noPeer: PeerInfo = {
  address: "memory",
  certificate: undefined,
  tlsVersion: undefined,
  serverName: undefined,
};

const endTimeoutMs = 5_000;

/** One end. `#inbox` is what the other end wrote and this one has not read. */
class MemoryStream implements ByteStream {
  readonly peer: PeerInfo;
  readonly #clock: Clock;
  readonly #highMarkBytes: number;
  #other!: MemoryStream;
  #handler: StreamHandler | undefined;
  #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  #isPaused = false;
  #isScheduled = false;
  /** This end wrote its last byte, and hears nothing any more. */
  #isEnded = false;
  /** This end was told to stop writing. */
  #isFull = false;
  #isClosed = false;
  #endTimer: Timer | undefined;
  readonly #deliver = (): void => this.#deliverAll();

  constructor(clock: Clock, highMarkBytes: number, peer: PeerInfo) {
    this.#clock = clock;
    this.#highMarkBytes = highMarkBytes;
    this.peer = peer;
  }

  join(other: MemoryStream): void {
    this.#other = other;
  }

  get bufferedBytes(): number {
    return this.#other.#inboxBytes;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    if (this.#isClosed) this.#tellClosed();
    else this.#schedule();
  }

  write(bytes: Uint8Array): boolean {
    const other = this.#other;
    if (this.#isEnded || this.#isClosed || other.#isEnded) return true;
    other.#inbox.push(bytes);
    other.#inboxBytes += bytes.length;
    other.#schedule();
    if (other.#inboxBytes <= this.#highMarkBytes) return true;
    this.#isFull = true;
    return false;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  end(): void {
    if (this.#isEnded || this.#isClosed) return;
    this.#isEnded = true;
    this.#inbox = [];
    this.#inboxBytes = 0;
    this.#endTimer = this.#clock.at(this.#clock.nowMs() + endTimeoutMs, () => this.destroy());
    this.#other.#schedule();
  }

  destroy(): void {
    this.#close();
    this.#other.#close();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    this.#clock.endOfTurn(this.#deliver);
  }

  #deliverAll(): void {
    this.#isScheduled = false;
    while (this.#inbox.length > 0 && this.#isReading) {
      const bytes = this.#inbox.shift() as Uint8Array;
      this.#inboxBytes -= bytes.length;
      this.#handler?.onBytes(bytes);
    }
    const writer = this.#other;
    if (this.#inboxBytes > 0 || this.#isClosed) return;
    if (writer.#isEnded && (this.#isReading || this.#isEnded)) return this.destroy();
    if (!writer.#isFull) return;
    writer.#isFull = false;
    if (!writer.#isEnded) writer.#handler?.onDrain();
  }

  get #isReading(): boolean {
    return this.#handler !== undefined && !this.#isPaused && !this.#isEnded && !this.#isClosed;
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#inbox = [];
    this.#inboxBytes = 0;
    this.#endTimer?.cancel();
    if (this.#handler !== undefined) this.#tellClosed();
  }

  #tellClosed(): void {
    this.#clock.endOfTurn(() => this.#handler?.onClosed(undefined));
  }
}
