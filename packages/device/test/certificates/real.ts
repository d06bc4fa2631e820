import type { VirtualClock } from "@hubwire/transport";

/** Turns of the event loop after which something never happens. */
const turnsMax = 200_000;

/** Waits for what takes real time (making a key, signing, writing a file) while virtual time stands still. */
export async function untilTrue(
  { clock }: { clock: VirtualClock },
  predicate: () => boolean,
): Promise<void> {
  for (let turns = 0; turns < turnsMax; turns++) {
    await clock.settle();
    if (predicate()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error("it did not happen");
}
