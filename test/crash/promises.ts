/** What was promised and not kept, a sentence each; a handful says as much as all. */
export class Promises {
  readonly broken: string[] = [];

  broke(sentence: string): void {
    if (this.broken.length < 10) this.broken.push(sentence);
  }

  check(): void {
    if (this.broken.length > 0) throw new BrokenPromise(this.broken.join("\n"));
  }
}

/** The hub did not keep a promise; anything else that is thrown is the test's own trouble. */
export class BrokenPromise extends Error {
  override readonly name = "BrokenPromise";
}
