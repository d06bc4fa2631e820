import type { ByteStream, Clock, PeerInfo, StreamHandler, Timer } from "@hubwire/transport";
import { IotError } from "@hubwire/protocol";
import type { SeededRandom } from "../random.ts";
import { Lane } from "./lane.ts";
import type { InFlight, LaneOptions, LaneReader } from "./lane.ts";

export type CutOptions = {
  /** What each end notices: a reset, or nothing at all (a half-open connection). Default "reset". */
  client?: "reset" | "silent";
  server?: "reset" | "silent";
  /** What becomes of the bytes under way; default "some": a random part of each direction still arrives. */
  inFlight?: InFlight;
};

export type Direction = "toServer" | "toClient" | "both";

const highMarkBytes = 65_536;
const endTimeoutMs = 5_000;

/** One connection of the simulated network: two lanes and what can happen to them. */
export class Cable {
  /** The name that was connected to. */
  readonly name: string;
  readonly client: ByteStream;
  readonly server: ByteStream;
  readonly #client: CableEnd;
  readonly #server: CableEnd;

  constructor(options: {
    name: string;
    clock: Clock;
    random: SeededRandom;
    lanes: LaneOptions;
    /** What the client is told about the server. */
    serverPeer: PeerInfo;
    /** What the server is told about the client. */
    clientPeer: PeerInfo;
    onClosed: (cable: Cable) => void;
  }) {
    const { clock, lanes } = options;
    this.name = options.name;
    const closed = (): void => {
      if (this.isClosed) options.onClosed(this);
    };
    const toServer = new Lane(clock, options.random.fork(), lanes, () => this.#client.roomAgain());
    const toClient = new Lane(clock, options.random.fork(), lanes, () => this.#server.roomAgain());
    this.#client = new CableEnd(clock, options.serverPeer, toServer, toClient, closed);
    this.#server = new CableEnd(clock, options.clientPeer, toClient, toServer, closed);
    this.#client.join(this.#server);
    this.#server.join(this.#client);
    this.client = this.#client;
    this.server = this.#server;
  }

  /** Both ends know that it is over. */
  get isClosed(): boolean {
    return this.#client.isClosed && this.#server.isClosed;
  }

  cut(options: CutOptions = {}): void {
    const inFlight = options.inFlight ?? "some";
    this.#client.lose(options.client ?? "reset", inFlight);
    this.#server.lose(options.server ?? "reset", inFlight);
  }

  /** Bytes stay under way until `release`; nobody notices. */
  stall(direction: Direction = "both"): void {
    if (direction !== "toClient") this.#client.out.stall();
    if (direction !== "toServer") this.#server.out.stall();
  }

  release(direction: Direction = "both"): void {
    if (direction !== "toClient") this.#client.out.release();
    if (direction !== "toServer") this.#server.out.release();
  }
}

class CableEnd implements ByteStream, LaneReader {
  readonly peer: PeerInfo;
  readonly out: Lane;
  readonly #in: Lane;
  readonly #clock: Clock;
  readonly #onGone: () => void;
  #other!: CableEnd;
  #handler: StreamHandler | undefined;
  #isPaused = false;
  #isFull = false;
  #isEnding = false;
  #isSilenced = false;
  #endTimer: Timer | undefined;
  #closed: { error: Error | undefined } | undefined;

  constructor(clock: Clock, peer: PeerInfo, out: Lane, input: Lane, onGone: () => void) {
    this.#clock = clock;
    this.peer = peer;
    this.out = out;
    this.#in = input;
    this.#onGone = onGone;
    input.join(this);
  }

  join(other: CableEnd): void {
    this.#other = other;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  get bufferedBytes(): number {
    return this.#closed === undefined ? this.out.bufferedBytes : 0;
  }

  get isReading(): boolean {
    return this.#handler !== undefined && !this.#isPaused;
  }

  start(handler: StreamHandler): void {
    this.#handler = handler;
    if (this.#closed !== undefined) this.#tell();
    else this.#in.wake();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isEnding || this.#closed !== undefined) return true;
    this.out.send(bytes);
    if (this.out.bufferedBytes <= highMarkBytes) return true;
    this.#isFull = true;
    return false;
  }

  pause(): void {
    if (!this.#isEnding) this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#in.wake();
  }

  end(): void {
    if (this.#isEnding || this.#closed !== undefined) return;
    this.#isEnding = true;
    this.#isPaused = false;
    this.out.sendEnd();
    this.#in.wake();
    this.#endTimer = this.#clock.at(this.#clock.nowMs() + endTimeoutMs, () => this.destroy());
  }

  destroy(): void {
    if (this.#closed !== undefined) return;
    this.#close(undefined);
    this.out.break("some");
    if (!this.#isSilenced) this.#other.resetSoon(this.out.latencyMs);
  }

  take(bytes: Uint8Array): void {
    if (!this.#isEnding && this.#closed === undefined) this.#handler?.onBytes(bytes);
  }

  /** The other end finished: so does this one, and the other one hears of it a little later. */
  takeEnd(): void {
    if (this.#closed !== undefined) return;
    this.#close(undefined);
    const other = this.#other;
    this.#clock.at(this.#clock.nowMs() + this.out.latencyMs, () => other.#close(undefined));
  }

  roomAgain(): void {
    if (!this.#isFull || this.out.bufferedBytes > 0) return;
    this.#isFull = false;
    if (this.#closed === undefined && !this.#isEnding) this.#handler?.onDrain();
  }

  resetSoon(delayMs: number): void {
    this.#clock.at(this.#clock.nowMs() + delayMs, () => this.#close(resetError()));
  }

  /** The cable was cut under this end. */
  lose(how: "reset" | "silent", inFlight: InFlight): void {
    this.#isSilenced = true;
    this.out.break(inFlight);
    if (how === "reset") this.resetSoon(this.out.latencyMs * 2);
  }

  #close(error: Error | undefined): void {
    if (this.#closed !== undefined) return;
    this.#closed = { error };
    this.#endTimer?.cancel();
    if (this.#handler !== undefined) this.#tell();
    this.#onGone();
  }

  #tell(): void {
    const handler = this.#handler;
    const error = this.#closed?.error;
    this.#clock.endOfTurn(() => handler?.onClosed(error));
  }
}

function resetError(): IotError {
  return new IotError("transport.reset", "the simulated connection was cut");
}
