import { IotError } from "@hubwire/protocol";
import { abortable } from "../waiting.ts";

/** Something to read from that ends with an error when its connection does. */
export type Source<T> = {
  next(): Promise<T>;
  close(): Promise<void>;
};

export type ReconnectOptions = {
  /** First wait, milliseconds; doubles up to `delayMsMax`. Default 250 ms. */
  delayMsMin?: number;
  /** Default 30 s. */
  delayMsMax?: number;
  /** Told before each wait, for people who watch. */
  onReconnecting?: (error: IotError, delayMs: number) => void;
};

/** What another try at once, or ever, would not change. */
const final = new Set<string>(["service.link_stolen", "service.unknown_address"]);

/** Whether a source that ended so is worth opening again. */
export const isWorthRetrying = (error: unknown): error is IotError =>
  error instanceof IotError && error.retryable && !final.has(error.code);

/**
 * Reads from one source after the other: when one is lost the next is opened, with growing waits. The first must open: whoever
 * starts to read is told at once why it cannot be.
 * Ends quietly when `signal` aborts.
 */
export async function* readResiliently<T>(
  open: (signal: AbortSignal) => Promise<Source<T>>,
  signal: AbortSignal,
  options: ReconnectOptions = {},
): AsyncGenerator<T, void, undefined> {
  const { delayMsMin = 250, delayMsMax = 30_000, onReconnecting } = options;
  let attempt = 0;
  let hasOpened = false;
  while (!signal.aborted) {
    let source: Source<T> | undefined;
    try {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      source = await open(signal);
      hasOpened = true;
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const value = await abortable(source.next(), signal);
        attempt = 0;
        yield value;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!hasOpened || !isWorthRetrying(error)) throw error;
      const delayMs = Math.min(delayMsMax, delayMsMin * 2 ** Math.min(attempt++, 20));
      onReconnecting?.(error, delayMs);
      // oxlint-disable-next-line no-await-in-loop -- that is the point
      await pause(delayMs, signal);
    } finally {
      // oxlint-disable-next-line no-await-in-loop -- before the next one
      await source?.close();
    }
  }
}

/** Ends early, and quietly, when the signal aborts. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
