import { describe, expect, test } from "vitest";
import { VirtualClock } from "@hubwire/transport";
import { Gate } from "../../src/limits/gate.ts";
import { gateOf } from "../../src/limits/gate-options.ts";
import { resolveLimits } from "../../src/limits/rate-limit.ts";
import type { LimitOptions } from "../../src/limits/rate-limit.ts";
import { Counters } from "../../src/observe/stats.ts";

const noon = Date.UTC(2026, 4, 20, 12);
const hourMs = 3_600_000;

function world(options: LimitOptions & { whenSpent?: "wait" | "refuse" } = {}) {
  const clock = new VirtualClock({ wallMs: noon });
  const stats = new Counters({ hostName: "hub.example", deviceId: "d1" });
  const gate = gateOf(options, { clock, random: () => 0, stats });
  /** How many of a kind go in so many milliseconds, asking again when told to. */
  const through = (
    kind: "telemetry" | "twinGet" | "twinReport",
    fromMs: number,
    untilMs: number,
  ) => {
    let count = 0;
    for (let nowMs = fromMs; nowMs < untilMs;) {
      const atMs = gate.admit(kind, 100, nowMs);
      if (atMs === 0) count += 1;
      else nowMs = atMs;
      if (count > 1_000_000) throw new Error("no limit");
    }
    return count;
  };
  return { clock, stats, gate, through };
}

describe("rate limit", () => {
  test("off: everything goes at once", () => {
    const { gate, stats } = world();
    for (let i = 0; i < 10_000; i++) expect(gate.admit("telemetry", 100, 0)).toBe(0);
    expect(stats.snapshot().limits).toEqual({
      waits: 0,
      refused: 0,
      twinShare: 1,
      budget: undefined,
    });
  });

  test("S1: a burst of one second and then a hundred per second; twins 100 reads, 50 updates", () => {
    const { through } = world({ rateLimit: "S1" });
    expect(through("telemetry", 0, 10_000)).toBe(100 + 999);
    expect(through("twinGet", 0, 10_000)).toBe(100 + 999);
    expect(through("twinReport", 0, 10_000)).toBe(50 + 499);
  });

  test("the classes do not take from each other", () => {
    const { gate } = world({ rateLimit: { telemetryPerS: 1, twinUpdatesPerS: 1 } });
    expect(gate.admit("telemetry", 1, 0)).toBe(0);
    expect(gate.admit("telemetry", 1, 0)).toBe(1_000);
    expect(gate.admit("twinReport", 1, 0)).toBe(0);
    expect(gate.admit("twinGet", 1, 0)).toBe(0);
    expect(gate.admit("method", 1, 0)).toBe(0);
    expect(gate.admit("c2dComplete", 1, 0)).toBe(0);
  });

  test.each<[LimitOptions, Partial<ReturnType<typeof resolveLimits>>]>([
    [{}, { telemetryPerS: undefined, messagesPerDay: undefined, meterBytes: 4_096 }],
    [{ rateLimit: "F1" }, { telemetryPerS: 100, messagesPerDay: 8_000, meterBytes: 512 }],
    [
      { rateLimit: { tier: "S2", units: 10, devices: 100 } },
      { telemetryPerS: 12, twinReadsPerS: 1, messagesPerDay: 600_000 },
    ],
    [
      { rateLimit: { tier: "S1", telemetryPerS: 0.1 }, dailyMessagesMax: 7 },
      { telemetryPerS: 0.1, twinReadsPerS: 100, messagesPerDay: 7 },
    ],
    // Basic has no twins: the hub's own refusal says so better than a wait for ever.
    [{ rateLimit: "B1" }, { telemetryPerS: 100, twinReadsPerS: undefined }],
    [{ rateLimit: { tier: "F1", devices: 10_000_000 } }, { messagesPerDay: 1 }],
  ])("%j means %j", (options, expected) => {
    expect(resolveLimits(options)).toMatchObject(expected);
  });

  test.each([
    [{ rateLimit: "S4" }, "the tiers are F1, B1, S1, B2, S2, B3, S3"],
    [{ rateLimit: { telemetryPerSecond: 1 } }, "rateLimit has no telemetryPerSecond"],
    [{ rateLimit: { telemetryPerS: 0 } }, "rateLimit.telemetryPerS"],
    [{ rateLimit: { twinReadsPerS: Number.NaN } }, "rateLimit.twinReadsPerS"],
    [{ rateLimit: { tier: "S1", units: 1.5 } }, "rateLimit.units"],
    [{ rateLimit: { tier: "S1", devices: 0 } }, "rateLimit.devices"],
    [{ rateLimit: 5 }, "rateLimit"],
    [{ rateLimit: null }, "rateLimit"],
    [{ dailyMessagesMax: 0 }, "dailyMessagesMax"],
    [{ dailyMessagesMax: 1.5 }, "dailyMessagesMax"],
  ])("%j is refused: %s", (options, text) => {
    expect(() => resolveLimits(options as LimitOptions)).toThrow(text);
  });

  test("whenSpent is one of two words", () => {
    expect(() => world({ whenSpent: "explode" as "wait" })).toThrow("whenSpent");
  });
});

