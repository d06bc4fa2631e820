import type { Agenda, Machine } from "../connection/agenda.ts";

/** The few deadlines that belong to no other machine: of `connect()` and of `close()`. */
export class Deadlines implements Machine {
  readonly #agenda: Agenda;
  #due: { atMs: number; callback: () => void }[] = [];

  constructor(agenda: Agenda) {
    this.#agenda = agenda;
    agenda.add(this);
  }

  /** Calls back once; harmless when the call was settled before. */
  add(atMs: number, callback: () => void): void {
    this.#due.push({ atMs, callback });
    this.#agenda.expect(atMs);
  }

  get deadlineMs(): number {
    return Math.min(...this.#due.map(({ atMs }) => atMs));
  }

  tick(nowMs: number): void {
    const due = this.#due.filter(({ atMs }) => atMs <= nowMs);
    this.#due = this.#due.filter(({ atMs }) => atMs > nowMs);
    for (const { callback } of due) callback();
  }
}
