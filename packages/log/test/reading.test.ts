import type { LogFileSystem, ReadFrom } from "@hubwire/log";
import { seededRandom } from "@hubwire/testkit";
import { describe, expect, test } from "vitest";

import {
  append,
  commit,
  contents,
  emptyDisk,
  everything,
  fill,
  openLog,
  text,
} from "./support/simulated-log.ts";
import { until } from "./support/turns.ts";

const runs = process.env.HUBWIRE_LONG === "1" ? 150 : 15;

describe("reading", () => {
  test(`${runs} random logs: any start, any limit, cached or not, gives what a scan would`, async () => {
    for (let seed = 1; seed <= runs; seed++) {
      const random = seededRandom(seed);
      let nowMs = 1_000;
      await using log = await openLog(emptyDisk(), {
        nowMs: () => nowMs,
        cacheBytesMax: random.pick([0, 3_000, 1e6]),
      });
      for (let batch = random.int(60); batch > 0; batch--) {
        nowMs += random.int(3);
        for (let i = 1 + random.int(5); i > 0; i--) {
          append(log, `${batch}/${i}`.padEnd(random.int(400), "x"), random.int(3));
        }
        await log.flush();
      }
      for (let p = 0; p < 3; p++) {
        const all = await log.read(p, "first", everything);
        expect(all.length, `seed ${seed}`).toBe(log.partition(p).nextSequenceNumber);
        for (let i = 0; i < 20; i++) {
          const recordsMax = random.int(20);
          const bytesMax = 1 + random.int(2_000);
          const sequenceNumber = random.int(all.length + 2);
          const offset = random.int((all.at(-1)?.offset ?? 0) + 20);
          const enqueuedTimeMs = 998 + random.int(nowMs - 996);
          const from = random.pick<ReadFrom>([
            { sequenceNumber },
            { offset },
            { enqueuedTimeMs },
            "first",
            "end",
          ]);
          const start = all.findIndex((record) => {
            if (from === "first") return true;
            if (from === "end") return false;
            return Object.entries(from).every(([key, value]) => record[key as "offset"] >= value);
          });
          const wanted = start < 0 ? [] : all.slice(start, start + recordsMax);
          let bytes = 0;
          const fitting = wanted.filter((record, index) => {
            bytes += record.bytes.length;
            return index === 0 || bytes <= bytesMax;
          });
          const found = await log.read(p, from, { recordsMax, bytesMax });
          expect(found, `seed ${seed}, ${JSON.stringify(from)}`).toEqual(fitting);
        }
      }
    }
  });

  test(`${runs} random logs: what was appended comes back, empty records among it, cached or not`, async () => {
    for (let seed = 1; seed <= runs; seed++) {
      const random = seededRandom(seed);
      await using log = await openLog(emptyDisk(), { cacheBytesMax: random.pick([0, 3_000, 1e6]) });
      const appended: string[][] = [[], [], []];
      for (let batch = 1 + random.int(20); batch > 0; batch--) {
        for (let i = random.int(30); i > 0; i--) {
          const partition = random.int(10) < 6 ? 0 : random.int(3);
          const content = "x".repeat(random.pick([0, 0, 1, 40])) + (random.int(2) ? `${i}` : "");
          append(log, content, partition);
          appended[partition]?.push(content);
        }
        await log.flush();
      }
      for (const [partition, wanted] of appended.entries()) {
        expect(await contents(log, partition), `seed ${seed}`).toEqual(wanted);
        const some = await log.read(partition, "first", { recordsMax: 7, bytesMax: 100 });
        expect(some.map(text), `seed ${seed}`).toEqual(wanted.slice(0, some.length));
      }
    }
  });

  test("shows only what is committed, while more is being written", async () => {
    const disk = emptyDisk();
    let isHeld = false;
    const held: (() => void)[] = [];
    const inner = disk.forProcess();
    const fileSystem: LogFileSystem = {
      ...inner,
      open: async (path, mode) => {
        const file = await inner.open(path, mode);
        return {
          ...file,
          datasync: async () => {
            if (isHeld) await new Promise<void>((resolve) => held.push(resolve));
            await file.datasync();
          },
        };
      },
    };
    for (const cacheBytesMax of [0, 1e6]) {
      await using log = await openLog(disk, { fileSystem, cacheBytesMax });
      const before = await contents(log);
      await commit(log, "committed");
      isHeld = true;
      append(log, "in flight");
      await until(() => held.length > 0, "the sync");
      append(log, "pending");
      expect(await contents(log)).toEqual([...before, "committed"]);
      expect(log.partition(0).nextSequenceNumber).toBe(before.length + 1);
      isHeld = false;
      held.shift()?.();
      await log.flush();
      expect(await contents(log)).toEqual([...before, "committed", "in flight", "pending"]);
    }
  });

  test("what was committed last takes no disk", async () => {
    const disk = emptyDisk();
    let reads = 0;
    const inner = disk.forProcess();
    const fileSystem: LogFileSystem = {
      ...inner,
      open: (path, mode) => {
        if (mode === "read") reads++;
        return inner.open(path, mode);
      },
    };
    await using log = await openLog(disk, { fileSystem, cacheBytesMax: 100_000 });
    const all = await fill(log, 30);
    expect((await log.read(0, "first", everything)).map(text)).toEqual(all);
    expect(reads).toBe(0);
    expect(log.stats().cacheBytes).toBe(30 * (500 + 16 + 40));
  });

  test("the memory for recent records is bounded", async () => {
    await using log = await openLog(emptyDisk(), { cacheBytesMax: 3_000 });
    const all = await fill(log, 30);
    expect(log.stats().cacheBytes).toBeLessThanOrEqual(3_000);
    expect(await contents(log)).toEqual(all);
  });

  test("a record larger than the limit comes alone, so that a reader gets past it", async () => {
    await using log = await openLog(emptyDisk(), { cacheBytesMax: 0 });
    for (const content of ["x".repeat(3_000), "y"]) await commit(log, content);
    const limits = { recordsMax: 10, bytesMax: 100 };
    expect((await log.read(0, "first", limits)).map(text)).toEqual(["x".repeat(3_000)]);
    expect((await log.read(0, { sequenceNumber: 1 }, limits)).map(text)).toEqual(["y"]);
  });

  test("records stay as they are, whatever is appended later", async () => {
    await using log = await openLog(emptyDisk());
    await commit(log, "kept");
    const [record] = await log.read(0, "first", everything);
    await fill(log, 40);
    expect(record && text(record)).toBe("kept");
  });

  test("goes on at the first record left when retention deletes what was being read", async () => {
    const disk = emptyDisk();
    const inner = disk.forProcess();
    let beforeOpen: (() => Promise<void>) | undefined;
    const fileSystem: LogFileSystem = {
      ...inner,
      open: async (path, mode) => {
        if (mode === "read") await beforeOpen?.();
        return inner.open(path, mode);
      },
    };
    await using log = await openLog(disk, { fileSystem, cacheBytesMax: 0 });
    const all = await fill(log, 40);
    beforeOpen = async () => {
      beforeOpen = undefined;
      log.trimBefore(20);
      await until(() => disk.last?.kind === "syncDirectory", "the deletion");
      await until(() => !disk.paths.some((path) => path.endsWith("001.seg")), "the deletion");
    };
    const records = await log.read(0, "first", everything);
    const { firstSequenceNumber } = log.partition(0);
    expect(firstSequenceNumber).toBeGreaterThan(0);
    expect(records.map(text)).toEqual(all.slice(firstSequenceNumber));
  });

  test("a committed frame that changed on disk is reported, not skipped", async () => {
    const disk = emptyDisk();
    await using log = await openLog(disk, { cacheBytesMax: 0 });
    await fill(log, 5);
    const path = "/data/log/0000000001.seg";
    const bytes = disk.contents(path);
    bytes[1_000] = (bytes[1_000] ?? 0) ^ 1;
    disk.place(path, bytes);
    await expect(log.read(0, "first", everything)).rejects.toMatchObject({
      code: "log.corrupt",
      message: expect.stringContaining(path),
    });
  });

  test("is over before close lets go of the files", async () => {
    const log = await openLog(emptyDisk(), { cacheBytesMax: 0 });
    const all = await fill(log, 10);
    const reading = log.read(0, "first", everything);
    await log.close();
    expect((await reading).map(text)).toEqual(all);
  });
});
