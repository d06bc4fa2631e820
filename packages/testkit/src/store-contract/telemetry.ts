import type { Stores, TelemetryRecord, TelemetryStart, TelemetryStore } from "@hubwire/hub";
import { expect, test } from "vitest";
import type { OpenWorld } from "./index.ts";
import { inWorld } from "./world.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const everything = { recordsMax: 100_000, bytesMax: 1e9 };

/** Appends each text as one record (first character as the head) and waits until all are durable. */
export async function appendAll(
  telemetry: TelemetryStore,
  records: readonly (readonly [partition: number, text: string])[],
): Promise<number[]> {
  const ordinals: number[] = [];
  const durable = new Promise<void>((resolve, reject) => {
    const stops = [
      telemetry.onCommit((ordinal) => {
        if (ordinal < (ordinals.at(-1) ?? Infinity)) return;
        for (const stop of stops) stop();
        resolve();
      }),
      telemetry.onFailure((first, last) => {
        for (const stop of stops) stop();
        reject(new Error(`records ${first} to ${last} were lost`));
      }),
    ];
  });
  for (const [partition, text] of records) {
    const chunk = encoder.encode(`<<${text.slice(1)}>>`);
    const head = encoder.encode(text.slice(0, 1));
    ordinals.push(telemetry.append(partition, head, chunk, 2, chunk.length - 2));
  }
  await durable;
  return ordinals;
}

export const textsIn = async (
  telemetry: TelemetryStore,
  partition: number,
  from: TelemetryStart = "first",
  limits = everything,
): Promise<string[]> => (await telemetry.read(partition, from, limits)).map(textOf);
const textOf = (record: TelemetryRecord): string => decoder.decode(record.bytes);

