/** Numbers that look random and are the same for the same seed, on every machine. Never for secrets. */
export type SeededRandom = {
  /** What it was made with: print it when a test fails. */
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** A whole number in [0, below). */
  int(below: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  /** In [low, high). */
  between(low: number, high: number): number;
  /** One of them. */
  pick<T>(from: readonly T[]): T;
  bytes(length: number): Uint8Array;
  /** An independent source for one part of a test: what one part draws then changes nothing for the others. */
  fork(): SeededRandom;
};

/** A seeded generator: sfc32, by Chris Doty-Humphrey (PractRand), public domain. */
export function seededRandom(seed: number): SeededRandom {
  let a = seed | 0;
  let b = Math.floor(seed / 2 ** 32) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const uint32 = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  // Seeds that differ in one bit start with similar states: the first rounds take them apart.
  for (let round = 0; round < 15; round++) uint32();
  const next = (): number => uint32() / 2 ** 32;
  const int = (below: number): number => Math.floor(next() * below);
  return {
    seed,
    next,
    int,
    chance: (probability) => next() < probability,
    between: (low, high) => low + next() * (high - low),
    pick: <T>(from: readonly T[]): T => {
      if (from.length === 0) throw new Error("nothing to pick from");
      return from[int(from.length)] as T;
    },
    bytes: (length) => Uint8Array.from({ length }, () => uint32() & 0xff),
    fork: () => seededRandom(uint32()),
  };
}
