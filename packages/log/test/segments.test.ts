import { Log } from "@hubwire/log";
import type { LogOptions } from "@hubwire/log";
import type { SimulatedDisk } from "@hubwire/testkit";
import { describe, expect, test } from "vitest";

import { ManualTimers } from "./support/manual-timers.ts";
import { commit, contents, directory, emptyDisk, fill, openLog } from "./support/simulated-log.ts";
import { turns, until } from "./support/turns.ts";

const sizes = (disk: SimulatedDisk): number[] =>
  disk.paths.filter((path) => path.endsWith(".seg")).map((path) => disk.contents(path).length);

describe("segments", () => {
  test("double in size up to the largest, and the next one is prepared beforehand", async () => {
    const disk = emptyDisk();
    await using log = await openLog(disk, { segmentBytesMax: 16_384 });
    await until(() => sizes(disk).length === 2, "the spare segment");
    expect(sizes(disk)).toEqual([4_096, 8_192]);
    await fill(log, 100);
    await until(() => sizes(disk).length === log.stats().segments + 1, "the spare segment");
    expect(sizes(disk).slice(0, 4)).toEqual([4_096, 8_192, 16_384, 16_384]);
    expect(log.stats().diskBytes).toBe(sizes(disk).reduce((sum, size) => sum + size));
  });

  test("are 4 MiB growing to 64 MiB unless the options say otherwise", async () => {
    const disk = emptyDisk();
    await using log = await Log.open({ directory, fileSystem: disk.forProcess() });
    await until(() => sizes(disk).length === 2, "the spare segment");
    expect(sizes(disk)).toEqual([4 * 2 ** 20, 8 * 2 ** 20]);
    expect(log.partitions).toBe(1);
  });

  test("are full of zeros on disk before they have their name, and have it for good before they are used", async () => {
    const disk = emptyDisk();
    await openLog(disk);
    await until(() => sizes(disk).length === 2, "the spare segment's name");
    disk.crash("all");
    expect(sizes(disk)).toEqual([4_096, 8_192]);
    expect(disk.contents(`${directory}/0000000002.seg`).every((byte) => byte === 0)).toBe(true);
    const log = await openLog(disk);
    await fill(log, 9);
    expect(log.stats().segments).toBe(2);
    disk.crash("none");
    expect(sizes(disk).slice(0, 2)).toEqual([4_096, 8_192]);
  });

  test("a commit that needs the next one waits for it; nothing is lost meanwhile", async () => {
    const disk = emptyDisk();
    let refusals = 0;
    const inner = disk.forProcess();
    await using log = await openLog(disk, {
      fileSystem: {
        ...inner,
        // The first attempts in the background find no room.
        rename: (from, to) =>
          from.includes("002") && refusals++ === 0
            ? Promise.reject(Object.assign(new Error("EIO"), { code: "EIO" }))
            : inner.rename(from, to),
      },
    });
    const all = await fill(log, 20);
    expect(await contents(log)).toEqual(all);
    expect(refusals).toBeGreaterThan(1);
  });
});

