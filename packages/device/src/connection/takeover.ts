import type { CloseCause } from "@hubwire/transport";

/**
 * A hub lets one connection per identity live: a second client with the same id closes the first one's connection, without a
 * word. The first reconnects and closes the second's, and so on. One such end looks like any other; a series of them does
 * not, and these are its marks. They stand here together, because each alone would be wrong too often:
 *
 * - the hub closes, in order or by reset, and says nothing: an idle or broken network ends in time-outs instead;
 * - the connection was young: the other client comes back within its own back-off, which few stretch beyond a minute;
 * - the next attempt succeeds at once: a hub that restarts, or a network that fails, first refuses a few;
 * - four times within ten minutes: a balancer or a hub that is being updated does it once or twice.
 */
export const takeoverMarks = {
  youngMs: 60_000,
  /** While it is going on both sides back off and connections live longer: only one that lasts so long is peace. */
  peaceMs: 300_000,
  times: 4,
  withinMs: 600_000,
} as const;

/** Recognises that another client uses this identity. */
export class Takeover {
  #endsMs: number[] = [];
  #connectedAtMs = -Infinity;
  #fighting = false;

  /** Whether it is going on, as far as is known. */
  get fighting(): boolean {
    return this.#fighting;
  }

  /** Monotonic: when a connection that is up counts as peace; `Infinity` when there is no fight. */
  get peaceAtMs(): number {
    return this.#fighting ? this.#connectedAtMs + takeoverMarks.peaceMs : Infinity;
  }

  connected(nowMs: number): void {
    this.#connectedAtMs = nowMs;
  }

  /** An attempt failed: whatever ended the connections before, a second client does not do that. */
  attemptFailed(): void {
    this.#endsMs = [];
  }

  /** @returns how many ends it now takes for takeovers: those of the whole series when it recognises one, else 1 or 0 */
  ended(cause: CloseCause, nowMs: number): number {
    const { youngMs, peaceMs, times, withinMs } = takeoverMarks;
    const livedMs = nowMs - this.#connectedAtMs;
    if (!isWordless(cause) || livedMs >= (this.#fighting ? peaceMs : youngMs)) {
      this.#endsMs = [];
      if (livedMs >= peaceMs) this.#fighting = false;
      return 0;
    }
    if (this.#fighting) return 1;
    this.#endsMs = [...this.#endsMs.filter((endMs) => nowMs - endMs < withinMs), nowMs];
    if (this.#endsMs.length < times) return 0;
    this.#fighting = true;
    this.#endsMs = [];
    return times;
  }

  /** The connection lasted. */
  peace(): void {
    this.#fighting = false;
  }
}

/** Closed by the peer, in order or by reset; not by time-out, not by this side. */
function isWordless(cause: CloseCause): boolean {
  if (cause.by !== "peer") return false;
  const code = (cause.error as { code?: unknown } | undefined)?.code;
  return cause.error === undefined || code === "ECONNRESET" || code === "transport.reset";
}
