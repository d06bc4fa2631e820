import type { Credential } from "../credentials/provider.ts";

/** How often the wall clock is looked at, so that a jump (NTP, a person) moves the renewal with it. */
const lookEveryMs = 15_000;

/**
 * When the password of this connection has to be replaced. A token's end is a wall-clock time, timers are monotonic: the
 * wall clock may be set either way while we wait, so it is asked again and again. Whatever it says, a token is never used
 * longer than its lifetime by the monotonic clock: a wall clock set back must not make us miss the hub's cut.
 */
export class TokenClock {
  readonly #expiresAtMs: number;
  readonly #renewBeforeMs: number;
  /** Monotonic: the lifetime has passed. */
  readonly #endsMs: number;
  readonly #renewable: boolean;
  #nextLookMs: number;

  constructor(
    credential: Pick<Credential, "expiresAtMs" | "renewable">,
    renewBeforeS: number | undefined,
    wallMs: number,
    nowMs: number,
  ) {
    const lifetimeMs = Math.max(0, credential.expiresAtMs - wallMs);
    this.#expiresAtMs = credential.expiresAtMs;
    this.#renewable = credential.renewable && credential.expiresAtMs !== Infinity;
    this.#renewBeforeMs = Math.min(
      renewBeforeS === undefined ? Math.floor(lifetimeMs / 7) : renewBeforeS * 1000,
      lifetimeMs / 2,
    );
    this.#endsMs = nowMs + lifetimeMs;
    this.#nextLookMs = nowMs;
  }

  /** Unix milliseconds; `Infinity` when there is no known end. */
  get expiresAtMs(): number {
    return this.#expiresAtMs;
  }

  /** Monotonic milliseconds: when `due` is next worth asking. */
  get deadlineMs(): number {
    return this.#renewable ? this.#nextLookMs : Infinity;
  }

  /** Whether it is time for a new password. */
  due(wallMs: number, nowMs: number): boolean {
    if (!this.#renewable) return false;
    const dueInMs = this.leftMs(wallMs, nowMs) - this.#renewBeforeMs;
    this.#nextLookMs = nowMs + Math.min(Math.max(dueInMs, 0), lookEveryMs);
    return dueInMs <= 0;
  }

  /** A renewal failed: ask again after a quarter of what is left, at least half a second, at most five. */
  postpone(wallMs: number, nowMs: number): void {
    const waitMs = Math.min(Math.max(this.leftMs(wallMs, nowMs) / 4, 500), 5_000);
    this.#nextLookMs = nowMs + waitMs;
  }

  /** What is left of the token. */
  leftMs(wallMs: number, nowMs: number): number {
    return Math.min(this.#expiresAtMs - wallMs, this.#endsMs - nowMs);
  }
}
