import type { Clock } from "./clock.ts";

type Member = { endTurn(): void };

const lists = new WeakMap<Clock, DirtyList>();

/** The list all drivers of one clock share. */
export function dirtyListOf(clock: Clock): DirtyList {
  let list = lists.get(clock);
  if (list === undefined) {
    list = new DirtyList(clock);
    lists.set(clock, list);
  }
  return list;
}

/** What has to be flushed at the end of this turn: thousands of connections cost one callback. */
export class DirtyList {
  readonly #clock: Clock;
  #members: Member[] = [];
  #spare: Member[] = [];
  readonly #run = (): void => this.#flushAll();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The caller makes sure that nobody is in the list twice. */
  add(member: Member): void {
    if (this.#members.length === 0) this.#clock.endOfTurn(this.#run);
    this.#members.push(member);
  }

  #flushAll(): void {
    const batch = this.#members;
    this.#members = this.#spare;
    let done = 0;
    try {
      while (done < batch.length) batch[done++]?.endTurn();
    } finally {
      // One that throws must not keep the bytes of the others back.
      if (done < batch.length) for (const left of batch.splice(done)) this.add(left);
      batch.length = 0;
      this.#spare = batch;
    }
  }
}
