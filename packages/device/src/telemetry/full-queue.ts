import { IotError } from "@hubwire/protocol";
import type { OutboxSettings } from "../outbox/outbox-settings.ts";
import type { Lane } from "./lane.ts";

/** What is done about a message that no room is left for: a victim's lane, or an error for the new one. */
export type Verdict = Lane | IotError;

/** @param lanes least urgent first */
export function whoGives(
  { whenFull }: OutboxSettings,
  lanes: readonly Lane[],
  priority: number,
  full: string,
): Verdict {
  switch (whenFull) {
    case "refuse":
      return new IotError("device.queue_full", full);
    case "drop-newest":
      return new IotError("device.dropped_newest", full);
    case "drop-oldest":
      // All of it is on its way already: nothing can be given up.
      return oldest(lanes) ?? new IotError("device.queue_full", full);
    case "drop-lowest-priority":
      return (
        lanes.find((lane) => lane.priority < priority && isWaiting(lane)) ??
        new IotError("device.dropped_priority", full)
      );
  }
}

const isWaiting = (lane: Lane): boolean => lane.head() !== undefined || lane.storedCount > 0;

/** Whose next message was accepted first. One that only the disk knows is behind all that are in memory: it counts as new. */
function oldest(lanes: readonly Lane[]): Lane | undefined {
  let found: Lane | undefined;
  let sinceMs = Infinity;
  for (const lane of lanes) {
    if (!isWaiting(lane)) continue;
    const acceptedAtMs = lane.head()?.acceptedAtMs ?? Number.MAX_VALUE;
    if (acceptedAtMs >= sinceMs) continue;
    found = lane;
    sinceMs = acceptedAtMs;
  }
  return found;
}
