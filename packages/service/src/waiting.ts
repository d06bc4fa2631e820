import { IotError } from "@hubwire/protocol";

/** The life of one call: its caller's signal and its deadline, whichever comes first. */
export type Deadline = {
  readonly signal: AbortSignal;
  /** Milliseconds left. */
  leftMs(): number;
  /**
   * The outcome of `work`, or the reason the call is over, even if `work` never ends.
   * @throws IotError `call.aborted`, `call.timeout`
   */
  race<T>(work: Promise<T>): Promise<T>;
  /** Waits; ends with the call. */
  sleep(ms: number): Promise<void>;
  /** Takes the timer away. */
  done(): void;
};

export function startDeadline(
  what: string,
  timeoutMs: number,
  outer: AbortSignal | undefined,
): Deadline {
  const controller = new AbortController();
  const startedMs = performance.now();
  const onAbort = (): void =>
    controller.abort(new IotError("call.aborted", `${what} was aborted`, { cause: outer?.reason }));
  if (outer?.aborted === true) onAbort();
  else outer?.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(
    () =>
      controller.abort(
        new IotError("call.timeout", `${what} has no answer after ${timeoutMs / 1000} s`),
      ),
    timeoutMs,
  );
  const { signal } = controller;
  const over = new Promise<never>((_, reject) => {
    const fail = (): void => reject(signal.reason as IotError);
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail, { once: true });
  });
  over.catch(() => {});
  const race = <T>(work: Promise<T>): Promise<T> => {
    work.catch(() => {});
    return Promise.race([work, over]);
  };
  return {
    signal,
    leftMs: () => timeoutMs - (performance.now() - startedMs),
    race,
    async sleep(ms) {
      let wake: ReturnType<typeof setTimeout> | undefined;
      try {
        await race(new Promise<void>((resolve) => (wake = setTimeout(resolve, ms))));
      } finally {
        clearTimeout(wake);
      }
    },
    done() {
      clearTimeout(timer);
      outer?.removeEventListener("abort", onAbort);
    },
  };
}

/** `work`, or an `IotError` `call.aborted` when the signal aborts first. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new IotError("call.aborted", "Reading was aborted"));
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
