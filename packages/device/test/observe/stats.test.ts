import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Histogram, roundTripEdgesMs } from "../../src/observe/histogram.ts";
import { Counters } from "../../src/observe/stats.ts";

describe("round-trip histogram", () => {
  test("counts up to and including an edge, and what is above the last", () => {
    const histogram = new Histogram();
    for (const ms of [0, 1, 1.5, 2, 60_000, 60_001, 1e9, -5]) histogram.record(ms);
    const { buckets, ...rest } = histogram.snapshot();
    expect(rest).toEqual({ count: 8, sumMs: 1e9 + 120_005.5, minMs: 0, maxMs: 1e9 });
    const counted = buckets.filter(({ count }) => count > 0);
    expect(counted).toEqual([
      { upToMs: 1, count: 3 },
      { upToMs: 2, count: 2 },
      { upToMs: 60_000, count: 1 },
      { upToMs: Infinity, count: 2 },
    ]);
  });

  test("nothing counted: no smallest and no largest", () => {
    const snapshot = new Histogram().snapshot();
    expect(snapshot).toMatchObject({ count: 0, sumMs: 0, minMs: undefined, maxMs: undefined });
    expect(snapshot.buckets.map(({ upToMs }) => upToMs)).toEqual([...roundTripEdgesMs, Infinity]);
  });

  test("every value is in the one bucket it belongs to", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 100_000, noNaN: true }), (ms) => {
        const histogram = new Histogram();
        histogram.record(ms);
        const { buckets } = histogram.snapshot();
        const at = buckets.findIndex(({ count }) => count === 1);
        expect(ms).toBeLessThanOrEqual(buckets[at]!.upToMs);
        if (at > 0) expect(ms).toBeGreaterThan(buckets[at - 1]!.upToMs);
      }),
    );
  });
});

test("a snapshot is a copy: what happens later is not in it", () => {
  const counters = new Counters({ hostName: "hub.example", deviceId: "d1" });
  counters.dropped.expired += 1;
  const before = counters.snapshot();
  counters.sent += 1;
  counters.dropped.expired += 1;
  counters.roundTrip.record(5);
  expect(before).toMatchObject({ sent: 0, dropped: { expired: 1 }, roundTrip: { count: 0 } });
  expect(counters.snapshot()).toMatchObject({
    sent: 1,
    dropped: { expired: 2 },
    roundTrip: { count: 1, sumMs: 5 },
  });
  expect(JSON.parse(JSON.stringify(before))).toMatchObject({ sent: 0 });
});
