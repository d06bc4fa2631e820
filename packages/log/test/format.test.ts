import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log } from "@hubwire/log";
import { describe, expect, test } from "vitest";

import { formatVersion } from "../src/format.ts";
import {
  commit,
  directory,
  emptyDisk,
  everything,
  openLog,
  text,
} from "./support/simulated-log.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const firstSegment = join(fixtures, "format-1", "0000000001.seg");
const startMs = Date.UTC(2026, 0, 1);
const content = (n: number): string => `head ${`record ${n} `.padEnd(20 + n * 10, ".")}`;

describe("a log of format", () => {
  const versions = Array.from({ length: formatVersion }, (_, i) => i + 1);

  test.each(versions)("%i opens, reads back and is appended to", async (version) => {
    const scratch = await mkdtemp(join(tmpdir(), "hubwire-log-"));
    try {
      const copy = join(scratch, "log");
      await cp(join(fixtures, `format-${version}`), copy, { recursive: true });
      const log = await Log.open({ directory: copy, segmentBytes: 16_384 });
      const even = await log.read(0, "first", everything);
      const all = Array.from({ length: 24 }, (_, n) => n);
      expect(even.map(text)).toEqual(all.map(content));
      expect(even.map(({ sequenceNumber }) => sequenceNumber)).toEqual(all);
      expect(even.map((record) => record.enqueuedTimeMs - startMs)).toEqual(
        all.map((n) => n * 1_000),
      );
      const odd = await log.read(1, { enqueuedTimeMs: startMs + 20_500 }, everything);
      expect(odd.map(text)).toEqual([content(21), content(23)]);
      expect(log.partition(0)).toMatchObject({ nextSequenceNumber: 24, lastOffset: 3_473 });
      expect(log.partition(1)).toMatchObject({ nextSequenceNumber: 12, nextOffset: 1_932 });
      expect(log.partition(2)).toMatchObject({ nextSequenceNumber: 0, lastOffset: -1 });
      await commit(log, "next", 2);
      await log.close();
      await using again = await Log.open({ directory: copy });
      expect((await again.read(2, "first", everything)).map(text)).toEqual(["next"]);
    } finally {
      await rm(scratch, { recursive: true });
    }
  });

  test("newer than this release is refused by name, and left as it is", async () => {
    const disk = emptyDisk();
    for (const name of await readdir(join(fixtures, "format-1"))) {
      disk.place(`${directory}/${name}`, await readFile(join(fixtures, "format-1", name)));
    }
    const path = `${directory}/0000000002.seg`;
    const newer = disk.contents(path);
    newer[4] = formatVersion + 1;
    disk.place(path, newer);
    await expect(openLog(disk)).rejects.toMatchObject({
      code: "log.format_newer",
      message: `${path} has log format ${formatVersion + 1}; this release reads up to format ${formatVersion}`,
      retryable: false,
    });
    expect(disk.contents(path)).toEqual(newer);
  });
});

/** CRC-32 as in IEEE 802.3, bit by bit: not the implementation under test. */
function crc32(bytes: Uint8Array, start: number): number {
  let crc = ~start;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

test("the bytes of format 1 are as its description says", async () => {
  const file = await readFile(firstSegment);
  const u64 = (at: number): number => Number(file.readBigUInt64LE(at));
  const frame = (at: number) => {
    const length = file.readUInt32LE(at + 8);
    return {
      magic: file.toString("latin1", at, at + 4),
      version: file[at + 4],
      kind: file[at + 5],
      length,
      records: file.readUInt32LE(at + 12),
      position: u64(at + 16),
      timeMs: u64(at + 24),
      bodyCrc: file.readUInt32LE(at + 32),
      headerCrc: file.readUInt32LE(at + 36),
      body: file.subarray(at + 40, at + length),
      header: file.subarray(at, at + 36),
    };
  };
  const opening = frame(0);
  expect(opening).toMatchObject({ magic: "HBWL", version: 1, kind: 1, records: 0, position: 0 });
  expect(opening.bodyCrc).toBe(crc32(opening.body, 0));
  expect(opening.headerCrc).toBe(crc32(opening.header, 0));
  const salt = file.readUInt32LE(40);
  const fields = [file.readUInt32LE(44), u64(48), u64(56)];
  expect(fields).toEqual([3, 1, 4_096]);
  expect(opening.length).toBe(64 + 3 * 32);

  let position = opening.length;
  const next = [0, 0, 0];
  const seen: string[] = [];
  let commits = 0;
  for (; file[position] !== 0; commits++) {
    const batch = frame(position);
    expect(batch).toMatchObject({ magic: "HBWL", version: 1, kind: 2, position });
    expect(batch.timeMs).toBe(startMs + commits * 1_000);
    expect(batch.bodyCrc).toBe(crc32(batch.body, salt));
    expect(batch.headerCrc).toBe(crc32(batch.header, salt));
    let at = position + 40;
    for (let i = 0; i < batch.records; i++) {
      const length = file.readUInt32LE(at);
      const partition = file.readUInt16LE(at + 4);
      expect([file.readUInt16LE(at + 6), u64(at + 8)]).toEqual([0, next[partition]]);
      next[partition] = u64(at + 8) + 1;
      if (partition === 0) seen.push(file.toString("latin1", at + 16, at + 16 + length));
      at += 16 + length;
    }
    position += batch.length;
    expect(at).toBe(position);
  }
  expect(seen).toEqual(seen.map((_, n) => content(n)));
  expect([commits > 10, file.subarray(position).every((byte) => byte === 0)]).toEqual([true, true]);
});
