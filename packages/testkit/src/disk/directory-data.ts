import type { CrashMode } from "./file-data.ts";
import type { FileData } from "./file-data.ts";
import type { SeededRandom } from "../random.ts";

export type Entry = FileData | DirectoryData;

/** Sets names; undefined removes one. A rename sets two at once: it survives whole or not at all. */
type Change = readonly (readonly [name: string, entry: Entry | undefined])[];

/** One directory's names: as programs see them, and as the disk has them for good. */
export class DirectoryData {
  #current = new Map<string, Entry>();
  #durable = new Map<string, Entry>();
  #unsynced: Change[] = [];

  get names(): string[] {
    return [...this.#current.keys()];
  }

  get entries(): Entry[] {
    return [...this.#current.values()];
  }

  get(name: string): Entry | undefined {
    return this.#current.get(name);
  }

  change(change: Change): void {
    apply(this.#current, change);
    this.#unsynced.push(change);
  }

  /** Begins a sync: it covers the changes made until now, once the function returned is called. */
  beginSync(): () => void {
    const covered = this.#unsynced.slice();
    return () => {
      this.#unsynced = this.#unsynced.filter((change) => !covered.includes(change));
      for (const change of covered) apply(this.#durable, change);
    };
  }

  /** The power went: what survives is all there is now. */
  crash(mode: CrashMode, random: SeededRandom): void {
    const survivor = new Map(this.#durable);
    for (const change of this.#unsynced) {
      const survives = mode !== "none" && (mode === "all" || mode === "torn" || random.chance(0.5));
      if (survives) apply(survivor, change);
    }
    this.#current = survivor;
    this.#durable = new Map(survivor);
    this.#unsynced = [];
  }
}

function apply(names: Map<string, Entry>, change: Change): void {
  for (const [name, entry] of change) {
    if (entry) names.set(name, entry);
    else names.delete(name);
  }
}
