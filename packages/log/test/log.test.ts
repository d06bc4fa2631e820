import { Log, LogError } from "@hubwire/log";
import { describe, expect, test } from "vitest";

import {
  append,
  commit,
  contents,
  emptyDisk,
  everything,
  openLog,
} from "./support/simulated-log.ts";
import { text } from "./support/simulated-log.ts";
import { turns, until } from "./support/turns.ts";

describe("records", () => {
  test("are numbered from 0 within their partition, without gap, across restarts", async () => {
    const disk = emptyDisk();
    for (let life = 0; life < 3; life++) {
      await using log = await openLog(disk);
      for (let i = 0; i < 4; i++) append(log, `life ${life}`, i % 2);
      await log.flush();
      const numbers = [0, 1, 2].map((p) => log.partition(p).nextSequenceNumber);
      expect(numbers).toEqual([2 * (life + 1), 2 * (life + 1), 0]);
    }
    await using log = await openLog(disk);
    const records = await log.read(1, "first", everything);
    expect(records.map(({ sequenceNumber }) => sequenceNumber)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(records.map(text)).toEqual([0, 0, 1, 1, 2, 2].map((life) => `life ${life}`));
  });

  test("are the head, then the part of the chunk that was named; the caller may reuse both", async () => {
    await using log = await openLog(emptyDisk());
    const head = Buffer.from("head,");
    const chunk = Buffer.from("--body--");
    log.append(0, head, chunk, 2, 6);
    log.append(0, head, chunk, 3, 3);
    head.fill("?");
    chunk.fill("?");
    await log.flush();
    expect(await contents(log)).toEqual(["head,body", "head,"]);
  });

  test("have an offset: the bytes of the records before them in their partition, 16 for each header", async () => {
    await using log = await openLog(emptyDisk());
    append(log, "12345");
    append(log, "other partition", 1);
    append(log, "");
    append(log, "123");
    await log.flush();
    const records = await log.read(0, "first", everything);
    expect(records.map(({ offset }) => offset)).toEqual([0, 21, 37]);
    expect(log.partition(0)).toMatchObject({ firstOffset: 0, lastOffset: 37, nextOffset: 56 });
    expect(log.partition(1)).toMatchObject({ lastOffset: 0, nextOffset: 31 });
    expect(log.partition(2)).toMatchObject({ lastOffset: -1, nextOffset: 0, isEmpty: true });
  });

  test("have an enqueued time that does not go back with the clock, nor with a restart", async () => {
    const disk = emptyDisk();
    let nowMs = 5_000;
    const clock = { nowMs: () => nowMs };
    const log = await openLog(disk, clock);
    for (const jumpMs of [5_000, 4_000, 7_000.9]) {
      nowMs = jumpMs;
      await commit(log, "x");
    }
    await log.close();
    nowMs = 1;
    await using again = await openLog(disk, clock);
    await commit(again, "x", 1);
    const times = (await again.read(0, "first", everything)).map((record) => record.enqueuedTimeMs);
    expect(times).toEqual([5_000, 5_000, 7_000]);
    expect(again.partition(1).lastEnqueuedTimeMs).toBe(7_000);
    expect(again.partition(2).lastEnqueuedTimeMs).toBe(0);
  });
});

describe("a commit", () => {
  test("takes all of one turn, whatever the partition: one write, one sync", async () => {
    const disk = emptyDisk();
    await using log = await openLog(disk);
    await until(() => disk.last?.kind === "syncDirectory", "the spare segment");
    const before = disk.operations;
    for (let i = 0; i < 30; i++) append(log, "x", i % 3);
    await Promise.resolve();
    append(log, "later in the same turn");
    expect(disk.operations).toBe(before);
    await log.flush();
    expect([disk.operations - before, log.stats().commits]).toEqual([2, 1]);
  });

  test("is alone in flight; everything that arrives meanwhile joins the next", async () => {
    const disk = emptyDisk();
    await using log = await openLog(disk);
    await until(() => disk.last?.kind === "syncDirectory", "the spare segment");
    const durable: number[] = [];
    log.onCommit((ordinal) => durable.push(ordinal));
    append(log, "first");
    await until(() => disk.last?.kind === "write", "the write");
    const before = disk.operations;
    for (let turn = 0; turn < 5; turn++) append(log, "meanwhile");
    expect(disk.operations).toBe(before);
    await log.flush();
    expect(durable).toEqual([1, 6]);
  });

  test("tells the ordinal up to which all is durable; ordinals count from 1 over all partitions", async () => {
    await using log = await openLog(emptyDisk());
    const durable: number[] = [];
    const end = log.onCommit((ordinal) => durable.push(ordinal));
    expect([append(log, "a", 2), append(log, "b", 0)]).toEqual([1, 2]);
    await log.flush();
    expect(append(log, "c", 1)).toBe(3);
    await log.flush();
    end();
    await commit(log, "d");
    expect(durable).toEqual([2, 3]);
  });

  test("is what the view of a partition follows; the number a record will get is known before", async () => {
    await using log = await openLog(emptyDisk());
    append(log, "a");
    expect(log.partition(0)).toMatchObject({ nextSequenceNumber: 0, isEmpty: true });
    expect(log.pendingSequenceNumber(0)).toBe(1);
    await log.flush();
    expect(log.partition(0)).toMatchObject({ nextSequenceNumber: 1, isEmpty: false });
  });

  test("wakes a listener that appends: nothing is left lying", async () => {
    await using log = await openLog(emptyDisk());
    let appended = 0;
    log.onCommit(() => {
      if (appended++ < 20) append(log, "again");
    });
    append(log, "start");
    await until(() => log.partition(0).nextSequenceNumber === 21, "21 records");
  });

  test("larger than a segment becomes several, in order", async () => {
    await using log = await openLog(emptyDisk());
    const all = Array.from({ length: 40 }, (_, i) => `${i}:`.padEnd(1_000, "x"));
    for (const content of all) append(log, content);
    await log.flush();
    expect(log.stats().commits).toBeGreaterThan(10);
    expect(await contents(log)).toEqual(all);
  });

  test("goes on when a listener throws, and the process hears of it", async () => {
    await using log = await openLog(emptyDisk());
    const thrown: unknown[] = [];
    const old = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => thrown.push(error.message));
    const end = log.onCommit(() => {
      throw new Error("listener");
    });
    await commit(log, "a");
    end();
    await commit(log, "b");
    for (const listener of old) process.on("uncaughtException", listener);
    expect([thrown, await contents(log)]).toEqual([["listener"], ["a", "b"]]);
  });
});

