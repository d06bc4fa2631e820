/** Values from events to an async loop: pushed as they come, taken one at a time, ended once by an error. Bounded by whoever pushes. */
export class Queue<T> {
  #values: T[] = [];
  #head = 0;
  #end: { error: unknown } | undefined;
  #waiting: { resolve: (value: T) => void; reject: (error: unknown) => void } | undefined;

  get size(): number {
    return this.#values.length - this.#head;
  }

  push(value: T): void {
    if (this.#end !== undefined) return;
    const waiting = this.#waiting;
    if (waiting === undefined) {
      this.#values.push(value);
      return;
    }
    this.#waiting = undefined;
    waiting.resolve(value);
  }

  /** What was pushed before is still taken first. */
  fail(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  /** One caller at a time. Rejects with what `fail` was given. */
  next(): Promise<T> {
    if (this.size > 0) {
      const value = this.#values[this.#head++] as T;
      if (this.#head >= 1024) {
        this.#values.splice(0, this.#head);
        this.#head = 0;
      }
      return Promise.resolve(value);
    }
    if (this.#end !== undefined) return Promise.reject(this.#end.error);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }
}