describe("daily budget", () => {
  test("spent: what is asked for waits, in pieces of a minute, until midnight UTC", async () => {
    const { gate, clock, stats } = world({ dailyMessagesMax: 3 });
    expect(gate.admit("telemetry", 4_097, 0)).toBe(0);
    expect(gate.admit("telemetry", 1, 0)).toBe(0);
    expect(gate.admit("telemetry", 1, 0)).toBe(60_000);
    expect(gate.refusal("telemetry", 1)).toBeUndefined();
    expect(stats.snapshot().limits).toMatchObject({
      waits: 1,
      budget: { limit: 3, used: 3, left: 0, resetsAt: new Date(noon + 12 * hourMs) },
    });
    await clock.advance(12 * hourMs - 10);
    expect(gate.admit("telemetry", 1, clock.nowMs())).toBe(clock.nowMs() + 10);
    await clock.advance(10);
    expect(gate.admit("telemetry", 1, clock.nowMs())).toBe(0);
  });

  test("what somebody waits for is counted and never held back", () => {
    const { gate, stats } = world({ dailyMessagesMax: 2 });
    for (let i = 0; i < 5; i++) expect(gate.admit("method", 100, 0)).toBe(0);
    for (let i = 0; i < 5; i++) expect(gate.admit("c2dComplete", 5_000, 0)).toBe(0);
    expect(stats.snapshot().limits.budget).toMatchObject({ used: 15, left: 0 });
    expect(gate.admit("telemetry", 1, 0)).toBeGreaterThan(0);
  });

  test("refuse: new calls are told when the next budget comes", () => {
    const { gate, stats } = world({ dailyMessagesMax: 1, whenSpent: "refuse" });
    expect(gate.refusal("telemetry", 1)).toBeUndefined();
    gate.admit("telemetry", 1, 0);
    const error = gate.refusal("telemetry", 1);
    expect(error).toMatchObject({ code: "device.budget_spent", retryable: true });
    expect(error?.message).toContain("2026-05-21T00:00:00.000Z");
    expect(gate.refusal("twinGet", 0)).toMatchObject({ code: "device.budget_spent" });
    expect(stats.snapshot().limits.refused).toBe(2);
  });

  test("refuse: what waits in the queue was promised its part", () => {
    const { gate, stats } = world({ dailyMessagesMax: 10, whenSpent: "refuse" });
    stats.queueDepth = 10;
    expect(gate.refusal("telemetry", 1)).toMatchObject({ code: "device.budget_spent" });
    stats.queueDepth = 9;
    expect(gate.refusal("telemetry", 1)).toBeUndefined();
    stats.queueBytes = 10 * 4_096;
    expect(gate.refusal("telemetry", 1)).toMatchObject({ code: "device.budget_spent" });
    // Twin requests have a queue of their own.
    expect(gate.refusal("twinGet", 1)).toBeUndefined();
  });

  test("a refused rate takes nothing from the budget, a refused budget nothing from the rate", () => {
    const { gate, stats } = world({ rateLimit: { telemetryPerS: 1 }, dailyMessagesMax: 2 });
    gate.admit("telemetry", 1, 0);
    for (let i = 0; i < 5; i++) gate.admit("telemetry", 1, 0);
    expect(stats.snapshot().limits.budget?.used).toBe(1);
    expect(gate.admit("telemetry", 1, 1_000)).toBe(0);
    for (let nowMs = 2_000; nowMs < 10_000; nowMs += 1_000) {
      expect(gate.admit("telemetry", 1, nowMs)).toBe(nowMs + 60_000);
    }
  });
});

describe("a hub that throttles", () => {
  test("stops that class for ten seconds, halves its rate, and gives it back in steps", () => {
    const { gate, through, stats } = world({ rateLimit: { twinUpdatesPerS: 16 } });
    gate.throttled("twinReport", 0);
    expect(through("twinReport", 0, 10_000)).toBe(0);
    expect(through("twinReport", 10_000, 20_000)).toBe(79);
    expect(through("twinReport", 20_000, 30_000)).toBe(90);
    expect(stats.snapshot().limits.twinShare).toBe(0.5625);
    expect(through("twinReport", 100_000, 110_000)).toBe(16 + 159);
    expect(gate.admit("telemetry", 1, 0)).toBe(0);
  });

  test("answers of the same wave count once; wave after wave it never falls below a sixteenth", () => {
    const { gate, through } = world({ rateLimit: { twinReadsPerS: 160 } });
    for (let i = 0; i < 50; i++) gate.throttled("twinGet", i);
    expect(through("twinGet", 0, 20_000)).toBe(800 - 1);
    for (let wave = 0; wave < 50; wave++) gate.throttled("twinGet", 20_000 + wave * 10_001);
    const nowMs = 20_000 + 49 * 10_001 + 10_000;
    const perTenSeconds = through("twinGet", nowMs, nowMs + 9_999);
    expect(perTenSeconds).toBeGreaterThanOrEqual(98);
    expect(perTenSeconds).toBeLessThanOrEqual(101);
  });

  test("without a limit of its own it comes down from the smallest hub's rates, and ends without any", () => {
    const { gate, through } = world();
    gate.throttled("twinGet", 0);
    expect(through("twinGet", 0, 20_000)).toBe(499);
    for (let i = 0; i < 10_000; i++) expect(gate.admit("twinGet", 1, 200_000)).toBe(0);
  });
});

test("the cost of no limit is two comparisons: the wall clock is not asked", () => {
  const { stats } = world();
  const clock = new VirtualClock();
  const gate = new Gate({
    limits: resolveLimits({}),
    whenSpent: "wait",
    clock: Object.assign(clock, {
      wallMs: () => {
        throw new Error("asked");
      },
    }),
    random: () => 0,
    stats,
  });
  expect(gate.admit("telemetry", 1, 0)).toBe(0);
  expect(gate.refusal("telemetry", 1)).toBeUndefined();
});