describe("append refuses", () => {
  const refusal = (append_: () => unknown): unknown => {
    try {
      append_();
    } catch (error) {
      expect(error).toBeInstanceOf(LogError);
      return (error as LogError).code;
    }
    return undefined;
  };

  test("a record over the bound, and takes one at it", async () => {
    await using log = await openLog(emptyDisk(), { recordBytesMax: 100 });
    expect(refusal(() => append(log, "x".repeat(101)))).toBe("log.record_too_large");
    await commit(log, "x".repeat(100));
    expect(log.partition(0).nextSequenceNumber).toBe(1);
  });

  test("by default only what does not fit the smallest segment", async () => {
    await using log = await openLog(emptyDisk());
    const overhead = 40 + 24 + 3 * 32 + 40 + 16;
    expect(refusal(() => append(log, "x".repeat(4097 - overhead)))).toBe("log.record_too_large");
    await commit(log, "x".repeat(4096 - overhead));
  });

  test("more than may be pending, and accepts again after the commit", async () => {
    await using log = await openLog(emptyDisk(), { pendingBytesMax: 1_000 });
    for (let i = 0; i < 2; i++) append(log, "x".repeat(450));
    expect(refusal(() => append(log, "x".repeat(100)))).toBe("log.full_pending");
    await log.flush();
    await commit(log, "x".repeat(100));
    expect(log.partition(0).nextSequenceNumber).toBe(3);
  });

  test.each([-1, 3, 0.5, Number.NaN])("partition %s", async (partition) => {
    await using log = await openLog(emptyDisk());
    expect(refusal(() => append(log, "x", partition))).toBe("log.no_such_partition");
    expect(refusal(() => log.partition(partition))).toBe("log.no_such_partition");
    await expect(log.read(partition, "first", everything)).rejects.toMatchObject({
      code: "log.no_such_partition",
    });
  });

  test("everything once it is closed", async () => {
    const log = await openLog(emptyDisk());
    await log.close();
    expect(refusal(() => append(log, "x"))).toBe("log.closed");
    await expect(log.read(0, "first", everything)).rejects.toMatchObject({ code: "log.closed" });
  });
});

describe("close", () => {
  test("finishes what was accepted, and can be called again", async () => {
    const disk = emptyDisk();
    const log = await openLog(disk);
    const durable: number[] = [];
    log.onCommit((ordinal) => durable.push(ordinal));
    for (let i = 0; i < 50; i++) append(log, `${i}`.padEnd(500, "x"));
    await Promise.all([log.close(), log.close()]);
    expect(durable.at(-1)).toBe(50);
    disk.crash("none");
    await using again = await openLog(disk);
    expect(again.partition(0).nextSequenceNumber).toBe(50);
  });

  test("does not leave a half prepared segment, nor a timer, behind", async () => {
    const disk = emptyDisk();
    const timers = new Set<() => void>();
    const log = await openLog(disk, {
      retentionMs: 60_000,
      schedule: (_, callback) => {
        timers.add(callback);
        return () => timers.delete(callback);
      },
    });
    await log.close();
    const operations = disk.operations;
    await turns(10);
    expect([timers.size, disk.operations - operations]).toEqual([0, 0]);
    expect(disk.paths.filter((path) => path.endsWith(".new"))).toEqual([]);
  });
});

describe("options", () => {
  test.each([
    [{ partitions: 0 }],
    [{ partitions: 1.5 }],
    [{ partitions: 257 }],
    [{ segmentBytes: 100 }],
    [{ segmentBytes: 2 ** 31 }],
    [{ recordBytesMax: 0 }],
    [{ recordBytesMax: 4_096 }],
  ])("%j is refused before anything is written", async (options) => {
    const disk = emptyDisk();
    await expect(openLog(disk, options)).rejects.toMatchObject({ code: "log.options_invalid" });
    expect(disk.operations).toBe(0);
  });

  test("the partition count is stored: it may be left out, and not be changed", async () => {
    const disk = emptyDisk();
    await (await openLog(disk, { partitions: 5 })).close();
    await expect(openLog(disk, { partitions: 4 })).rejects.toMatchObject({
      code: "log.partitions_fixed",
    });
    const fileSystem = disk.forProcess();
    await using log = await Log.open({ directory: "/data/log", fileSystem, segmentBytes: 16_384 });
    expect(log.partitions).toBe(5);
  });

  test("a new log has one partition and makes the directories above it", async () => {
    const disk = emptyDisk();
    const fileSystem = disk.forProcess();
    const segmentBytes = 16_384;
    const log = await Log.open({ directory: "/data/a/b", fileSystem, segmentBytes });
    await commit(log, "x");
    await log.close();
    disk.crash("none");
    await using again = await Log.open({ directory: "/data/a/b", fileSystem: disk.forProcess() });
    expect([again.partitions, await contents(again)]).toEqual([1, ["x"]]);
  });
});
