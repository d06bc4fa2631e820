import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeCursor,
  encodeCursor,
  outboxFormatVersion,
  versionOf,
} from "../src/outbox/cursor.ts";
import { lockBySocketFile, lockDirectory } from "../src/outbox/directory-lock.ts";
import { decodeRecord, recordBytes, RecordEncoder } from "../src/outbox/record.ts";
import { DrainRate } from "../src/telemetry/drain-rate.ts";
import { Lane } from "../src/telemetry/lane.ts";
import { nextLane } from "../src/telemetry/lanes.ts";
import { MessageIds } from "../src/telemetry/message-ids.ts";
import { Outgoing } from "../src/telemetry/outgoing.ts";
import { SettledRanges } from "../src/telemetry/settled-ranges.ts";
import { seeded } from "./support/world.ts";

describe("settled ranges", () => {
  test("are what a plain set of numbers says, in any order of settling", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60), { maxLength: 120 }), (numbers) => {
        const ranges = new SettledRanges();
        const all = new Set<number>();
        for (const number of numbers) {
          ranges.add(number);
          all.add(number);
          let before = 0;
          while (all.has(before)) before += 1;
          expect(ranges.before).toBe(before);
          for (let n = 0; n <= 62; n++) expect(ranges.has(n)).toBe(all.has(n));
          for (let i = 1; i < ranges.ranges.length; i++) {
            expect(ranges.ranges[i]).toBeGreaterThan(ranges.ranges[i - 1] as number);
          }
        }
      }),
    );
  });

  test("are on disk what they are in memory", () => {
    const lanes = [0, 1, 2].map((priority) => new Lane(priority));
    for (const n of [0, 1, 2, 5, 6, 2 ** 40]) lanes[1]?.settled.add(n);
    const bytes = encodeCursor(lanes);
    expect(versionOf(bytes)).toBe(outboxFormatVersion);
    expect(decodeCursor(bytes)).toEqual([
      { before: 0, ranges: [] },
      { before: 3, ranges: [5, 7, 2 ** 40, 2 ** 40 + 1] },
      { before: 0, ranges: [] },
    ]);
  });

  test("too many ranges are not saved: what is in them comes again", () => {
    const lane = new Lane(0);
    for (let n = 1; n < 400; n += 2) lane.settled.add(n);
    const [saved] = decodeCursor(encodeCursor([lane]));
    expect(saved?.ranges).toHaveLength(128);
    const restored = new SettledRanges();
    restored.restore(saved?.before ?? 0, saved?.ranges ?? []);
    for (let n = 0; n < 400; n++) if (restored.has(n)) expect(lane.settled.has(n)).toBe(true);
  });
});

describe("message ids", () => {
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

  test("are UUIDs of version 7 that grow, whatever the wall clock does", () => {
    const ids = new MessageIds(seeded(1));
    const random = seeded(2);
    let wallMs = Date.UTC(2026, 0, 1);
    let last = "";
    for (let i = 0; i < 20_000; i++) {
      if (random() < 0.1) wallMs += Math.floor(random() * 20) - 5;
      if (random() < 0.001) wallMs -= 3_600_000;
      const id = ids.next(wallMs);
      expect(id).toMatch(form);
      expect(id > last, `${last} before ${id}`).toBe(true);
      last = id;
    }
  });

  test("begin with the time, as RFC 9562 has it", () => {
    // 0x017f22e279b0 is the time of the example in RFC 9562, appendix A.6.
    expect(new MessageIds(seeded(1)).next(0x017f22e279b0)).toMatch(/^017f22e2-79b0-7/);
  });

  test("of two sources differ", () => {
    const both = [new MessageIds(undefined), new MessageIds(undefined)];
    const all = Array.from({ length: 2_000 }, (_, i) => both[i & 1]?.next(1_000));
    expect(new Set(all).size).toBe(2_000);
  });
});

