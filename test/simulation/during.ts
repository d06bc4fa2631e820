import type { VirtualClock } from "@hubwire/transport";

/** Runs `work` while virtual time goes on, until it is done. */
export async function during<T>(clock: VirtualClock, work: Promise<T>): Promise<T> {
  let done = false;
  const watched = work.finally(() => (done = true));
  watched.catch(() => {});
  // oxlint-disable-next-line no-await-in-loop -- time goes on in steps
  for (let step = 0; step < 100_000 && !done; step += 1) await clock.advance(50);
  if (!done) throw new Error("a step of the simulation never finished");
  return watched;
}
