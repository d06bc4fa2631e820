import { VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { commitNewsEveryMs, pacedLog } from "../../src/domain/telemetry/paced-commits.ts";
import type { TelemetryStore } from "../../src/domain/ports.ts";

/** A store of which only the commits are looked at. */
function world() {
  const clock = new VirtualClock();
  const listeners = new Set<(ordinal: number) => void>();
  const store = {
    partitionCount: 1,
    onCommit: (listener: (ordinal: number) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as TelemetryStore;
  const log = pacedLog(store, clock);
  const told: number[] = [];
  const stop = log.onCommit(() => told.push(clock.nowMs()));
  const commit = (): void => {
    for (const listener of listeners) listener(1);
  };
  return { clock, told, stop, commit, listeners };
}

test("after a quiet time a commit is told at once", async () => {
  const { clock, told, commit } = world();
  commit();
  await clock.advance(1_000);
  commit();
  expect(told).toEqual([0, 1_000]);
});

test("under load commits are told of together, and the last one is never forgotten", async () => {
  const { clock, told, commit } = world();
  for (let ms = 0; ms < 100; ms += 1) {
    commit();
    await clock.advance(1);
  }
  await clock.advance(commitNewsEveryMs);
  // The last commit, at 99 ms, is among what is told at 100.
  expect(told).toEqual(Array.from({ length: 11 }, (_, n) => n * commitNewsEveryMs));
});

test("who has unsubscribed is told nothing more, not even what was waiting", async () => {
  const { clock, told, stop, commit, listeners } = world();
  commit();
  commit();
  stop();
  await clock.advance(1_000);
  expect(told).toEqual([0]);
  expect(listeners.size).toBe(0);
});
