import { expect, test } from "vitest";
import { plantedBugs } from "./planted-bugs.ts";
import { simulate } from "./world.ts";

const long = process.env["HUBWIRE_LONG"] === "1";
const runs = long ? 170 : 3;
const devices = 3;
const hours = 2;

test(`${runs * devices * hours} virtual device-hours of cuts, delays, clock jumps, store errors and restarts break no promise`, async () => {
  let deviceHours = 0;
  const totals = { sent: 0, accepted: 0, c2dReceived: 0, methods: 0, reports: 0 };
  for (let seed = 1; seed <= runs; seed += 1) {
    const history = await simulate({ seed, devices, hours });
    expect(history.violations, `seed ${seed}`).toEqual([]);
    deviceHours += devices * hours;
    for (const key of Object.keys(totals) as (keyof typeof totals)[]) {
      totals[key] += history.counts[key];
    }
  }
  process.stdout.write(`${deviceHours} device-hours: ${JSON.stringify(totals)}\n`);
  // A simulation in which nothing happens proves nothing.
  expect(totals.accepted).toBeGreaterThan(runs * devices * hours * 50);
  expect(totals.c2dReceived).toBeGreaterThan(runs * 5);
  expect(totals.methods).toBeGreaterThan(runs);
  expect(totals.reports).toBeGreaterThan(runs);
}, 3_600_000);

test.each(plantedBugs)(
  "a planted bug is found: $name",
  async (bug) => {
    for (let seed = 1; seed <= 25; seed += 1) {
      const { violations } = await simulate({ seed, devices, hours, bug });
      if (violations.length === 0) continue;
      process.stdout.write(`${bug.name}: found with seed ${seed}: ${violations[0]}\n`);
      return;
    }
    expect.fail(`25 seeds did not find it`);
  },
  300_000,
);
