import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TokenBucket } from "../../src/quotas/index.ts";
import "../long-runs.ts";

describe("token bucket", () => {
  test("lets a burst through and then the rate", () => {
    const bucket = new TokenBucket(10, 0);
    for (let i = 0; i < 10; i++) {
      expect(bucket.readyAtMs(1, 0)).toBe(0);
      bucket.take(1);
    }
    expect(bucket.readyAtMs(1, 0)).toBe(100);
    expect(bucket.readyAtMs(1, 99)).toBe(100);
    expect(bucket.readyAtMs(1, 100)).toBe(0);
  });

  test("a slow rate still lets one through at once", () => {
    const bucket = new TokenBucket(0.1, 0);
    expect(bucket.readyAtMs(1, 0)).toBe(0);
    bucket.take(1);
    expect(bucket.readyAtMs(1, 0)).toBe(10_000);
  });

  test("no more than the burst gathers, however long it is quiet", () => {
    const bucket = new TokenBucket(5, 0, 8);
    let taken = 0;
    while (bucket.readyAtMs(1, 1e9) === 0) {
      bucket.take(1);
      taken += 1;
    }
    expect(taken).toBe(8);
  });

  test("what is larger than the burst goes when the bucket is full, and is paid for afterwards", () => {
    const bucket = new TokenBucket(10, 0);
    expect(bucket.readyAtMs(25, 0)).toBe(0);
    bucket.take(25);
    expect(bucket.readyAtMs(1, 0)).toBe(1_600);
  });

  test("time that goes back adds nothing and breaks nothing", () => {
    const bucket = new TokenBucket(1, 10_000);
    expect(bucket.readyAtMs(1, 5_000)).toBe(0);
    bucket.take(1);
    expect(bucket.readyAtMs(1, 5_000)).toBe(11_000);
    expect(bucket.readyAtMs(1, 10_999)).toBe(11_000);
    expect(bucket.readyAtMs(1, 11_000)).toBe(0);
  });

  test("after draining the next token is one interval away", () => {
    const bucket = new TokenBucket(4, 0);
    bucket.drain(1_000);
    expect(bucket.readyAtMs(1, 1_000)).toBe(1_250);
    bucket.setRate(2, 1_000);
    expect(bucket.readyAtMs(1, 1_000)).toBe(1_500);
  });

  test("drained ahead, nothing gathers until then", () => {
    const bucket = new TokenBucket(4, 0);
    bucket.drain(9_000);
    expect(bucket.readyAtMs(1, 2_000)).toBe(9_250);
    expect(bucket.readyAtMs(1, 9_249)).toBe(9_250);
    expect(bucket.readyAtMs(1, 9_250)).toBe(0);
  });

  const worlds = fc.record({
    perS: fc.double({ min: 0.01, max: 10_000, noNaN: true }),
    burst: fc.integer({ min: 1, max: 1_000 }),
    asks: fc.array(fc.record({ stepMs: fc.nat(20_000), cost: fc.integer({ min: 1, max: 20 }) }), {
      maxLength: 200,
    }),
  });

  test("in no span of time passes more than the burst and what the rate brought", () => {
    fc.assert(
      fc.property(worlds, ({ perS, burst, asks }) => {
        const bucket = new TokenBucket(perS, 0, burst);
        const passed: { atMs: number; cost: number }[] = [];
        let nowMs = 0;
        let largest = 0;
        for (const { stepMs, cost } of asks) {
          nowMs += stepMs;
          if (bucket.readyAtMs(cost, nowMs) !== 0) continue;
          bucket.take(cost);
          passed.push({ atMs: nowMs, cost });
          largest = Math.max(largest, cost);
        }
        for (let from = 0; from < passed.length; from++) {
          let sum = 0;
          for (let to = from; to < passed.length; to++) {
            sum += passed[to]!.cost;
            const spanS = (passed[to]!.atMs - passed[from]!.atMs) / 1000;
            const debt = Math.max(0, largest - burst);
            expect(sum).toBeLessThanOrEqual(burst + debt + perS * spanS + 1e-6);
          }
        }
      }),
    );
  });

  test("whoever asks again at the time he was told is let through, and never at the time he asked", () => {
    fc.assert(
      fc.property(worlds, ({ perS, burst, asks }) => {
        const bucket = new TokenBucket(perS, 0, burst);
        let nowMs = 0;
        for (const { stepMs, cost } of asks) {
          nowMs += stepMs;
          const readyAtMs = bucket.readyAtMs(cost, nowMs);
          if (readyAtMs !== 0) {
            expect(readyAtMs).toBeGreaterThan(nowMs);
            nowMs = readyAtMs;
            expect(bucket.readyAtMs(cost, nowMs)).toBe(0);
          }
          bucket.take(cost);
        }
      }),
    );
  });
});
