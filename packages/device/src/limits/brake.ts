/** Part of the rate that is given back at a time, and the least that is left. */
const step = 1 / 16;
/** "Wait 10 seconds and try again", as IoT Hub's 429 says. */
const pauseMs = 10_000;
/** How long nothing must be throttled before a step is given back. */
const calmMs = 10_000;

/**
 * What to make of a hub that says it is throttling: stop for ten seconds (and up to half as long again at random, so that
 * devices do not come back together), then go on at half the rate, and give back a sixteenth of it every ten seconds. The
 * rate never falls below a sixteenth; answers that arrive while it is stopped belong to the same throttling and change
 * nothing. From the bottom to the full rate takes two and a half minutes.
 */
export class Brake {
  #share = 1;
  #stoppedUntilMs = -Infinity;
  #nextStepMs = Infinity;

  /** @param random in [0, 1) */
  throttled(nowMs: number, random: number): void {
    if (nowMs < this.#stoppedUntilMs) return;
    this.#share = Math.max(step, this.shareAt(nowMs) / 2);
    this.#stoppedUntilMs = nowMs + pauseMs * (1 + random / 2);
    this.#nextStepMs = this.#stoppedUntilMs + calmMs;
  }

  /** Nothing goes before this time. */
  get stoppedUntilMs(): number {
    return this.#stoppedUntilMs;
  }

  /** Part of the full rate that may be used now: 1 when all is well. */
  shareAt(nowMs: number): number {
    while (this.#share < 1 && nowMs >= this.#nextStepMs) {
      this.#share = Math.min(1, this.#share + step);
      this.#nextStepMs += calmMs;
    }
    return this.#share;
  }
}
