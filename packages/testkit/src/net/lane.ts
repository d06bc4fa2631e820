import type { Clock, Timer } from "@hubwire/transport";
import type { SeededRandom } from "../random.ts";

/** How one direction of a cable behaves. */
export type LaneOptions = {
  /** One way; default 5 ms. */
  latencyMs?: number;
  /** Up to so much more, drawn anew for each piece; order is kept. Default 0. */
  jitterMs?: number;
  /** Default unlimited. */
  bytesPerSecond?: number;
  /** What is written arrives in random pieces of at most so many bytes; default in one piece. */
  pieceBytesMax?: number;
  /** What TCP takes from the writer before the reader has it; more counts as buffered. Default 64 KiB. */
  windowBytes?: number;
};

/** The reader's side of a lane. */
export interface LaneReader {
  /** False: nothing is delivered until `wake`. */
  readonly isReading: boolean;
  take(bytes: Uint8Array): void;
  /** The writer's end arrived, after all its bytes. */
  takeEnd(): void;
}

type Piece = { atMs: number; bytes: Uint8Array | undefined };

/** What happens to bytes under way when a cable is cut. */
export type InFlight = "lost" | "delivered" | "some";

/** One direction of a cable: bytes go in, and come out later, in order, in other pieces, or not at all. */
export class Lane {
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #options: Required<LaneOptions>;
  readonly #onSpace: () => void;
  readonly #run = (): void => this.#deliver();
  #reader: LaneReader | undefined;
  #queue: Piece[] = [];
  #head = 0;
  #undeliveredBytes = 0;
  #lineFreeMs = 0;
  #timer: Timer | undefined;
  #isStalled = false;
  #isBroken = false;

  /** @param onSpace the writer may go on: bytes were delivered */
  constructor(clock: Clock, random: SeededRandom, options: LaneOptions, onSpace: () => void) {
    this.#clock = clock;
    this.#random = random;
    this.#onSpace = onSpace;
    this.#options = {
      latencyMs: options.latencyMs ?? 5,
      jitterMs: options.jitterMs ?? 0,
      bytesPerSecond: options.bytesPerSecond ?? Infinity,
      pieceBytesMax: options.pieceBytesMax ?? Infinity,
      windowBytes: options.windowBytes ?? 65_536,
    };
  }

  get latencyMs(): number {
    return this.#options.latencyMs;
  }

  get bufferedBytes(): number {
    return Math.max(0, this.#undeliveredBytes - this.#options.windowBytes);
  }

  join(reader: LaneReader): void {
    this.#reader = reader;
  }

  send(bytes: Uint8Array): void {
    this.#undeliveredBytes += bytes.length;
    // Into the void: nobody acknowledges, so it counts as not taken for ever.
    if (this.#isBroken) return;
    for (let from = 0; from < bytes.length;) {
      const to = Math.min(bytes.length, from + this.#pieceLength());
      this.#enqueue(bytes.subarray(from, to));
      from = to;
    }
    this.#arm();
  }

  sendEnd(): void {
    if (this.#isBroken) return;
    this.#enqueue(undefined);
    this.#arm();
  }

  /** The reader reads again. */
  wake(): void {
    this.#arm();
  }

  stall(): void {
    this.#isStalled = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  release(): void {
    this.#isStalled = false;
    this.#arm();
  }

  /** From now on nothing gets in; of what is under way a part still arrives. */
  break(inFlight: InFlight): void {
    this.#isBroken = true;
    const left = this.#queue.length - this.#head;
    const kept =
      inFlight === "delivered" ? left : inFlight === "lost" ? 0 : this.#random.int(left + 1);
    this.#queue.length = this.#head + kept;
  }

  #pieceLength(): number {
    const max = this.#options.pieceBytesMax;
    return max === Infinity ? Infinity : 1 + this.#random.int(max);
  }

  #enqueue(bytes: Uint8Array | undefined): void {
    const { latencyMs, jitterMs, bytesPerSecond } = this.#options;
    const nowMs = this.#clock.nowMs();
    const sendMs = ((bytes?.length ?? 0) / bytesPerSecond) * 1_000;
    this.#lineFreeMs = Math.max(nowMs, this.#lineFreeMs) + sendMs;
    const delayMs = jitterMs === 0 ? latencyMs : latencyMs + this.#random.next() * jitterMs;
    // What comes early waits in the queue for what was sent before it.
    this.#queue.push({ atMs: this.#lineFreeMs + delayMs, bytes });
  }

  #arm(): void {
    const next = this.#queue[this.#head];
    if (this.#timer !== undefined || next === undefined || this.#isStalled) return;
    this.#timer = this.#clock.at(Math.max(next.atMs, this.#clock.nowMs()), this.#run);
  }

  #deliver(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.nowMs();
    for (;;) {
      const piece = this.#queue[this.#head];
      if (piece === undefined || piece.atMs > nowMs) break;
      if (this.#isStalled || !this.#reader?.isReading) return;
      this.#head++;
      if (piece.bytes === undefined) this.#reader.takeEnd();
      else {
        this.#undeliveredBytes -= piece.bytes.length;
        this.#reader.take(piece.bytes);
      }
    }
    this.#forgetDelivered();
    this.#onSpace();
    this.#arm();
  }

  #forgetDelivered(): void {
    if (this.#head < this.#queue.length) {
      if (this.#head < 1_024) return;
      this.#queue.splice(0, this.#head);
    } else this.#queue.length = 0;
    this.#head = 0;
  }
}
