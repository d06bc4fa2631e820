import { channels } from "./channels.ts";
import type { Counters, DropReason } from "./stats.ts";

/** For the hot path: nothing but a look whether anybody listens. */

export function tellSent(stats: Counters, bytes: number, qos: 0 | 1, again: boolean): void {
  if (channels.sent.hasSubscribers) {
    channels.sent.publish({ device: stats.device, bytes, qos, again });
  }
}

export function tellAcknowledged(stats: Counters, roundTripMs: number): void {
  if (channels.acknowledged.hasSubscribers) {
    channels.acknowledged.publish({ device: stats.device, roundTripMs });
  }
}

export function tellDropped(
  stats: Counters,
  reason: DropReason,
  messageId: string | undefined,
): void {
  if (channels.dropped.hasSubscribers) {
    channels.dropped.publish({ device: stats.device, reason, messageId });
  }
}
