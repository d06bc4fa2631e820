import { randomInt } from "node:crypto";
import { seededRandom, SimulatedDisk } from "@hubwire/testkit";
import { describe, expect, test } from "vitest";

import {
  append,
  commit,
  contents,
  directory,
  emptyDisk,
  openLog,
} from "./support/simulated-log.ts";
import { until } from "./support/turns.ts";

const isLong = process.env.HUBWIRE_LONG === "1";
const runs = isLong ? 20_000 : 400;
const timeoutMs = isLong ? 600_000 : 60_000;
const segment = (number: number): string => `${directory}/${String(number).padStart(10, "0")}.seg`;
/** Opening frame of a log with three partitions. */
const openingBytes = 40 + 24 + 3 * 32;
const frameBytes = (records: number, bytes: number): number => 40 + records * (16 + bytes);

/** A closed log over several segments: three records of 100 bytes in each of the batches. */
async function filled(batches: number): Promise<{ disk: SimulatedDisk; all: string[] }> {
  const disk = emptyDisk();
  const log = await openLog(disk);
  const all: string[] = [];
  for (let batch = 0; batch < batches; batch++) {
    for (let i = 0; i < 3; i++) all.push(`${batch}/${i}`.padEnd(100, "x"));
    for (const content of all.slice(-3)) append(log, content);
    // oxlint-disable-next-line no-await-in-loop -- a batch each
    await log.flush();
  }
  await log.close();
  return { disk, all };
}

function change(disk: SimulatedDisk, path: string, edit: (bytes: Uint8Array) => void): void {
  const bytes = disk.contents(path);
  edit(bytes);
  disk.place(path, bytes);
}

/** Where the n-th batch of the first segment begins. */
const batchAt = (n: number): number => openingBytes + n * frameBytes(3, 100);

async function lastSegment(disk: SimulatedDisk): Promise<string> {
  const files = (await disk.readdir(directory)).filter((name) => name.endsWith(".seg")).toSorted();
  const opened = files.filter((name) => disk.contents(`${directory}/${name}`)[0] !== 0);
  return `${directory}/${opened.at(-1)}`;
}

describe("a torn tail", () => {
  test.each([
    ["header", 20],
    ["body", 200],
  ])("is dropped whole, %s torn, and its numbers are used again", async (_, keptBytes) => {
    const { disk, all } = await filled(4);
    change(disk, segment(1), (bytes) => bytes.fill(0, batchAt(3) + keptBytes));
    await using log = await openLog(disk);
    expect(await contents(log)).toEqual(all.slice(0, 9));
    expect(log.stats().droppedBytes).toBeGreaterThan(0);
    await commit(log, "next");
    expect(log.partition(0).nextSequenceNumber).toBe(10);
  });

  test("is also what an intact frame of this very log is, at a place where it was not written", async () => {
    const { disk, all } = await filled(4);
    change(disk, segment(1), (bytes) => bytes.copyWithin(batchAt(4), batchAt(3), batchAt(4)));
    await using log = await openLog(disk);
    expect(await contents(log)).toEqual(all);
    expect(log.stats().droppedBytes).toBe(frameBytes(3, 100));
  });

  test("becomes zeros before anything is appended", async () => {
    const { disk } = await filled(4);
    change(disk, segment(1), (bytes) => (bytes[batchAt(3)] = 0));
    await (await openLog(disk)).close();
    disk.crash("none");
    const rest = disk.contents(segment(1)).subarray(batchAt(3));
    expect([rest.length > 1000, rest.every((byte) => byte === 0)]).toEqual([true, true]);
  });

  test("a whole log of zeros behind the last frame drops nothing", async () => {
    const { disk, all } = await filled(4);
    await using log = await openLog(disk);
    expect([log.stats().droppedBytes, await contents(log)]).toEqual([0, all]);
  });

  test("with a frame inside a record, forged for the very place where it lies, stays a torn tail", async () => {
    // A device can send any bytes, and can know where in a segment they will be; it cannot know the salt.
    const forge = async (salt: number): Promise<Uint8Array> => {
      const other = emptyDisk();
      const log = await openLog(other, { randomUint32: () => salt });
      await commit(log, "x".repeat(1_000));
      await commit(log, "never appended");
      await log.close();
      return other.contents(segment(1)).slice(batchOf(1_000), batchOf(1_000) + frameBytes(1, 14));
    };
    const batchOf = (bytes: number): number => openingBytes + frameBytes(1, bytes);
    for (const [salt, outcome] of [
      [7, "log.corrupt"],
      [8, "dropped"],
    ] as const) {
      const disk = emptyDisk();
      const log = await openLog(disk, { randomUint32: () => 7 });
      const forged = await forge(salt);
      const body = new Uint8Array(2_000);
      body.set(forged, batchOf(1_000) - openingBytes - 40 - 16);
      await commit(log, body);
      disk.kill();
      change(disk, segment(1), (bytes) => (bytes[openingBytes + 50] = 1));
      const opened = await openLog(disk).then(
        async (again) => {
          const found = await contents(again);
          await again.close();
          return found.length === 0 ? "dropped" : found;
        },
        (error: { code: string }) => error.code,
      );
      expect(opened).toBe(outcome);
    }
  });
});

