import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Backoff } from "../../src/retry/index.ts";
import "../long-runs.ts";

const NEARLY_ONE = 1 - 2 ** -53;

describe("back-off", () => {
  test("the ceiling doubles from 2 s to 30 s, the floor stays at 1 s", () => {
    const highest = new Backoff();
    const lowest = new Backoff();
    const waits = [1, 2, 3, 4, 5, 6, 7].map(() => [
      lowest.failed(0, 0),
      highest.failed(0, NEARLY_ONE),
    ]);
    expect(waits.map(([low]) => low)).toEqual([1000, 1000, 1000, 1000, 1000, 1000, 1000]);
    expect(waits.map(([, high]) => high)).toEqual([2000, 4000, 8000, 16000, 30000, 30000, 30000]);
  });

  test("the deadline is there while a try waits, and only then", () => {
    const backoff = new Backoff();
    expect(backoff.deadlineMs).toBe(Infinity);
    backoff.failed(500, 0);
    expect(backoff.deadlineMs).toBe(1500);
    backoff.started();
    expect(backoff.deadlineMs).toBe(Infinity);
    backoff.failed(1600, 0);
    backoff.succeeded(2600);
    expect(backoff.deadlineMs).toBe(Infinity);
  });

  test("a success that does not last does not start the waits anew", () => {
    const backoff = new Backoff({ stableMs: 60_000 });
    for (let i = 0; i < 3; i++) backoff.failed(0, NEARLY_ONE);
    backoff.succeeded(10_000);
    expect(backoff.failed(69_999, NEARLY_ONE)).toBe(16_000);
    backoff.succeeded(100_000);
    expect(backoff.failed(160_000, NEARLY_ONE)).toBe(2000);
    expect(backoff.failures).toBe(1);
  });

  test("the time before a failed try does not count as stable", () => {
    const backoff = new Backoff({ stableMs: 60_000 });
    backoff.succeeded(0);
    backoff.failed(1000, 0);
    expect(backoff.failed(200_000, NEARLY_ONE)).toBe(4000);
  });

  test("reset forgets", () => {
    const backoff = new Backoff();
    for (let i = 0; i < 5; i++) backoff.failed(0, NEARLY_ONE);
    backoff.reset();
    expect([backoff.deadlineMs, backoff.failures]).toEqual([Infinity, 0]);
    expect(backoff.failed(0, NEARLY_ONE)).toBe(2000);
  });

  test("the slow pace starts at four times the floor, ends at its own ceiling, and takes no success for stability", () => {
    const highest = new Backoff({ slowMaxMs: 100_000 });
    const waits = [1, 2, 3, 4, 5, 6].map(() => highest.failed(0, NEARLY_ONE, "slow"));
    expect(waits).toEqual([8000, 16000, 32000, 64000, 100_000, 100_000]);
    highest.succeeded(1_000);
    expect(highest.failed(1_000_000, 0, "slow")).toBe(4000);
    expect(highest.failures).toBe(7);
    expect(new Backoff({ maxMs: 2_000 }).failed(0, NEARLY_ONE, "slow")).toBe(8_000);
  });

  test("the first wait after a success that lasted is spread, the next is not", () => {
    const backoff = new Backoff({ spreadMs: 10_000 });
    expect(backoff.failed(0, NEARLY_ONE)).toBe(2000);
    backoff.succeeded(2_000);
    expect(backoff.failed(62_000, NEARLY_ONE)).toBe(10_000);
    expect(backoff.failed(72_000, NEARLY_ONE)).toBe(4000);
    backoff.succeeded(76_000);
    expect(backoff.failed(200_000, 0)).toBe(1000);
    const short = new Backoff({ spreadMs: 10_000, maxMs: 3_000 });
    short.succeeded(0);
    expect(short.failed(60_000, NEARLY_ONE)).toBe(3000);
  });

  test("a waiting try can be hastened, never put off", () => {
    const backoff = new Backoff();
    backoff.hasten(10);
    expect(backoff.deadlineMs).toBe(Infinity);
    backoff.failed(0, NEARLY_ONE);
    backoff.hasten(5_000);
    expect(backoff.deadlineMs).toBe(2000);
    backoff.hasten(500);
    expect(backoff.deadlineMs).toBe(500);
  });

  test("any history and any randomness keep the wait within bounds", () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const options = fc.record({ minMs: fc.nat(10_000), maxMs: fc.nat(100_000) });
    fc.assert(
      fc.property(options, fc.array(random, { maxLength: 60 }), (bounds, history) => {
        const backoff = new Backoff(bounds);
        let now = 0;
        for (const one of history) {
          const waitMs = backoff.failed(now, one);
          expect(waitMs).toBeGreaterThanOrEqual(bounds.minMs);
          expect(waitMs).toBeLessThanOrEqual(Math.max(bounds.minMs, bounds.maxMs));
          now = backoff.deadlineMs;
        }
      }),
    );
  });
});
