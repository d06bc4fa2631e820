import type { LogFileSystem } from "@hubwire/log";
import {
  crashModes,
  seededRandom,
  withoutDatasync,
  withoutDirectorySync,
  withoutZeroingTails,
} from "@hubwire/testkit";
import type { CrashMode } from "@hubwire/testkit";
import { describe, expect, test } from "vitest";

import { Lives } from "./support/lives.ts";

const isLong = process.env.HUBWIRE_LONG === "1";
const rounds = isLong ? 20_000 : 300;
const workloads = isLong ? 20 : 1;
const timeoutMs = isLong ? 3_600_000 : 60_000;

type Wrap = (disk: LogFileSystem) => LogFileSystem;

/** One log's lives: work, die anywhere, come back, be checked; at last from a disk that lost all it could. */
async function live(seed: number, wrap?: Wrap): Promise<void> {
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
  await comeBack(lives, wrap);
}

async function comeBack(lives: Lives, wrap?: Wrap): Promise<void> {
  await lives.start(wrap);
  await lives.checkStart();
  await lives.work(5);
  await lives.settle();
  await lives.checkNow();
  lives.die("none");
  await lives.start(wrap);
  await lives.checkStart();
}

/** Says which seed to look at. */
async function explained(what: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw new Error(`${what}: ${String(error)}`, { cause: error });
  }
}

test(
  `${rounds} logs keep their promise over lives that end anywhere, on disks that fail now and then`,
  async () => {
    for (let seed = 1; seed <= rounds; seed++) await explained(`seed ${seed}`, live(seed));
  },
  timeoutMs,
);

test.each<CrashMode | "kill">([...crashModes, "kill"])(
  "a crash at every write, sync, create, rename and delete is survived: %s",
  async (mode) => {
    const met = new Set<string>();
    for (let seed = 1; seed <= workloads; seed++) {
      for (let at = 1, halted = true; halted; at++) {
        const lives = new Lives(seededRandom(seed));
        lives.disk.haltAt(at);
        if (await lives.start()) await lives.work(30);
        halted = lives.disk.isHalted;
        if (halted) met.add(lives.disk.last?.kind ?? "");
        lives.die(mode);
        await explained(`workload ${seed}, crash at operation ${at}`, comeBack(lives));
      }
    }
    const kinds = ["create", "datasync", "mkdir", "rename", "syncDirectory", "unlink", "write"];
    expect([...met].toSorted()).toEqual(kinds);
  },
  timeoutMs,
);

describe("a log that leaves something out is found out", () => {
  const mutations: [string, Wrap][] = [
    ["the fdatasync", withoutDatasync],
    ["the directory sync", withoutDirectorySync],
    ["the zeroing of the tail", withoutZeroingTails],
  ];
  test.each(mutations)("%s", async (_, wrap) => {
    const found = new Set<string>();
    for (let seed = 1; seed <= 3_000 && found.size === 0; seed++) {
      await live(seed, wrap).catch((error: Error) => found.add(error.name));
    }
    expect([...found]).toEqual([expect.stringMatching(/^(Violation|LogError)$/)]);
  });
});
