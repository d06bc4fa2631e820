import type { Promises } from "./promises.ts";

type Section = {
  /** Number of the newest patch sent, and of the newest one the hub answered. */
  sent: number;
  answered: number;
  /** The highest `$version` anybody was told. */
  version: number;
  /** What each version was said to hold. */
  contents: Map<number, number>;
};

const section = (): Section => ({ sent: 0, answered: 0, version: 1, contents: new Map() });

/** A section as it is read: `{ n, $version }`. */
export type SectionView = { n?: number; $version: number };

/** One twin: whoever was told a version, by an answer, a notification or a read, never sees an older one. */
export class TwinLedger {
  readonly #promises: Promises;
  readonly #device: string;
  readonly desired = section();
  readonly reported = section();

  constructor(promises: Promises, device: string) {
    this.#promises = promises;
    this.#device = device;
  }

  next(which: "desired" | "reported"): number {
    return ++this[which].sent;
  }

  answered(which: "desired" | "reported", n: number): void {
    this[which].answered = Math.max(this[which].answered, n);
  }

  /** `$version` was said to hold patch `n`. */
  told(which: "desired" | "reported", version: number, n: number): void {
    const told = this[which];
    const before = told.contents.get(version);
    if (before !== undefined && before !== n) {
      this.#promises.broke(
        `${which} of ${this.#device}: version ${version} was patch ${before} and is ${n}`,
      );
    }
    told.contents.set(version, n);
    told.version = Math.max(told.version, version);
  }

  /** Call before the twin is asked for; the result takes the answer. What becomes known in between does not count. */
  reading(): (properties: { desired: SectionView; reported: SectionView }) => void {
    const before = { desired: { ...this.desired }, reported: { ...this.reported } };
    return (properties) => {
      for (const which of ["desired", "reported"] as const) {
        const { version, answered } = before[which];
        const { n = 0, $version } = properties[which];
        if ($version < version) {
          this.#promises.broke(
            `${which} of ${this.#device} went back from version ${version} to ${$version}`,
          );
        }
        if (n < answered || n > this[which].sent) {
          this.#promises.broke(
            `${which} of ${this.#device} holds patch ${n}; ${answered} was answered, ${this[which].sent} sent`,
          );
        }
        this.told(which, $version, n);
      }
    };
  }
}
