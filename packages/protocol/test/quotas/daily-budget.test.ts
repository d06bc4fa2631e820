import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DailyBudget } from "../../src/quotas/index.ts";
import "../long-runs.ts";

const noon = Date.UTC(2026, 4, 20, 12);
const midnight = Date.UTC(2026, 4, 21);
const hourMs = 3_600_000;

describe("daily budget", () => {
  test.each([
    [4_096, 0, 1],
    [4_096, 1, 1],
    [4_096, 4_096, 1],
    [4_096, 4_097, 2],
    [4_096, 262_144, 64],
    [512, 513, 2],
    [512, 4_096, 8],
  ])("with a meter of %i bytes, %i bytes count as %i", (unitBytes, bytes, units) => {
    expect(new DailyBudget(10, unitBytes, noon).units(bytes)).toBe(units);
  });

  test("is spent, and is whole again at midnight UTC", () => {
    const budget = new DailyBudget(3, 4_096, noon);
    budget.spend(2, noon);
    expect(budget.left(noon)).toBe(1);
    expect(budget.allows(2, noon)).toBe(false);
    expect(budget.allows(1, noon)).toBe(true);
    budget.spend(1, noon);
    expect(budget.allows(1, midnight - 1)).toBe(false);
    expect(budget.resetsAtMs(noon)).toBe(midnight);
    expect(budget.allows(3, midnight)).toBe(true);
    expect(budget.resetsAtMs(midnight)).toBe(midnight + 24 * hourMs);
  });

  test("a message larger than a whole day's budget may be the first of a day", () => {
    const budget = new DailyBudget(3, 4_096, noon);
    expect(budget.allows(64, noon)).toBe(true);
    budget.spend(64, noon);
    expect(budget.left(noon)).toBe(0);
    expect(budget.allows(1, noon)).toBe(false);
    expect(budget.used(midnight)).toBe(0);
  });

  test("a clock that trembles around midnight hands out one new budget, not many", () => {
    const budget = new DailyBudget(2, 4_096, midnight - 1);
    budget.spend(2, midnight - 1);
    budget.spend(2, midnight);
    for (let i = 0; i < 10; i++) {
      expect(budget.left(midnight - 1)).toBe(0);
      expect(budget.left(midnight + 1)).toBe(0);
    }
  });

  test("a clock that was days ahead and is set right keeps what was used and resets at the right midnight", () => {
    const budget = new DailyBudget(2, 4_096, noon + 3_650 * 24 * hourMs);
    budget.spend(2, noon + 3_650 * 24 * hourMs);
    expect(budget.left(noon)).toBe(0);
    expect(budget.resetsAtMs(noon)).toBe(midnight);
    expect(budget.left(midnight)).toBe(2);
  });

  test("a device that begins in 1970 gets the budget of the day once it knows it", () => {
    const budget = new DailyBudget(2, 4_096, 0);
    budget.spend(1, 5_000);
    expect(budget.left(noon)).toBe(2);
  });

  test("what the hub sends may overspend it, and left stays at zero", () => {
    const budget = new DailyBudget(1, 4_096, noon);
    budget.spend(5, noon);
    expect(budget.used(noon)).toBe(5);
    expect(budget.left(noon)).toBe(0);
  });

  test("while the clock only goes forward no day passes more than the limit, one oversized message aside", () => {
    const step = fc.record({
      stepMs: fc.nat(6 * hourMs),
      bytes: fc.nat(20_000),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.array(step, { maxLength: 300 }),
        (limit, steps) => {
          const budget = new DailyBudget(limit, 4_096, noon);
          const passed = new Map<number, number[]>();
          let wallMs = noon;
          for (const { stepMs, bytes } of steps) {
            wallMs += stepMs;
            const units = budget.units(bytes);
            if (!budget.allows(units, wallMs)) continue;
            budget.spend(units, wallMs);
            const day = Math.floor(wallMs / (24 * hourMs));
            passed.set(day, [...(passed.get(day) ?? []), units]);
          }
          for (const units of passed.values()) {
            const sum = units.reduce((a, b) => a + b, 0);
            expect(sum <= limit || units.length === 1).toBe(true);
          }
        },
      ),
    );
  });

  test("however the clock jumps, a budget is given back only when a later day begins", () => {
    const days = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(days, (walls) => {
        const budget = new DailyBudget(5, 4_096, 0);
        let before = 0;
        let latest = 0;
        for (const day of walls) {
          const wallMs = day * 24 * hourMs + 7;
          const used = budget.used(wallMs);
          expect([0, before]).toContain(used);
          if (used === 0 && before > 0) expect(day).toBeGreaterThan(latest);
          const next = budget.resetsAtMs(wallMs) / (24 * hourMs) - 1;
          expect(next - day).toBeGreaterThanOrEqual(0);
          expect(next - day).toBeLessThanOrEqual(1);
          latest = next;
          budget.spend(1, wallMs);
          before = used + 1;
        }
      }),
    );
  });
});
