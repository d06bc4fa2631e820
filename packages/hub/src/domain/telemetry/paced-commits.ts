import type { Clock, Timer } from "@hubwire/transport";
import type { TelemetryStore } from "../ports.ts";

/**
 * How long news of a commit may wait for the next one. Under load there are a thousand commits a second, and a reader that
 * reads after each of them costs the hub half as much again; what a reader waits for is far less than its way to the hub.
 */
export const commitNewsEveryMs = 10;

/** The log for readers: told of a commit at once after a quiet time, and under load of several together. */
export function pacedLog(
  store: TelemetryStore,
  clock: Clock,
): Pick<TelemetryStore, "partitionCount" | "partition" | "read"> & {
  onCommit(listener: () => void): () => void;
} {
  return {
    partitionCount: store.partitionCount,
    partition: (index) => store.partition(index),
    read: (partition, from, limits) => store.read(partition, from, limits),
    onCommit(listener) {
      let timer: Timer | undefined;
      let quietAtMs = -Infinity;
      const tell = (): void => {
        timer = undefined;
        quietAtMs = clock.nowMs() + commitNewsEveryMs;
        listener();
      };
      const unsubscribe = store.onCommit(() => {
        if (timer !== undefined) return;
        if (clock.nowMs() >= quietAtMs) tell();
        else timer = clock.at(quietAtMs, tell);
      });
      return () => {
        unsubscribe();
        timer?.cancel();
      };
    },
  };
}
