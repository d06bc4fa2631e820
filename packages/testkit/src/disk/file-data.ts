import type { SeededRandom } from "../random.ts";

/**
 * What a power loss leaves of changes that were not synced.
 *
 * - `none`: nothing of them;
 * - `all`: all of them, as when only the process was killed;
 * - `random`: each sector, and each change to a name, by itself: old, new, or a version in between;
 * - `torn`: all but the last write of each file, of which a part survives;
 * - `stale`: like `random`, but where a file grew and the bytes were lost, it shows what deleted files left.
 */
export type CrashMode = "none" | "all" | "random" | "torn" | "stale";

export const crashModes: readonly CrashMode[] = ["none", "all", "random", "torn", "stale"];

export type Crash = {
  mode: CrashMode;
  random: SeededRandom;
  /** What is left on the disk by files that are gone. */
  stale: Uint8Array;
};

type Write = { position: number; bytes: Uint8Array };

/** One file's bytes: as programs see them, and as the disk has them for good. */
export class FileData {
  #current: Uint8Array = new Uint8Array(0);
  #durable: Uint8Array = new Uint8Array(0);
  /** In the order they were made. */
  #unsynced: Write[] = [];
  /** What sectors held whenever their sync failed: nobody will write it again, but it may have reached the disk. */
  readonly #doubtful = new Map<number, Uint8Array[]>();
  readonly #sectorBytes: number;

  constructor(sectorBytes: number) {
    this.#sectorBytes = sectorBytes;
  }

  get size(): number {
    return this.#current.length;
  }

  /** As programs see it: a copy. */
  contents(): Uint8Array {
    return this.#current.slice();
  }

