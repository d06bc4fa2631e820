import { expect, test } from "vitest";
import { resolverMs } from "./herd-hub.ts";
import { noFailures, slowPace, usualPace } from "./herd-rates.ts";
import { herd } from "./herd-world.ts";
import type { HerdBug, HerdResult, HerdScenario } from "./herd-world.ts";

const long = process.env["HUBWIRE_LONG"] === "1";
const devices = long ? 10_000 : 500;
const seed = Number(process.env["HUBWIRE_SEED"] ?? 1);

/** The first wait is at most 10 s, later ones at most 30 s; whoever fails just before the hub is back waits that long. */
const firstWaitMs = 10_000;
const waitMs = 30_000;
const attemptTimeoutS = 20;
const usual = { absence: "refused", overflow: "connack 3", sharePerSecond: Infinity } as const;

const scenarios: HerdScenario[] = [
  {
    ...usual,
    name: "is back at once",
    awayMs: 0,
    pace: noFailures,
    allBackMs: firstWaitMs,
  },
  {
    ...usual,
    name: "is away for 20 s",
    awayMs: 20_000,
    pace: usualPace(0),
    allBackMs: 20_000 + waitMs,
  },
  {
    ...usual,
    name: "is away for five minutes",
    awayMs: 300_000,
    pace: usualPace(0),
    allBackMs: 300_000 + waitMs,
  },
  {
    ...usual,
    name: "cannot be resolved for a minute",
    absence: "dns",
    awayMs: 60_000,
    pace: usualPace(resolverMs / 1_000),
    allBackMs: 60_000 + resolverMs + waitMs,
  },
  {
    ...usual,
    name: "is back at once, lets in one in fifty per second and answers the others CONNACK 3",
    awayMs: 0,
    sharePerSecond: 1 / 50,
    pace: slowPace,
    // Four refusals at the slow pace: 10 + 16 + 32 + 64 + 120 s.
    allBackMs: 242_000,
  },
  {
    ...usual,
    name: "is back at once, lets in one in fifty per second and says nothing to the others",
    awayMs: 0,
    sharePerSecond: 1 / 50,
    overflow: "silence",
    pace: usualPace(attemptTimeoutS),
    // Five attempts of 20 s without an answer, and the waits before and after: 10 + 4 + 8 + 16 + 30 + 30 s.
    allBackMs: 198_000,
  },
];

test.each(scenarios)(
  `${devices} devices lose a hub that $name: attempts per second keep to what the waits promise, and all are back in time`,
  { timeout: 600_000 },
  async (scenario) => {
    const result = await herd(scenario, { devices, seed });
    process.stdout.write(report(scenario, result));
    expect(result.violations, `seed ${seed}`).toEqual([]);
  },
);

const bugs: (HerdBug & { scenario: string })[] = [
  { name: "no jitter", scenario: "is back at once", random: () => 0.5 },
  {
    name: "no back-off",
    scenario: "is away for 20 s",
    retry: { minMs: 1_000, maxMs: 1_000, spreadMs: 0 },
  },
  {
    name: "the first wait is short for everybody",
    scenario: "is back at once",
    retry: { spreadMs: 0 },
  },
  { name: "giving up", scenario: "is away for 20 s", retry: { attemptsMax: 3 } },
  { name: "waits that grow too long", scenario: "is away for 20 s", retry: { maxMs: 300_000 } },
];

test.each(bugs)("a planted bug is found: $name", async (bug) => {
  const scenario = scenarios.find(({ name }) => name === bug.scenario) as HerdScenario;
  const { violations } = await herd(scenario, { devices: 500, seed, bug });
  expect(violations.length, `seed ${seed}`).toBeGreaterThan(0);
  process.stdout.write(`${bug.name}: ${violations[0]}\n`);
});

/** Attempts per second, one number per second for a minute, then the most per second of every half minute. */
function report({ name }: HerdScenario, result: HerdResult): string {
  const { attemptsPerSecond, peak, peakMax, peakAtHub, lastBackMs } = result;
  const later: string[] = [];
  for (let second = 60; second < attemptsPerSecond.length; second += 30) {
    later.push(`≤ ${Math.max(...attemptsPerSecond.slice(second, second + 30))}/s`);
  }
  const total = attemptsPerSecond.reduce((sum, count) => sum + count, 0);
  const last = lastBackMs === undefined ? "never" : `${(lastBackMs / 1_000).toFixed(1)} s`;
  const share = ((peak / devices) * 100).toFixed(1);
  return (
    `herd of ${devices} (seed ${seed}), the hub ${name}: ${total} attempts, at most ${peak} in a second (${share} %; bound ${peakMax}), ${peakAtHub} at a hub that is back, last back after ${last}\n` +
    `  per second: ${attemptsPerSecond.slice(0, 60).join(" ")}${later.length === 0 ? "" : `; then per 30 s ${later.join(", ")}`}\n`
  );
}
