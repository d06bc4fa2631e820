import { ExitCode } from "./output.ts";

/**
 * The signal of a command that may be stopped halfway: the first Ctrl-C (or SIGTERM) aborts it, the second leaves at once.
 * `release` takes the handlers away again.
 */
export function onInterrupt(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) process.exit(ExitCode.interrupted);
    controller.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  const release = (): void => {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  };
  return { signal: controller.signal, release };
}

/** Runs `work` with such a signal. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { signal, release } = onInterrupt();
  try {
    return await work(signal);
  } finally {
    release();
  }
}
