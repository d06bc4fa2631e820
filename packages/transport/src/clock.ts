/** A timer that can be called off. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as the rest of Hubwire sees it. Two clocks in one: the wall clock, which people and tokens use and which may jump,
 * and the monotonic clock, which deadlines use and which never goes back.
 */
export interface Clock {
  /** Unix time in milliseconds; may jump either way. */
  wallMs(): number;
  /** Milliseconds since some fixed moment; never goes back. */
  nowMs(): number;
  /** Calls back once, as soon as `nowMs() >= atMs`; `Infinity` never does. */
  at(atMs: number, callback: () => void): Timer;
  /** Calls back once, after everything that is ready in this turn of the event loop. */
  endOfTurn(callback: () => void): void;
}
