/**
 * Which of a numbered series is settled, when most of it settles in order: everything below `before`, and some ranges above.
 * A number in between that is not settled holds `before` back, whatever happens behind it.
 */
export class SettledRanges {
  /** All numbers below it are settled; it is not. */
  before = 0;
  /** Start and end (exclusive) of each range above `before`, ascending, with gaps between them. */
  #ranges: number[] = [];

  get ranges(): readonly number[] {
    return this.#ranges;
  }

  has(number: number): boolean {
    if (number < this.before) return true;
    const ranges = this.#ranges;
    for (let i = 0; i < ranges.length; i += 2) {
      if (number < (ranges[i] as number)) return false;
      if (number < (ranges[i + 1] as number)) return true;
    }
    return false;
  }

  /** Repeating it is harmless. */
  add(number: number): void {
    if (number < this.before) return;
    const ranges = this.#ranges;
    if (number === this.before) {
      this.before += 1;
      this.#absorb();
      return;
    }
    // What settles out of order is near the end.
    let at = ranges.length;
    while (at > 0 && (ranges[at - 2] as number) > number) at -= 2;
    const joinsBefore = at > 0 && (ranges[at - 1] as number) >= number;
    if (joinsBefore && (ranges[at - 1] as number) > number) return;
    const joinsAfter = at < ranges.length && ranges[at] === number + 1;
    if (joinsBefore && joinsAfter) ranges.splice(at - 1, 2);
    else if (joinsBefore) ranges[at - 1] = number + 1;
    else if (joinsAfter) ranges[at] = number;
    else ranges.splice(at, 0, number, number + 1);
  }

  /** Takes over what was saved, or what is known to be gone below. */
  restore(before: number, ranges: readonly number[]): void {
    this.before = before;
    this.#ranges = [...ranges];
    this.#absorb();
  }

  #absorb(): void {
    const ranges = this.#ranges;
    while (ranges.length > 0 && (ranges[0] as number) <= this.before) {
      this.before = Math.max(this.before, ranges[1] as number);
      ranges.splice(0, 2);
    }
  }
}
