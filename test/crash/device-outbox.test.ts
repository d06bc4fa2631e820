import { seededRandom } from "@hubwire/testkit";
import { expect, test } from "vitest";
import { OutboxLineage } from "./outbox-lineage.ts";
import { BrokenPromise } from "./promises.ts";

const isLong = process.env["HUBWIRE_LONG"] === "1";
const rounds = isLong ? 200 : 6;
/** Kills before everything is counted and the next pair begins with nothing. */
const roundsPerLineage = isLong ? 10 : 3;
const firstSeed = Number(process.env["HUBWIRE_SEED"] ?? 1);

test(`${rounds} kills of a device with a durable outbox, and of its hub, lose nothing accepted`, async () => {
  const killed: Record<string, number> = {};
  let accepted = 0;
  for (let done = 0, seed = firstSeed; done < rounds; seed += 1) {
    const lineage = new OutboxLineage(seededRandom(seed));
    const where = `repeat with HUBWIRE_SEED=${seed}`;
    try {
      for (let round = 1; round <= roundsPerLineage && done < rounds; round += 1, done += 1) {
        const victim = await naming(`${where}, round ${round}`, () => lineage.round());
        killed[victim] = (killed[victim] ?? 0) + 1;
      }
      await naming(`${where}, at the end`, () => lineage.finish());
      accepted += lineage.accepted;
    } finally {
      await lineage.end();
    }
  }
  process.stdout.write(`${rounds} kills, ${accepted} accepted: ${JSON.stringify(killed)}\n`);
  // Lives in which nothing happened would prove nothing.
  expect(accepted).toBeGreaterThan(rounds * 30);
}, 3_600_000);

test("a planted bug is found: a message is called accepted before it is on disk", async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const lineage = new OutboxLineage(seededRandom(seed), "accepted too early");
    try {
      for (let round = 1; round <= 4; round += 1) await lineage.round();
      await lineage.finish();
    } catch (error) {
      if (!(error instanceof BrokenPromise)) throw error;
      return;
    } finally {
      await lineage.end();
    }
  }
  expect.fail("80 kills did not find it");
}, 600_000);

async function naming<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${where}: ${String(error)}`, { cause: error });
  }
}
