/** Undefined when everything can be written; else why not, in words. */
export type UnhealthyReason = string | undefined;

/** One reason out of several parts (documents, telemetry), and news when the first appears or the last goes. */
export class Health {
  readonly #reasons = new Map<string, string>();
  readonly #listeners = new Set<(reason: UnhealthyReason) => void>();
  #last: UnhealthyReason;

  get reason(): UnhealthyReason {
    return this.#last;
  }

  onChange(listener: (reason: UnhealthyReason) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells how one part is; repeating oneself is silent. */
  set(part: string, reason: UnhealthyReason): void {
    if (reason === undefined) this.#reasons.delete(part);
    else this.#reasons.set(part, reason);
    const joined =
      this.#reasons.size === 0
        ? undefined
        : [...this.#reasons].map(([name, why]) => `${name}: ${why}`).join("; ");
    if (joined === this.#last) return;
    this.#last = joined;
    for (const listener of this.#listeners) listener(joined);
  }
}