describe("damage to what was committed", () => {
  test(
    `is never skipped in silence: ${runs} single bits flipped anywhere in what is committed`,
    async () => {
      const { disk: original, all } = await filled(20);
      const paths = original.paths.filter((path) => path.endsWith(".seg"));
      const last = await lastSegment(original);
      const seed = randomInt(2 ** 32);
      const random = seededRandom(seed);
      let lastFrame = 0;
      for (let run = 0; run < runs; run++) {
        const disk = new SimulatedDisk();
        for (const path of paths) disk.place(path, original.contents(path));
        const path = random.pick(paths);
        const bit = random.int(disk.contents(path).length * 8);
        change(
          disk,
          path,
          (bytes) => (bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))),
        );
        const note = `seed ${seed}, run ${run}: bit ${bit} of ${path}`;
        const opening = openLog(disk);
        const refusal = await opening.then(
          () => undefined,
          (error: { code: string; message: string }) => error,
        );
        if (refusal) {
          expect(refusal.code, note).toMatch(/^log\.(corrupt|format_newer)$/);
          expect(refusal.message, note).toContain(path);
          continue;
        }
        const found = await contents(await opening);
        // A flip in the very last frame cannot be told from a torn write: it is dropped, and counted.
        const dropped = all.length - found.length;
        if (dropped > 0) {
          lastFrame++;
          expect([dropped, path, (await opening).stats().droppedBytes > 0], note).toEqual([
            3,
            last,
            true,
          ]);
        }
        expect(found, note).toEqual(all.slice(0, found.length));
        await (await opening).close();
      }
      expect(lastFrame).toBeGreaterThan(0);
    },
    timeoutMs,
  );

  test("names the file and the place", async () => {
    const { disk } = await filled(4);
    change(disk, segment(1), (bytes) => (bytes[batchAt(1) + 60] = 0));
    await expect(openLog(disk)).rejects.toMatchObject({
      code: "log.corrupt",
      message: `${segment(1)}, byte ${batchAt(1)}: damaged, with an intact frame behind it at ${batchAt(2)}`,
    });
  });

  test("changes nothing on disk: a copy can still be made", async () => {
    const { disk } = await filled(4);
    change(disk, segment(1), (bytes) => (bytes[batchAt(1) + 60] = 0));
    const before = disk.contents(segment(1));
    await expect(openLog(disk)).rejects.toThrow();
    expect(disk.contents(segment(1))).toEqual(before);
  });

  test("a missing segment is named", async () => {
    const { disk } = await filled(20);
    await disk.unlink(segment(2));
    await expect(openLog(disk)).rejects.toMatchObject({
      code: "log.corrupt",
      message: expect.stringContaining("the segment file before it, 2, is missing"),
    });
  });

  test("missing oldest segments are as if retention had taken them", async () => {
    const { disk, all } = await filled(20);
    await disk.unlink(segment(1));
    await using log = await openLog(disk);
    const { firstSequenceNumber, firstOffset } = log.partition(0);
    expect(firstSequenceNumber).toBeGreaterThan(0);
    expect(firstOffset).toBe(firstSequenceNumber * 116);
    expect(await contents(log)).toEqual(all.slice(firstSequenceNumber));
  });

  test.each([
    ["in the middle", 1],
    ["at the end", undefined],
  ])("a segment cut short is named, %s", async (_, number) => {
    const { disk } = await filled(20);
    const path = number ? segment(number) : await lastSegment(disk);
    const bytes = disk.contents(path);
    await disk.unlink(path);
    disk.place(path, bytes.subarray(0, bytes.length - 700));
    await expect(openLog(disk)).rejects.toMatchObject({
      code: "log.corrupt",
      message: expect.stringContaining(path),
    });
  });

  test("a segment under another's name is noticed", async () => {
    const { disk } = await filled(20);
    disk.place(segment(2), disk.contents(segment(1)));
    await expect(openLog(disk)).rejects.toMatchObject({
      code: "log.corrupt",
      message: expect.stringContaining("is segment 1, renamed"),
    });
  });

  test("an oldest segment without opening frame is no new log", async () => {
    const { disk } = await filled(2);
    change(disk, segment(1), (bytes) => bytes.fill(0, 0, openingBytes));
    await expect(openLog(disk)).rejects.toMatchObject({ code: "log.corrupt" });
  });
});