  read(into: Uint8Array, position: number): number {
    const part = this.#current.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  }

  write(bytes: Uint8Array, position: number): void {
    // A Buffer's own slice() would be a view.
    const copy = new Uint8Array(bytes);
    this.#current = applied(this.#current, copy, position);
    this.#unsynced.push({ position, bytes: copy });
  }

  /** Written and synced at once, as if it had always been so. */
  replace(bytes: Uint8Array): void {
    this.#current = new Uint8Array(bytes);
    this.#durable = new Uint8Array(bytes);
    this.#unsynced = [];
    this.#doubtful.clear();
  }

  /** Begins a sync: it covers what was written until now, once the function returned is called. */
  beginSync(): () => void {
    const covered = this.#unsynced.slice();
    return () => {
      this.#unsynced = this.#unsynced.filter((write) => !covered.includes(write));
      for (const write of covered) {
        this.#durable = applied(this.#durable, write.bytes, write.position);
        for (const sector of sectorsOf(write, this.#sectorBytes)) this.#doubtful.delete(sector);
      }
    };
  }

  /**
   * A sync that fails, as on Linux: programs go on seeing what they wrote, and no later sync brings it to the disk;
   * but some of it may have got there.
   */
  failSync(): void {
    for (const write of this.#unsynced) {
      for (const sector of sectorsOf(write, this.#sectorBytes)) {
        const start = sector * this.#sectorBytes;
        const versions = this.#doubtful.get(sector) ?? [];
        versions.push(this.#current.slice(start, start + this.#sectorBytes));
        this.#doubtful.set(sector, versions);
      }
    }
    this.#unsynced = [];
  }

  /** The power went: what survives is all there is now. */
  crash(crash: Crash): void {
    this.replace(this.#survivor(crash));
  }

  #survivor({ mode, random, stale }: Crash): Uint8Array {
    if (mode === "none") return this.#durable;
    let bytes = this.#durable;
    for (const [sector, versions] of this.#doubtful) {
      const survivor =
        versions[mode === "all" ? versions.length - 1 : random.int(versions.length + 1)];
      if (survivor) bytes = applied(bytes, survivor, sector * this.#sectorBytes);
    }
    if (mode === "random") return this.#scatter(bytes, random, new Uint8Array(0));
    if (mode === "stale") return this.#scatter(bytes, random, stale);
    const last = mode === "torn" ? this.#unsynced.at(-1) : undefined;
    for (const write of this.#unsynced) {
      if (write !== last) bytes = applied(bytes, write.bytes, write.position);
    }
    return last ? tear(bytes, last, random, this.#sectorBytes) : bytes;
  }

  /** Every sector has its own history, and stopped anywhere in it. */
  #scatter(onDisk: Uint8Array, random: SeededRandom, stale: Uint8Array): Uint8Array {
    const sectorBytes = this.#sectorBytes;
    let size = onDisk.length;
    for (const { position, bytes } of this.#unsynced) {
      const end = position + bytes.length;
      if (end > size && random.chance(0.7)) size = end;
    }
    const result = new Uint8Array(size);
    if (stale.length > 0) fillStale(result, stale, random, sectorBytes);
    result.set(onDisk);
    const versions = new Map<number, number>();
    for (const write of this.#unsynced) {
      for (const sector of sectorsOf(write, sectorBytes)) {
        versions.set(sector, (versions.get(sector) ?? 0) + 1);
      }
    }
    const kept = new Map<number, number>();
    for (const [sector, count] of versions) kept.set(sector, random.int(count + 1));
    for (const write of this.#unsynced) {
      for (const sector of sectorsOf(write, sectorBytes)) {
        const left = kept.get(sector) ?? 0;
        kept.set(sector, left - 1);
        if (left > 0) copySector(result, write, sector, sectorBytes);
      }
    }
    return result;
  }
}

function applied(to: Uint8Array, bytes: Uint8Array, position: number): Uint8Array {
  const end = position + bytes.length;
  let result = to;
  if (end > to.length) {
    result = new Uint8Array(end);
    result.set(to);
  }
  result.set(bytes, position);
  return result;
}

function* sectorsOf({ position, bytes }: Write, sectorBytes: number): Generator<number> {
  const last = Math.floor((position + bytes.length - 1) / sectorBytes);
  for (let sector = Math.floor(position / sectorBytes); sector <= last; sector++) yield sector;
}

function copySector(
  to: Uint8Array,
  { position, bytes }: Write,
  sector: number,
  sectorBytes: number,
): void {
  const from = Math.max(position, sector * sectorBytes);
  const end = Math.min(position + bytes.length, (sector + 1) * sectorBytes, to.length);
  if (end > from) to.set(bytes.subarray(from - position, end - position), from);
}

/** A write that stopped on its way, or that the disk began at its end, or with a hole. */
function tear(
  before: Uint8Array,
  write: Write,
  random: SeededRandom,
  sectorBytes: number,
): Uint8Array {
  const sectors = [...sectorsOf(write, sectorBytes)];
  const cut = random.int(sectors.length + 1);
  const until = cut + random.int(sectors.length - cut + 1);
  const survives: (index: number) => boolean = random.pick([
    (index: number) => index < cut,
    (index: number) => index >= cut,
    (index: number) => index < cut || index >= until,
  ]);
  const kept = sectors.filter((_, index) => survives(index));
  const last = kept.at(-1);
  const end =
    last === undefined
      ? 0
      : Math.min(write.position + write.bytes.length, (last + 1) * sectorBytes);
  const result = new Uint8Array(Math.max(before.length, end));
  result.set(before);
  for (const sector of kept) copySector(result, write, sector, sectorBytes);
  return result;
}

function fillStale(
  to: Uint8Array,
  stale: Uint8Array,
  random: SeededRandom,
  sectorBytes: number,
): void {
  for (let at = 0; at < to.length; at += sectorBytes) {
    const start = random.int(Math.ceil(stale.length / sectorBytes)) * sectorBytes;
    to.set(stale.subarray(start, Math.min(start + sectorBytes, start + to.length - at)), at);
  }
}
