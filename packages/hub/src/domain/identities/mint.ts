/** Things an identity is given by the hub: keys, etags, generation ids. */

export type RandomBytes = (count: number) => Uint8Array;

/** .NET ticks (100 ns) between 0001-01-01 and 1970-01-01: what the service's generation ids count. */
const ticksAtUnixEpoch = 621_355_968_000_000_000n;

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

const uint32 = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);

/** 32 random bytes, base64 (44 characters), as the service makes them. */
export const mintKey = (randomBytes: RandomBytes): string => base64(randomBytes(32));

/** The etag of a counter: base64 of its decimal text, e.g. `ODAxMjMyNDI2` (observed on identities of live hubs). */
export const etagOf = (counter: number): string => base64(Buffer.from(String(counter), "ascii"));

/** Where the etag counter of a new identity starts: nine digits, so that an old life's etag does not fit the new one. */
export const firstCounter = (randomBytes: RandomBytes): number =>
  100_000_000 + (uint32(randomBytes(4)) % 900_000_000);

/**
 * Generation ids: decimal text that no two lives of an identity share. They count 100 ns like the service's; the lowest
 * digits are random and every one is above the last, so that a wall clock that jumps back repeats none in this process.
 */
export class Generations {
  readonly #randomBytes: RandomBytes;
  #last = 0n;

  constructor(randomBytes: RandomBytes) {
    this.#randomBytes = randomBytes;
  }

  next(wallMs: number): string {
    const jitter = BigInt(uint32(this.#randomBytes(4)) % 10_000);
    const ticks = ticksAtUnixEpoch + BigInt(Math.floor(wallMs)) * 10_000n + jitter;
    this.#last = ticks > this.#last ? ticks : this.#last + 1n;
    return String(this.#last);
  }
}
