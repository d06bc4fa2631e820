import { EventEmitter } from "node:events";
import type { ByteStream, Clock } from "@hubwire/transport";

/** Gathered writes above this go out at once, bytes. */
const flushBytes = 65_536;

/**
 * A byte stream as the socket rhea writes to. Frames written in one turn leave in one write; `end` waits until they have.
 * While the peer does not read, `writable` is false and the owner stops reading from it: what waits is bounded.
 */
export class StreamSocket extends EventEmitter {
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #isScheduled = false;
  #isEnding = false;
  writable = true;

  constructor(stream: ByteStream, clock: Clock) {
    super();
    this.#stream = stream;
    this.#clock = clock;
  }

  write(bytes: Buffer): boolean {
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= flushBytes) this.flush();
    else if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#clock.endOfTurn(() => {
        this.#isScheduled = false;
        this.flush();
      });
    }
    return this.writable;
  }

  flush(): void {
    const [first] = this.#gathered;
    if (first === undefined) return;
    const bytes =
      this.#gathered.length === 1 ? first : Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (!this.#stream.write(bytes)) this.writable = false;
  }

  /** After what was written, and what is written in this turn: a close frame is on its way when rhea gives up. */
  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#clock.endOfTurn(() => {
      this.flush();
      this.#stream.end();
    });
  }

  destroy(): void {
    this.#isEnding = true;
    this.#stream.destroy();
  }
}