describe("what a crash leaves behind", () => {
  test("a half made segment is deleted", async () => {
    const { disk, all } = await filled(2);
    disk.place(`${segment(7)}.new`, new Uint8Array(100));
    await using log = await openLog(disk);
    expect(disk.paths).not.toContain(`${segment(7)}.new`);
    expect(await contents(log)).toEqual(all);
  });

  test("files of others are left alone", async () => {
    const { disk } = await filled(2);
    disk.place(`${directory}/notes.txt`, Buffer.from("mine"));
    await (await openLog(disk)).close();
    expect(disk.paths).toContain(`${directory}/notes.txt`);
  });

  test("a prepared segment is used again, and replaced when batches would not fit", async () => {
    const { disk } = await filled(2);
    expect(disk.contents(segment(2)).length).toBe(8_192);
    const again = await openLog(disk);
    expect(disk.contents(segment(2)).length).toBe(8_192);
    await again.close();
    await using larger = await openLog(disk, { segmentBytes: 16_384 });
    await until(() => disk.paths.includes(segment(2)), "the spare segment");
    expect(disk.contents(segment(2)).length).toBe(16_384);
    await commit(larger, "x".repeat(16_000));
  });

  test("a torn opening frame is cleared before the segment before it grows", async () => {
    const { disk, all } = await filled(2);
    change(disk, segment(2), (bytes) => bytes.fill(7, 0, 30));
    await using log = await openLog(disk);
    expect(disk.contents(segment(2)).every((byte) => byte === 0)).toBe(true);
    expect(await contents(log)).toEqual(all);
  });

  test("a log whose creation was cut off is created anew", async () => {
    for (let halt = 1; halt < 12; halt++) {
      const disk = emptyDisk();
      disk.haltAt(halt);
      let isOpen = false;
      void openLog(disk).then(() => (isOpen = true));
      await until(() => disk.isHalted || isOpen, "halt");
      disk.crash("torn", halt);
      await using log = await openLog(disk);
      await commit(log, "x");
      expect(log.partition(0).nextSequenceNumber).toBe(1);
    }
  });
});
