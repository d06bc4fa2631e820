import { TokenBucket } from "@hubwire/protocol";
import { Brake } from "./brake.ts";

export type LaneOptions = {
  /** Operations per second; undefined for no limit of ours. */
  perS: number | undefined;
  /** Seconds of the rate that may go at once. */
  burstS: number;
  /** The rate to come down from when the hub throttles and there is no limit of ours. */
  throttledPerS: number;
};

/** One class of operations: its rate, lowered while the hub says it has too much. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #brake = new Brake();
  #bucket: TokenBucket | undefined;
  #share = 1;

  constructor(options: LaneOptions, nowMs: number) {
    this.#options = options;
    if (options.perS !== undefined) this.#bucket = this.#newBucket(options.perS, nowMs);
  }

  /** Whether asking is worth while at all. */
  get isOpen(): boolean {
    return this.#bucket === undefined;
  }

  shareAt(nowMs: number): number {
    return this.#brake.shareAt(nowMs);
  }

  /** 0, or the time when one more may go. */
  readyAtMs(nowMs: number): number {
    if (this.#bucket === undefined) return 0;
    const share = this.#brake.shareAt(nowMs);
    if (share !== this.#share) {
      this.#share = share;
      const { perS, throttledPerS } = this.#options;
      if (share === 1 && perS === undefined) {
        this.#bucket = undefined;
        return 0;
      }
      this.#bucket.setRate((perS ?? throttledPerS) * share, nowMs);
    }
    return this.#bucket.readyAtMs(1, nowMs);
  }

  take(): void {
    this.#bucket?.take(1);
  }

  throttled(nowMs: number, random: number): void {
    const { perS, throttledPerS } = this.#options;
    this.#brake.throttled(nowMs, random);
    this.#share = this.#brake.shareAt(nowMs);
    const bucket = (this.#bucket ??= this.#newBucket(throttledPerS, nowMs));
    bucket.setRate((perS ?? throttledPerS) * this.#share, nowMs);
    bucket.drain(this.#brake.stoppedUntilMs);
  }

  #newBucket(perS: number, nowMs: number): TokenBucket {
    return new TokenBucket(perS, nowMs, Math.max(1, perS * this.#options.burstS));
  }
}