test("records say what was written", () => {
  const payload = fc.uint8Array({ maxLength: 5_000 });
  const bag = fc.constantFrom("", "%24.mid=a", `k=${"v".repeat(3_000)}`);
  const encoder = new RecordEncoder();
  fc.assert(
    fc.property(payload, bag, fc.boolean(), fc.nat(), (bytes, text, isQos1, ttlMs) => {
      const qos = isQos1 ? 1 : 0;
      const message = new Outgoing("devices/d/", `devices/d/${text}`, bytes, qos, 1, 77);
      message.acceptedAtMs = 1_760_000_000_123;
      message.ttlMs = ttlMs;
      const end = encoder.encode(message);
      expect(end).toBe(recordBytes(text.length, bytes.length));
      const read = decodeRecord(5, encoder.bytes.slice(0, end), 16);
      expect(read).toMatchObject({
        sequenceNumber: 5,
        bag: text,
        qos,
        sizeBytes: 77,
        acceptedAtMs: 1_760_000_000_123,
        ttlMs,
        bytes: end + 16,
      });
      expect(Buffer.from(read?.payload ?? []).equals(bytes)).toBe(true);
    }),
  );
});

test.each([[[]], [[2, 0, 0, 0]], [Array.from({ length: 24 }, () => 0)]])(
  "bytes that are no record of this version are not taken for one: %j",
  (bytes) => {
    expect(decodeRecord(0, Uint8Array.from(bytes), 16)).toBeUndefined();
  },
);

test("the drain rate lets one second's worth go at once, and then keeps its pace", () => {
  const rate = new DrainRate(10);
  let nowMs = 5_000;
  const wentAt: number[] = [];
  while (wentAt.length < 30) {
    const atMs = rate.nextAtMs(nowMs);
    if (atMs > 0) {
      nowMs = atMs;
      continue;
    }
    rate.take();
    wentAt.push(nowMs);
  }
  expect(wentAt.filter((atMs) => atMs === 5_000)).toHaveLength(10);
  expect(wentAt.at(-1)).toBeCloseTo(7_000, 3);
});

test("a drain rate without limit never waits", () => {
  const rate = new DrainRate(Infinity);
  for (let i = 0; i < 1_000; i++) {
    expect(rate.nextAtMs(1)).toBe(0);
    rate.take();
  }
});

test("the more urgent lane is served first, and the others now and then", () => {
  const lanes = [0, 1, 2].map((priority) => {
    const lane = new Lane(priority);
    for (let i = 0; i < 1_000; i++) {
      const message = new Outgoing("", "", new Uint8Array(0), 1, priority, 0);
      message.sequenceNumber = i;
      lane.push(message);
    }
    return lane;
  });
  const served = [0, 0, 0];
  for (let i = 0; i < 340; i++) {
    const lane = nextLane(lanes, () => 0) as Lane;
    lane.shift();
    served[lane.priority] = (served[lane.priority] ?? 0) + 1;
  }
  expect(served[2]).toBeGreaterThan(290);
  expect(served[1]).toBeGreaterThan(15);
  expect(served[0]).toBeGreaterThan(15);
  // Those that may not go yet are not in the way of those that may.
  expect(nextLane(lanes, (lane) => (lane.priority === 2 ? 99 : 0))).toBe(lanes[1]);
  expect(nextLane(lanes, () => 42)).toBe(42);
});

describe("the lock of a directory", () => {
  const inDirectory = async (work: (directory: string) => Promise<void>): Promise<void> => {
    const directory = mkdtempSync(join(tmpdir(), "hubwire-lock-"));
    try {
      await work(directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };

  test.each([
    ["of this platform", lockDirectory],
    ["by a socket file", lockBySocketFile],
  ])("%s is held once, and free again when it is let go", async (_, lock) => {
    await inDirectory(async (directory) => {
      const unlock = await lock(directory);
      await expect(lock(directory)).rejects.toMatchObject({ code: "device.outbox_locked" });
      await unlock();
      const again = await lock(directory);
      await again();
    });
  });

  test("is one for one directory, whatever path leads to it", async () => {
    await inDirectory(async (directory) => {
      const real = join(directory, "real");
      const other = join(directory, "other");
      const unlock = await lockDirectory(real);
      symlinkSync(real, other);
      await expect(lockDirectory(other)).rejects.toMatchObject({ code: "device.outbox_locked" });
      await unlock();
    });
  });

  test("by a socket file outlives no holder: a file that nobody answers on is taken over", async () => {
    await inDirectory(async (directory) => {
      writeFileSync(join(directory, "lock"), "");
      const unlock = await lockBySocketFile(directory);
      await unlock();
    });
  });
});
