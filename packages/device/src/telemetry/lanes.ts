import type { Lane } from "./lane.ts";

/** A lane that could send and was passed over so often is served next: nothing waits for ever. */
const passedOverMax = 16;

/**
 * The lane to serve: the most urgent one that may send, unless a less urgent one waited long enough.
 * @param lanes least urgent first
 * @param mayWhen 0 when a lane may send now, Infinity when it has nothing, else when to ask again
 * @returns the lane, or when to ask again
 */
export function nextLane(lanes: readonly Lane[], mayWhen: (lane: Lane) => number): Lane | number {
  let chosen: Lane | undefined;
  let againAtMs = Infinity;
  for (let i = lanes.length - 1; i >= 0; i--) {
    const lane = lanes[i] as Lane;
    if (lane.head() === undefined) continue;
    const atMs = mayWhen(lane);
    if (atMs > 0) againAtMs = Math.min(againAtMs, atMs);
    else if (chosen === undefined) chosen = lane;
    else if (lane.passedOver >= passedOverMax) {
      chosen.passedOver += 1;
      chosen = lane;
    } else lane.passedOver += 1;
  }
  if (chosen === undefined) return againAtMs;
  chosen.passedOver = 0;
  return chosen;
}
