import { BrokenPromise } from "./promises.ts";

/** Waiting for what never comes is a failure after so long, ms. */
const patienceMs = 20_000;

export type EventKind = "file" | "segment" | "puback" | "twin" | "suback" | "identity" | "c2d";

/** After so many events of this kind, counted from the start of the life or from when its load began, the hub is killed. */
export type KillPoint = { phase: "start" | "load"; kind: EventKind; count: number };

/**
 * One life of the hub: events are counted towards its end, and whoever waits for something is woken by every event. After
 * the kill every wait rejects, which is how work in progress ends.
 */
export class Life {
  readonly #point: KillPoint;
  readonly #kill: () => void;
  readonly #waiting = new Set<() => void>();
  readonly counts = new Map<EventKind, number>();
  #phase: KillPoint["phase"] = "start";
  #left: number;
  over = false;
  /** What went wrong before the kill. */
  failure: unknown;

  constructor(point: KillPoint, kill: () => void) {
    this.#point = point;
    this.#left = point.count;
    this.#kill = kill;
  }

  /** Hands the hub over to the load. */
  loadBegins(): void {
    this.#phase = "load";
    this.wake();
  }

  event(kind: EventKind): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    if (kind === this.#point.kind && this.#phase === this.#point.phase) {
      this.#left -= 1;
      if (this.#left === 0) this.end();
    }
    this.wake();
  }

  /** The kill, at its point or because nothing more will happen. */
  end(): void {
    if (this.over) return;
    this.over = true;
    this.#kill();
    this.wake();
  }

  /** Works on all of it until done or killed. What fails earlier ends the life. */
  async together(works: readonly Promise<unknown>[]): Promise<void> {
    await Promise.all(works.map((work) => work.catch((error: unknown) => this.fail(error))));
    if (this.over) throw new Error("the hub was killed");
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.failure = error;
    this.end();
  }

  wake(): void {
    for (const look of this.#waiting) look();
  }

  /** Resolves when it is so; rejects when the life is over or patience is: what was promised and never comes is broken. */
  until(what: () => string, isSo: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        done();
      };
      const timer = setTimeout(
        () => settle(() => reject(new BrokenPromise(`never, in ${patienceMs} ms: ${what()}`))),
        patienceMs,
      );
      const look = (): void => {
        if (this.over) settle(() => reject(new Error("the hub was killed")));
        else if (isSo()) settle(resolve);
      };
      this.#waiting.add(look);
      look();
    });
  }
}
