import { channels } from "./channels.ts";
import type { Counters } from "./stats.ts";

/** Tells the channel too what the option `onError` is told. */
export const alsoOnChannel =
  (onError: (error: unknown, where: string) => void, stats: Counters) =>
  (error: unknown, where: string): void => {
    if (channels.error.hasSubscribers) {
      channels.error.publish({ device: stats.device, where, error });
    }
    onError(error, where);
  };
