import {
  crashModes,
  seededRandom,
  withoutDatasync,
  withoutDirectorySync,
  withoutZeroingTails,
} from "@hubwire/testkit";
import type { CrashMode } from "@hubwire/testkit";
import { describe, expect, test } from "vitest";
import { DiskWorld, type WrapDisk } from "./disk-world.ts";

const isLong = process.env["HUBWIRE_LONG"] === "1";
const workloads = isLong ? 10 : 1;
const deaths: readonly (CrashMode | "kill")[] = [...crashModes, "kill"];
const honest: WrapDisk = (disk) => disk;

/**
 * A hub whose disk halts at one operation, a second one that dies somewhere on its way, and a third that works until every
 * message has its PUBACK. Then all power goes, the disk keeps only what was synced, and everything must be there.
 * @returns the operation the first one died at; undefined when it had done its work before
 */
async function lives(
  seed: number,
  haltAt: number,
  how: CrashMode | "kill",
  wrap: WrapDisk,
): Promise<string | undefined> {
  const world = new DiskWorld(seed);
  const random = seededRandom(seed * 1_000 + haltAt);
  world.disk.haltAt(haltAt);
  if (await world.start(wrap)) await world.work();
  const halted = world.disk.isHalted ? world.disk.last?.kind : undefined;
  world.die(how);
  if (random.chance(0.5)) world.disk.haltAt(world.disk.operations + 1 + random.int(40));
  if (random.chance(0.3)) {
    const operation = random.pick(["datasync", "write"] as const);
    world.disk.fail({ operation, code: "EIO", path: "/data/telemetry", after: 3 + random.int(20) });
  }
  if (await world.start(wrap)) await world.work();
  world.die(random.pick(deaths));
  await world.start(wrap);
  await world.work();
  world.die("none");
  await world.start(wrap);
  return halted;
}

test.each(deaths)(
  "a hub whose disk dies at any write, sync, create or rename keeps every PUBACKed message: %s",
  async (how) => {
    const met = new Map<string, number>();
    for (let seed = 1; seed <= workloads; seed += 1) {
      for (let haltAt = 1; ; haltAt += 1) {
        const where = `workload ${seed}, ${how} at operation ${haltAt}`;
        const kind = await lives(seed, haltAt, how, honest).catch((error: unknown) => {
          throw new Error(`${where}: ${String(error)}`, { cause: error });
        });
        if (kind === undefined) break;
        met.set(kind, (met.get(kind) ?? 0) + 1);
      }
    }
    process.stdout.write(`${how}: ${JSON.stringify(Object.fromEntries(met))}\n`);
    const kinds = ["create", "datasync", "mkdir", "rename", "syncDirectory", "write"];
    expect([...met.keys()].toSorted()).toEqual(kinds);
  },
  600_000,
);

describe("a hub on a disk that leaves something out is found out", () => {
  const mutations: [string, WrapDisk][] = [
    ["the fdatasync", withoutDatasync],
    ["the directory sync", withoutDirectorySync],
    ["the zeroing of the tail", withoutZeroingTails],
  ];
  test.each(mutations)(
    "%s",
    async (_, wrap) => {
      for (let seed = 1; seed <= 400; seed += 1) {
        const random = seededRandom(seed);
        const found = await lives(seed, 1 + random.int(60), random.pick(deaths), wrap).then(
          () => undefined,
          (error: Error) => error,
        );
        if (found === undefined) continue;
        process.stdout.write(`found with seed ${seed}: ${found.message.split("\n")[0]}\n`);
        expect(found.name).toMatch(/^(BrokenPromise|IotError)$/u);
        return;
      }
      expect.fail("400 workloads did not find it");
    },
    600_000,
  );
});
