import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, nodeFileSystem } from "@hubwire/log";
import { seededRandom } from "@hubwire/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { append, commit, contents, fill } from "./support/simulated-log.ts";

let scratch = "";
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), "hubwire-log-"));
});
afterEach(async () => {
  await rm(scratch, { recursive: true });
});

describe("on the real disk", () => {
  test("a log keeps its records over restarts, rolls and deletes", async () => {
    const directory = join(scratch, "a", "log");
    const options = { directory, partitions: 2, segmentBytes: 65_536, segmentBytesMax: 65_536 };
    const random = seededRandom(1);
    const all: string[] = [];
    for (let life = 0; life < 4; life++) {
      await using log = await Log.open({ ...options, cacheBytesMax: life % 2 === 0 ? 0 : 100_000 });
      const { firstSequenceNumber } = log.partition(1);
      expect(await contents(log, 1)).toEqual(all.slice(firstSequenceNumber));
      for (let batch = 0; batch < 20; batch++) {
        for (let i = 0; i < 5; i++) {
          const content = `${all.length}:`.padEnd(random.int(3_000), "x");
          append(log, content, 1);
          all.push(content);
        }
        await log.flush();
      }
      log.trimBefore(all.length - 50, 1);
      expect(log.partition(1).firstSequenceNumber).toBeGreaterThan(0);
    }
  });

  test("files are for their owner only", async () => {
    const directory = join(scratch, "log");
    await using log = await Log.open({ directory });
    await commit(log, "private");
    const modes: number[] = [];
    for (const path of [directory, ...(await readdir(directory)).map((n) => join(directory, n))]) {
      modes.push((await stat(path)).mode & 0o777);
    }
    expect(modes[0]).toBe(0o700);
    expect(new Set(modes.slice(1))).toEqual(new Set([0o600]));
  });

  test("a batch of several megabytes is one commit", async () => {
    await using log = await Log.open({ directory: join(scratch, "log") });
    const all = Array.from({ length: 12 }, (_, i) => `${i}`.padEnd(256 * 1024, "x"));
    for (const content of all) append(log, content);
    await log.flush();
    expect([log.stats().commits, await contents(log)]).toEqual([1, all]);
  });

  test("a directory that is a file is refused with the system's reason", async () => {
    const file = await nodeFileSystem.open(join(scratch, "file"), "create");
    await file.close();
    await expect(Log.open({ directory: join(scratch, "file") })).rejects.toMatchObject({
      code: "log.io",
      message: expect.stringContaining("ENOTDIR"),
    });
  });

  test("two logs side by side do not mix", async () => {
    await using a = await Log.open({ directory: join(scratch, "a") });
    await using b = await Log.open({ directory: join(scratch, "b") });
    const [ofA, ofB] = await Promise.all([fill(a, 20), fill(b, 10, 100)]);
    expect([await contents(a), await contents(b)]).toEqual([ofA, ofB]);
  });
});

describe("the file port", () => {
  const sizes = [0, 1, 65_536, 65_537, 1_000_000];

  test.each(sizes)("writes %i bytes whole and reads them back", async (size) => {
    const bytes = seededRandom(size).bytes(size + 2);
    const file = await nodeFileSystem.open(join(scratch, "f"), "create");
    await file.write(bytes, 1, size, 10);
    await file.datasync();
    expect(await file.size()).toBe(size === 0 ? 0 : size + 10);
    const back = new Uint8Array(size + 5);
    expect(await file.read(back, 2, size + 3, 10)).toBe(size);
    expect(Buffer.compare(back.subarray(2, size + 2), bytes.subarray(1, size + 1))).toBe(0);
    await file.close();
  });

  test.each([1, 65_537, 1_000_000])("writes %i bytes durably in one operation", async (size) => {
    const bytes = seededRandom(size).bytes(size);
    const path = join(scratch, "f");
    const file = await nodeFileSystem.open(path, "create");
    await file.writeDurably!(bytes, 0, size, 3);
    const back = new Uint8Array(size);
    expect(await file.read(back, 0, size, 3)).toBe(size);
    expect(Buffer.compare(back, bytes)).toBe(0);
    await file.close();
    const reader = await nodeFileSystem.open(path, "read");
    expect("writeDurably" in reader).toBe(false);
    await reader.close();
  });

  test("an operation on a closed file is refused, and closing twice is harmless", async () => {
    const file = await nodeFileSystem.open(join(scratch, "f"), "create");
    await file.close();
    await file.close();
    await expect(file.write(new Uint8Array(1), 0, 1, 0)).rejects.toThrow();
    await expect(file.write(new Uint8Array(70_000), 0, 70_000, 0)).rejects.toThrow();
    await expect(file.read(new Uint8Array(1), 0, 1, 0)).rejects.toThrow();
    await expect(file.writeDurably!(new Uint8Array(1), 0, 1, 0)).rejects.toThrow();
    await expect(file.datasync()).rejects.toThrow();
    await expect(file.size()).rejects.toThrow();
  });

  test("renames, unlinks, lists and syncs a directory", async () => {
    const path = (name: string): string => join(scratch, name);
    await nodeFileSystem.mkdir(path("d"));
    await nodeFileSystem.mkdir(path("d"));
    await (await nodeFileSystem.open(path("d/a"), "create")).close();
    await nodeFileSystem.rename(path("d/a"), path("d/b"));
    expect(await nodeFileSystem.readdir(path("d"))).toEqual(["b"]);
    await nodeFileSystem.syncDirectory(path("d"));
    await nodeFileSystem.unlink(path("d/b"));
    expect(await nodeFileSystem.readdir(path("d"))).toEqual([]);
    await expect(nodeFileSystem.open(path("d/b"), "read")).rejects.toMatchObject({
      code: "ENOENT",
    });
  });
});