export function describeTelemetry(open: OpenWorld): void {
  test("a fresh log is healthy and empty, with the partitions it was made with", () =>
    inWorld(open, async ({ telemetry }) => {
      expect(telemetry.partitionCount).toBe(4);
      expect(telemetry.healthy).toBe(true);
      for (let partition = 0; partition < 4; partition++) {
        expect(await telemetry.read(partition, "first", everything)).toEqual([]);
        expect(telemetry.partition(partition)).toMatchObject({
          firstSequenceNumber: 0,
          nextSequenceNumber: 0,
        });
      }
    }));

  test("records come back per partition, in order, numbered from 0 without gaps", () =>
    inWorld(open, async ({ telemetry }) => {
      const before = Date.now();
      const sent = Array.from({ length: 200 }, (_, n) => [(n * 7) % 4, `record ${n}`] as const);
      const ordinals = await appendAll(telemetry, sent);
      expect(ordinals).toEqual(ordinals.map((_, n) => ordinals[0]! + n));
      for (let partition = 0; partition < 4; partition++) {
        const records = await telemetry.read(partition, "first", everything);
        const mine = sent.filter(([p]) => p === partition).map(([, text]) => text);
        expect(records.map(textOf)).toEqual(mine);
        expect(records.map(({ sequenceNumber }) => sequenceNumber)).toEqual(mine.map((_, n) => n));
        expect(records.every((record) => record.partition === partition)).toBe(true);
        const last = records.at(-1)!;
        expect(telemetry.partition(partition)).toEqual({
          firstSequenceNumber: 0,
          nextSequenceNumber: mine.length,
          lastOffset: expect.any(Number) as number,
          lastEnqueuedTimeMs: last.enqueuedTimeMs,
        });
        const { lastOffset } = telemetry.partition(partition);
        expect(lastOffset).toBeGreaterThanOrEqual(last.offset);
        expect(await textsIn(telemetry, partition, { offset: lastOffset + 1 })).toEqual([]);
        let previous = { offset: -1, enqueuedTimeMs: before };
        for (const record of records) {
          expect(record.offset).toBeGreaterThan(previous.offset);
          expect(record.enqueuedTimeMs).toBeGreaterThanOrEqual(previous.enqueuedTimeMs);
          previous = record;
        }
      }
    }));

  test("nothing is readable before its commit is announced", () =>
    inWorld(open, async ({ telemetry }) => {
      const body = encoder.encode("x");
      telemetry.append(0, body, body, 0, 1);
      expect(telemetry.partition(0).nextSequenceNumber).toBe(0);
      await appendAll(telemetry, [[0, "later"]]);
      expect(telemetry.partition(0).nextSequenceNumber).toBe(2);
    }));

  test("commits are announced in order, and cover every ordinal", () =>
    inWorld(open, async ({ telemetry }) => {
      const commits: number[] = [];
      telemetry.onCommit((ordinal) => commits.push(ordinal));
      let last = -1;
      for (let round = 0; round < 20; round++) {
        last = (await appendAll(telemetry, [[round % 4, `round ${round}`]]))[0]!;
      }
      expect(commits).toEqual(commits.toSorted((a, b) => a - b));
      expect(commits.at(-1)).toBe(last);
    }));

  test("a reader may start at a sequence number, an offset, a time, the first or the end", () =>
    inWorld(open, async ({ telemetry }) => {
      for (let n = 0; n < 30; n++)
        await appendAll(telemetry, [
          [1, `a${n}`],
          [2, `other${n}`],
        ]);
      const records = await telemetry.read(1, "first", everything);
      const names = records.map(textOf);
      for (const at of [0, 1, 15, 29]) {
        const { sequenceNumber, offset, enqueuedTimeMs } = records[at]!;
        const rest = names.slice(at);
        expect(await textsIn(telemetry, 1, { sequenceNumber })).toEqual(rest);
        expect(await textsIn(telemetry, 1, { offset })).toEqual(rest);
        expect(await textsIn(telemetry, 1, { offset: offset + 1 })).toEqual(rest.slice(1));
        const sinceThen = records.filter((record) => record.enqueuedTimeMs >= enqueuedTimeMs);
        expect(await textsIn(telemetry, 1, { enqueuedTimeMs })).toEqual(sinceThen.map(textOf));
      }
      expect(await textsIn(telemetry, 1, { sequenceNumber: 30 })).toEqual([]);
      expect(await textsIn(telemetry, 1, { sequenceNumber: 1e9 })).toEqual([]);
      expect(await textsIn(telemetry, 1, { offset: 1e12 })).toEqual([]);
      expect(await textsIn(telemetry, 1, { enqueuedTimeMs: Date.now() + 1e6 })).toEqual([]);
      expect(await textsIn(telemetry, 1, { offset: 0 })).toEqual(names);
      expect(await textsIn(telemetry, 1, "end")).toEqual([]);
    }));

  test("limits of records and bytes are kept, and one record always comes", () =>
    inWorld(open, async ({ telemetry }) => {
      await appendAll(
        telemetry,
        ["1111111111", "2222222222", "3333333333"].map((text) => [0, text] as const),
      );
      const read = (recordsMax: number, bytesMax: number) =>
        textsIn(telemetry, 0, "first", { recordsMax, bytesMax });
      expect(await read(2, 1e6)).toEqual(["1111111111", "2222222222"]);
      expect(await read(9, 20)).toEqual(["1111111111", "2222222222"]);
      expect(await read(9, 19)).toEqual(["1111111111"]);
      expect(await read(9, 1)).toEqual(["1111111111"]);
    }));

  test("a record is the store's own copy, empty or of 256 KB", () =>
    inWorld(open, async ({ telemetry }) => {
      const big = new Uint8Array(262_144).fill(5);
      const none = new Uint8Array(0);
      telemetry.append(3, none, big, 0, big.length);
      telemetry.append(3, none, none, 0, 0);
      big.fill(6);
      await appendAll(telemetry, [[3, "last"]]);
      const [first, second, last] = await telemetry.read(3, "first", everything);
      expect(Uint8Array.from(first!.bytes)).toEqual(new Uint8Array(262_144).fill(5));
      expect(second?.bytes).toHaveLength(0);
      expect(textOf(last!)).toBe("last");
      first!.bytes.fill(1);
      const [again] = await telemetry.read(3, "first", { recordsMax: 1, bytesMax: 1e6 });
      expect(Uint8Array.from(again!.bytes)).toEqual(new Uint8Array(262_144).fill(5));
    }));

  test("a partition that does not exist is named", () =>
    inWorld(open, async ({ telemetry }) => {
      expect(() => telemetry.partition(4)).toThrow(
        expect.objectContaining({ code: "argument.invalid" }),
      );
      await expect(telemetry.read(-1, "first", everything)).rejects.toMatchObject({
        code: "argument.invalid",
      });
    }));

  test("after a restart every record is there, and numbers, offsets and times go on", () =>
    inWorld(open, async (stores, { reopen, restart }) => {
      if (reopen === undefined) return;
      await appendAll(stores.telemetry, [
        [0, "one"],
        [1, "two"],
        [0, "three"],
      ]);
      const before = stores.telemetry.partition(0);
      const again: Stores = await restart();
      expect(again.telemetry.partitionCount).toBe(4);
      expect(again.telemetry.partition(0)).toEqual(before);
      expect(await textsIn(again.telemetry, 0)).toEqual(["one", "three"]);
      await appendAll(again.telemetry, [[0, "four"]]);
      const four = (await again.telemetry.read(0, { sequenceNumber: 2 }, everything))[0]!;
      expect(four).toMatchObject({ sequenceNumber: 2 });
      expect(textOf(four)).toBe("four");
      expect(four.offset).toBeGreaterThan(before.lastOffset);
      expect(four.enqueuedTimeMs).toBeGreaterThanOrEqual(before.lastEnqueuedTimeMs);
      expect(await textsIn(again.telemetry, 1)).toEqual(["two"]);
    }));
}
