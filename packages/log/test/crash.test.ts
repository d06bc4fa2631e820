import { seededRandom } from "@hubwire/testkit";
import type { LogFileSystem } from "@hubwire/log";
import { withoutDatasync, withoutDirectorySync, withoutZeroingTails } from "@hubwire/testkit";
import { describe, expect, test } from "vitest";

import { Lives } from "./support/lives.ts";

const isLong = process.env.HUBWIRE_LONG === "1";
const rounds = isLong ? 20_000 : 400;

type Wrap = (disk: LogFileSystem) => LogFileSystem;

/** One log's lives: work, die anywhere, come back, be checked; at last from a disk that lost all it could. */
async function live(seed: number, wrap: Wrap = (disk) => disk): Promise<void> {
  const random = seededRandom(seed);
  const lives = new Lives(random);
  const faultChance = random.pick([0, 0, 0.1, 0.3]);
  for (let life = 1 + random.int(4); life > 0; life--) {
    if (random.chance(0.8)) lives.disk.haltAt(lives.disk.operations + 1 + random.int(60));
    if (await lives.start(wrap)) {
      await lives.checkStart();
      await lives.work(1 + random.int(30), faultChance);
    }
    lives.die();
  }
  await lives.start(wrap);
  await lives.checkStart();
  await lives.work(5);
  await lives.settle();
  await lives.checkNow();
  lives.die("none");
  await lives.start(wrap);
  await lives.checkStart();
}

async function firstViolation(wrap: Wrap): Promise<unknown> {
  for (let seed = 1; seed <= rounds; seed++) {
    try {
      await live(seed, wrap);
    } catch (error) {
      return error;
    }
  }
  return undefined;
}

test(`${rounds} logs keep their promise over lives that end anywhere`, async () => {
  for (let seed = 1; seed <= rounds; seed++) {
    try {
      await live(seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
    }
  }
}, 120_000);

describe("a log that leaves something out is found out", () => {
  const mutations: [string, Wrap][] = [
    ["the fdatasync", withoutDatasync],
    ["the directory sync", withoutDirectorySync],
    ["the zeroing of the tail", withoutZeroingTails],
  ];
  test.each(mutations)("%s", async (_, wrap) => {
    expect(await firstViolation(wrap)).toMatchObject({
      name: expect.stringMatching(/^(Violation|LogError)$/),
    });
  });
});
