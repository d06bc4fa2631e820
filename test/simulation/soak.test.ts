import { expect, test } from "vitest";
import { soak, type SoakBug, type SoakCounts } from "./soak-world.ts";

const long = process.env["HUBWIRE_LONG"] === "1";
const runs = long ? 200 : 2;
const devices = 5;
const days = long ? 10 : 5;

test(`${runs * devices * days} virtual device-days of cuts, restarts, power losses, sleeps, clock jumps and disk errors: nothing an outbox accepted is lost`, async () => {
  const totals = {} as SoakCounts;
  for (let seed = 1; seed <= runs; seed += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one world after the other
    const { violations, counts } = await soak({ seed, devices, days });
    expect(violations, `seed ${seed}`).toEqual([]);
    for (const name of Object.keys(counts) as (keyof SoakCounts)[]) {
      totals[name] = (totals[name] ?? 0) + counts[name];
    }
  }
  process.stdout.write(
    `${runs * devices * days} device-days (seeds 1 to ${runs}): ${JSON.stringify(totals)}\n`,
  );
  // A simulation in which nothing happens proves nothing.
  const deviceDays = runs * devices * days;
  expect(totals.accepted).toBeGreaterThan(deviceDays * 50);
  for (const trouble of [
    "powerLosses",
    "kills",
    "sleeps",
    "cuts",
    "diskFaults",
    "renewals",
  ] as const) {
    expect(totals[trouble], trouble).toBeGreaterThan(deviceDays / 5);
  }
  expect(totals.repeated).toBeGreaterThan(0);
}, 3_600_000);

const bugs: SoakBug[] = [
  { name: "a hub that forgets one message in 500", hubForgets: (random) => random.chance(0.002) },
  { name: "an outbox that is not on disk", memoryOutbox: true },
];

test.each(bugs)(
  "a planted bug is found: $name",
  async (bug) => {
    for (let seed = 1; seed <= 10; seed += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one world after the other
      const { violations } = await soak({ seed, devices, days: 3, bug });
      const lost = violations.find((sentence) => sentence.includes("is nowhere"));
      if (lost === undefined) continue;
      process.stdout.write(`${bug.name}: found with seed ${seed}: ${lost}\n`);
      return;
    }
    expect.fail("10 seeds did not find it");
  },
  300_000,
);
