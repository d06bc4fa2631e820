/** Items of a block before it is split; what an insertion moves at most. */
const blockMax = 512;

/** Items in order, none twice: insertion, removal and finding a place cost little also among a million. */
export class SortedList<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #blocks: T[][] = [];

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  add(item: T): void {
    const at = Math.max(0, this.#blockOf(item));
    const block = this.#blocks[at];
    if (block === undefined) {
      this.#blocks.push([item]);
      return;
    }
    const place = this.#firstNotBelow(block, item);
    const there = block[place];
    if (there !== undefined && this.#compare(there, item) === 0) return;
    block.splice(place, 0, item);
    if (block.length > blockMax) this.#blocks.splice(at + 1, 0, block.splice(blockMax / 2));
  }

  delete(item: T): void {
    const at = this.#blockOf(item);
    const block = this.#blocks[at];
    if (block === undefined) return;
    const place = this.#firstNotBelow(block, item);
    const there = block[place];
    if (there === undefined || this.#compare(there, item) !== 0) return;
    block.splice(place, 1);
    if (block.length === 0) this.#blocks.splice(at, 1);
  }

  /** The items from `start` on, itself included. Nothing may change while they are read. */
  *from(start: T): Generator<T> {
    const first = Math.max(0, this.#blockOf(start));
    for (let at = first; at < this.#blocks.length; at++) {
      const block = this.#blocks[at] as T[];
      const place = at === first ? this.#firstNotBelow(block, start) : 0;
      for (let index = place; index < block.length; index++) yield block[index] as T;
    }
  }

  /** The last block that begins at or below the item; -1 when the item is below all. */
  #blockOf(item: T): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(this.#blocks[middle]![0]!, item) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #firstNotBelow(block: readonly T[], item: T): number {
    let low = 0;
    let high = block.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(block[middle]!, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
