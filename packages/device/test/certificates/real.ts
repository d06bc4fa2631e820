import type { World } from "../support/world.ts";

/** Turns of the event loop after which something never happens. */
const turnsMax = 200_000;

/** Waits for what takes real time (making a key, signing) while virtual time stands still. */
export async function untilTrue(world: World, predicate: () => boolean): Promise<void> {
  for (let turns = 0; turns < turnsMax; turns++) {
    await world.clock.settle();
    if (predicate()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error("it did not happen");
}
