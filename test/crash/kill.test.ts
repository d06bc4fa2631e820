import { seededRandom } from "@hubwire/testkit";
import { expect, test } from "vitest";
import { Lineage } from "./lineage.ts";
import { plantedBugs } from "./planted-bugs.ts";
import { BrokenPromise } from "./promises.ts";

const isLong = process.env["HUBWIRE_LONG"] === "1";
const rounds = isLong ? 200 : 6;
/** Kills of one data directory before the next begins with nothing. */
const roundsPerDirectory = isLong ? 10 : 3;
const firstSeed = Number(process.env["HUBWIRE_SEED"] ?? 1);

test(`${rounds} kills of a hub at work break no promise`, async () => {
  const killed: Record<string, number> = {};
  let acknowledged = 0;
  for (let done = 0, seed = firstSeed; done < rounds; seed += 1) {
    using lineage = new Lineage(seededRandom(seed));
    for (let round = 1; round <= roundsPerDirectory && done < rounds; round += 1, done += 1) {
      const where = `seed ${seed}, round ${round} (repeat with HUBWIRE_SEED=${seed})`;
      const { phase, kind } = await naming(where, () => lineage.round());
      killed[`${phase}: ${kind}`] = (killed[`${phase}: ${kind}`] ?? 0) + 1;
    }
    await naming(`seed ${seed}, at the end`, () => lineage.finish());
    acknowledged += lineage.telemetry.acknowledged;
  }
  process.stdout.write(`${rounds} kills, ${acknowledged} PUBACKs: ${JSON.stringify(killed)}\n`);
  // Lives in which nothing happened would prove nothing.
  expect(acknowledged).toBeGreaterThan(rounds * 50);
}, 3_600_000);

test.each(isLong ? plantedBugs : plantedBugs.slice(0, 3))(
  "a planted bug is found: $name",
  async ({ name }) => {
    for (let seed = 1; seed <= 20; seed += 1) {
      using lineage = new Lineage(seededRandom(seed), name);
      for (let round = 1; round <= 5; round += 1) {
        const error: unknown = await lineage.round().then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error === undefined) continue;
        if (!(error instanceof BrokenPromise)) throw error;
        const [first] = error.message.split("\n");
        process.stdout.write(`${name}: found with seed ${seed}, round ${round}: ${first}\n`);
        return;
      }
    }
    expect.fail("100 kills did not find it");
  },
  600_000,
);

async function naming<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${where}: ${String(error)}`, { cause: error });
  }
}
