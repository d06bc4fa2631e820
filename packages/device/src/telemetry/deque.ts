/** A first-in first-out ring that grows: no shifting, no holes. */
export class Deque<T> {
  #slots: (T | undefined)[] = Array.from({ length: 16 });
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** @param index 0 is the oldest */
  at(index: number): T {
    return this.#slots[(this.#head + index) & (this.#slots.length - 1)] as T;
  }

  push(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item;
    this.#length += 1;
  }

  /** Puts one before the oldest. */
  unshift(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#slots.length - 1);
    this.#slots[this.#head] = item;
    this.#length += 1;
  }

  /** Drops the oldest. */
  shift(): void {
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#length -= 1;
  }

  /** Keeps what `keep` says, in order. */
  filter(keep: (item: T) => boolean): void {
    const kept: T[] = [];
    for (let i = 0; i < this.#length; i++) if (keep(this.at(i))) kept.push(this.at(i));
    this.#slots.fill(undefined);
    this.#head = 0;
    this.#length = kept.length;
    for (const [i, item] of kept.entries()) this.#slots[i] = item;
  }

  #grow(): void {
    const slots: (T | undefined)[] = Array.from({ length: 2 * this.#slots.length });
    for (let i = 0; i < this.#length; i++) slots[i] = this.at(i);
    this.#slots = slots;
    this.#head = 0;
  }
}
