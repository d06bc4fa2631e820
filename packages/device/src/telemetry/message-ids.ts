import { crypto } from "@hubwire/transport";

/** Random bytes drawn at a time: one call into the system for so many ids. */
const poolBytes = 8 * 512;

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/**
 * Message ids: UUID version 7 (RFC 9562), so that they sort by time. Ids of one source always grow, also when the wall clock
 * goes back: within a millisecond the twelve bits behind the version count (section 6.2, method 1).
 */
export class MessageIds {
  readonly #random: ((into: Uint8Array) => void) | undefined;
  readonly #pool = new Uint8Array(poolBytes);
  #at = poolBytes;
  #timeMs = -1;
  #count = 0;
  /** The part that stays the same for a millisecond. */
  #stem = "";

  /** @param random numbers in [0, 1), for simulation; default: the system's source for secrets */
  constructor(random: (() => number) | undefined) {
    this.#random =
      random &&
      ((into) => {
        for (let i = 0; i < into.length; i++) into[i] = Math.floor(random() * 256);
      });
  }

  /** @param wallMs Unix ms */
  next(wallMs: number): string {
    if (this.#at === poolBytes) this.#refill();
    const pool = this.#pool;
    const at = this.#at;
    this.#at = at + 8;
    if (wallMs > this.#timeMs) this.#begin(Math.floor(wallMs), pool[at] as number);
    else if (++this.#count > 0xfff) this.#begin(this.#timeMs + 1, pool[at] as number);
    const count = this.#count;
    return (
      this.#stem +
      hex[0x70 | (count >> 8)] +
      hex[count & 0xff] +
      "-" +
      hex[0x80 | ((pool[at + 1] as number) & 0x3f)] +
      hex[pool[at + 2] as number] +
      "-" +
      hex[pool[at + 3] as number] +
      hex[pool[at + 4] as number] +
      hex[pool[at + 5] as number] +
      hex[pool[at + 6] as number] +
      hex[pool[at + 7] as number] +
      hex[pool[at] as number]
    );
  }

  /** The count begins low, so that there is room to count, and at random, so that ids cannot be guessed from others. */
  #begin(timeMs: number, random: number): void {
    this.#timeMs = timeMs;
    this.#count = random;
    const time = timeMs.toString(16).padStart(12, "0");
    this.#stem = `${time.slice(0, 8)}-${time.slice(8)}-`;
  }

  #refill(): void {
    if (this.#random === undefined) crypto().randomFillSync(this.#pool);
    else this.#random(this.#pool);
    this.#at = 0;
  }
}