describe("retention", () => {
  const timed = async (disk: SimulatedDisk, options: Partial<LogOptions>) => {
    const timers = new ManualTimers();
    const log = await openLog(disk, {
      nowMs: () => timers.nowMs,
      schedule: timers.schedule,
      ...options,
    });
    return { log, timers };
  };
  const files = (disk: SimulatedDisk): string[] => disk.paths.filter((p) => p.endsWith(".seg"));

  test("by age deletes segments whose last record is older, the numbers go on", async () => {
    const disk = emptyDisk();
    const { log, timers } = await timed(disk, { retentionMs: 60_000 });
    await fill(log, 30);
    timers.advance(40_000);
    const fresh = await fill(log, 30);
    timers.advance(30_000);
    await turns(50);
    const { firstSequenceNumber, firstOffset, nextSequenceNumber } = log.partition(0);
    // Whole segments: the one with records of both ages stays.
    expect(firstSequenceNumber).toBeGreaterThan(10);
    expect(firstSequenceNumber).toBeLessThanOrEqual(30);
    expect([firstOffset, nextSequenceNumber]).toEqual([firstSequenceNumber * 516, 60]);
    expect((await contents(log)).slice(30 - firstSequenceNumber)).toEqual(fresh);
    await log.close();
    disk.crash("none");
    await using again = await openLog(disk);
    expect(again.partition(0)).toMatchObject({ firstSequenceNumber, nextSequenceNumber: 60 });
  });

  test("by age takes the last segment too, when all of it is old, and keeps numbers, offsets and time", async () => {
    const disk = emptyDisk();
    const { log, timers } = await timed(disk, { retentionMs: 60_000 });
    timers.advance(1_000);
    await fill(log, 3);
    for (let checks = 0; checks < 30; checks++) {
      timers.advance(6_000);
      // oxlint-disable-next-line no-await-in-loop -- the deletion goes on between checks
      await turns(20);
    }
    const empty = {
      firstSequenceNumber: 3,
      nextSequenceNumber: 3,
      firstOffset: 3 * 516,
      nextOffset: 3 * 516,
      lastOffset: 2 * 516,
      lastEnqueuedTimeMs: 1_000,
      isEmpty: true,
    };
    expect(log.partition(0)).toEqual(empty);
    expect(files(disk).length).toBe(2);
    await log.close();
    await using again = await openLog(disk);
    expect(again.partition(0)).toEqual(empty);
    await commit(again, "next");
    expect(again.partition(0)).toMatchObject({ nextSequenceNumber: 4, lastOffset: 3 * 516 });
  });

  test("by bytes keeps all files together under the bound, but for the one being prepared", async () => {
    const disk = emptyDisk();
    const { log } = await timed(disk, { retentionBytes: 40_000 });
    const all: string[] = [];
    for (let i = 0; i < 10; i++) {
      // oxlint-disable-next-line no-await-in-loop -- looked at in between
      all.push(...(await fill(log, 20)));
      expect(log.stats().diskBytes).toBeLessThanOrEqual(40_000);
    }
    const { firstSequenceNumber } = log.partition(0);
    expect(firstSequenceNumber).toBeGreaterThan(100);
    expect(await contents(log)).toEqual(all.slice(firstSequenceNumber));
    await log.close();
  });

  test("by trimming deletes a segment once every partition gave its records up", async () => {
    const disk = emptyDisk();
    await using log = await openLog(disk, { segmentBytesMax: 4_096 });
    for (let i = 0; i < 40; i++) {
      // oxlint-disable-next-line no-await-in-loop -- a batch each
      await commit(log, "x".repeat(500), i % 2);
    }
    const { segments } = log.stats();
    log.trimBefore(20);
    expect(log.stats().segments).toBe(segments);
    log.trimBefore(10, 1);
    const { firstSequenceNumber } = log.partition(1);
    expect(firstSequenceNumber).toBeGreaterThan(5);
    expect(firstSequenceNumber).toBeLessThanOrEqual(10);
    log.trimBefore(20, 1);
    expect(log.stats().segments).toBe(1);
    await until(() => files(disk).length === 2, "the deletion");
  });

  test("a deletion that failed is reported, and made up for, oldest first", async () => {
    const disk = emptyDisk();
    await using log = await openLog(disk, { segmentBytesMax: 4_096 });
    await fill(log, 40);
    disk.fail({ operation: "unlink", code: "EIO" });
    log.trimBefore(20);
    await until(() => log.stats().backgroundError !== undefined, "the error");
    expect([log.healthy, log.stats().backgroundError?.code]).toEqual([true, "log.io"]);
    expect(disk.paths).toContain(`${directory}/0000000001.seg`);
    log.trimBefore(20);
    await until(() => log.stats().backgroundError === undefined, "the deletion");
    expect(disk.paths).not.toContain(`${directory}/0000000001.seg`);
  });
});
