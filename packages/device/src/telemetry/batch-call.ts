/** One promise for several messages: fulfilled when all of them are, rejected with the first that is not. */
export class BatchCall {
  readonly promise: Promise<void>;
  readonly resolveOne = (): void => this.#resolveOne();
  readonly rejectOne = (error: Error): void => this.#reject(error);
  #left: number;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  constructor(messages: number) {
    this.#left = messages;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (messages === 0) this.#resolve();
  }

  #resolveOne(): void {
    this.#left -= 1;
    if (this.#left === 0) this.#resolve();
  }
}
