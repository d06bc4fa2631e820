import { crashModes, SimulatedDisk, withoutDatasync, withoutDirectorySync } from "@hubwire/testkit";
import type { CrashMode } from "@hubwire/testkit";
import { describe, expect, test } from "vitest";

const text = (disk: SimulatedDisk, path = "/d/f"): string =>
  Buffer.from(disk.contents(path)).toString("latin1");

async function diskWithFile(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk({ schedule: (complete) => queueMicrotask(complete) });
  disk.place("/d/f", Buffer.from("old.".repeat(512)));
  return disk;
}

async function write(disk: SimulatedDisk, content: string, position = 0): Promise<void> {
  const file = await disk.open("/d/f", "readWrite");
  const bytes = Buffer.from(content);
  await file.write(bytes, 0, bytes.length, position);
}

async function sync(disk: SimulatedDisk): Promise<void> {
  await (await disk.open("/d/f", "readWrite")).datasync();
}

/** All outcomes of crashing the same disk with many seeds. */
async function outcomes<T>(
  mode: CrashMode,
  prepare: (disk: SimulatedDisk) => Promise<unknown>,
  look: (disk: SimulatedDisk) => T,
): Promise<Set<T>> {
  const seen = new Set<T>();
  for (let seed = 0; seed < 64; seed++) {
    const disk = await diskWithFile();
    await prepare(disk);
    disk.crash(mode, seed);
    seen.add(look(disk));
  }
  return seen;
}

describe("bytes", () => {
  test.each(crashModes)("synced ones survive a crash: %s", async (mode) => {
    const disk = await diskWithFile();
    await write(disk, "new!");
    await sync(disk);
    disk.crash(mode, 1);
    expect(text(disk).slice(0, 8)).toBe("new!old.");
  });

  test.each([
    ["none", ["old."]],
    ["all", ["new!"]],
    ["random", ["new!", "old."]],
    ["torn", ["new!", "old."]],
  ] as const)("unsynced ones, %s: %j", async (mode, expected) => {
    const start = (disk: SimulatedDisk): string => text(disk).slice(0, 4);
    const seen = await outcomes(mode, (disk) => write(disk, "new!"), start);
    expect([...seen].toSorted()).toEqual(expected);
  });

  test("a killed process leaves them, and the power can still take them", async () => {
    const disk = await diskWithFile();
    await write(disk, "new!");
    disk.kill();
    expect(text(disk).slice(0, 4)).toBe("new!");
    disk.crash("none");
    expect(text(disk).slice(0, 4)).toBe("old.");
  });

  test("a sync covers what was written before it began, not what came while it ran", async () => {
    const disk = await diskWithFile();
    const file = await disk.open("/d/f", "readWrite");
    const syncing = file.datasync();
    await file.write(Buffer.from("new!"), 0, 4, 0);
    await syncing;
    disk.crash("none");
    expect(text(disk).slice(0, 4)).toBe("old.");
  });

  test("a sector is never torn, a longer write is", async () => {
    const long = "new!".repeat(256);
    const sectors = (disk: SimulatedDisk): string =>
      [0, 512].map((at) => text(disk).slice(at, at + 512)).join();
    const [oldest, newest] = ["old.".repeat(128), "new!".repeat(128)];
    const all = [oldest, newest].flatMap((a) => [oldest, newest].map((b) => `${a},${b}`));
    for (const mode of ["random", "torn"] as const) {
      const seen = await outcomes(mode, (disk) => write(disk, long), sectors);
      expect([...seen].toSorted()).toEqual(all.toSorted());
    }
  });

  test("a sector written twice may show the version in between", async () => {
    const twice = async (disk: SimulatedDisk): Promise<void> => {
      await write(disk, "mid-");
      await write(disk, "new!");
    };
    const seen = await outcomes("random", twice, (disk) => text(disk).slice(0, 4));
    expect([...seen].toSorted()).toEqual(["mid-", "new!", "old."]);
  });

  test("a file that grew may show zeros, or what a deleted file left", async () => {
    const grow = async (disk: SimulatedDisk): Promise<void> => {
      disk.place("/d/secret", Buffer.from("left".repeat(128)));
      await disk.unlink("/d/secret");
      await write(disk, "new!".repeat(128), 2048);
    };
    const end = (disk: SimulatedDisk): string => text(disk).slice(2048, 2052);
    expect([...(await outcomes("random", grow, end))].toSorted()).toEqual(["", "\0\0\0\0", "new!"]);
    expect([...(await outcomes("stale", grow, end))].toSorted()).toEqual(["", "left", "new!"]);
  });

  test("after a failed sync they look written, and no later sync brings them to the disk", async () => {
    const failed = async (disk: SimulatedDisk): Promise<void> => {
      await write(disk, "new!");
      disk.fail({ operation: "datasync", code: "EIO" });
      await expect(sync(disk)).rejects.toMatchObject({ code: "EIO" });
      await sync(disk);
      expect(text(disk).slice(0, 4)).toBe("new!");
    };
    const start = (disk: SimulatedDisk): string => text(disk).slice(0, 4);
    expect([...(await outcomes("none", failed, start))]).toEqual(["old."]);
    expect([...(await outcomes("random", failed, start))].toSorted()).toEqual(["new!", "old."]);
  });
});

describe("names", () => {
  const changes: Record<string, (disk: SimulatedDisk) => Promise<unknown>> = {
    create: (disk) => disk.open("/d/g", "create"),
    unlink: (disk) => disk.unlink("/d/f"),
    rename: (disk) => disk.rename("/d/f", "/d/g"),
    mkdir: (disk) => disk.mkdir("/d/sub"),
  };
  const directoryNames = async (disk: SimulatedDisk): Promise<string> =>
    (await disk.readdir("/d")).toSorted().join();

  test.each([
    ["create", "f,g"],
    ["unlink", ""],
    ["rename", "g"],
    ["mkdir", "f,sub"],
  ])("a %s is there at once, and for good once its directory is synced", async (name, after) => {
    const disk = await diskWithFile();
    await changes[name]?.(disk);
    expect(await directoryNames(disk)).toBe(after);
    disk.crash("none");
    expect(await directoryNames(disk)).toBe("f");
    await changes[name]?.(disk);
    await disk.syncDirectory("/d");
    disk.crash("random", 3);
    expect(await directoryNames(disk)).toBe(after);
  });

  test("unsynced ones survive each by itself", async () => {
    const both = async (disk: SimulatedDisk): Promise<void> => {
      await disk.open("/d/g", "create");
      await disk.unlink("/d/f");
    };
    const seen = await outcomes("random", both, (disk) => disk.paths.join());
    expect([...seen].toSorted()).toEqual(["", "/d/f", "/d/f,/d/g", "/d/g"]);
  });

  test("a name that survives says nothing about the bytes", async () => {
    const disk = await diskWithFile();
    const file = await disk.open("/d/g", "create");
    await file.write(Buffer.from("new!"), 0, 4, 0);
    await disk.syncDirectory("/d");
    disk.crash("none");
    expect(text(disk, "/d/g")).toBe("");
  });
});

describe("the process", () => {
  test("halts at the operation asked for: that one and later ones never return", async () => {
    const disk = await diskWithFile();
    const file = await disk.open("/d/f", "readWrite");
    disk.haltAt(disk.operations + 2);
    const settled: string[] = [];
    const note = (what: string) => (): void => void settled.push(what);
    void file.write(Buffer.from("1"), 0, 1, 0).then(note("first"));
    void file.write(Buffer.from("2"), 0, 1, 1).then(note("second"));
    void file.write(Buffer.from("3"), 0, 1, 2).then(note("third"));
    void disk.readdir("/d").then(note("read"));
    await new Promise(setImmediate);
    // Halted while the first was under way: its answer does not arrive either.
    expect([settled, disk.isHalted, disk.last?.kind]).toEqual([[], true, "write"]);
    disk.crash("all");
    expect(text(disk).slice(0, 4)).toBe("12d.");
  });

  test("that was killed cannot write any more, nor open, nor unlink", async () => {
    const disk = await diskWithFile();
    const before = disk.forProcess();
    const file = await before.open("/d/f", "readWrite");
    disk.kill();
    const settled: string[] = [];
    const note = (): void => void settled.push("settled");
    file.write(Buffer.from("ghost"), 0, 5, 0).then(note, note);
    before.unlink("/d/f").then(note, note);
    const after = await disk.forProcess().open("/d/f", "read");
    expect([await after.size(), text(disk).slice(0, 4), settled]).toEqual([2048, "old.", []]);
  });

  test("can be driven by a virtual clock", async () => {
    const waiting: (() => void)[] = [];
    const disk = new SimulatedDisk({ schedule: (complete) => waiting.push(complete) });
    disk.place("/f", new Uint8Array(4));
    let isOpen = false;
    void disk.open("/f", "read").then(() => (isOpen = true));
    await new Promise(setImmediate);
    expect(isOpen).toBe(false);
    for (const complete of waiting) complete();
    await new Promise(setImmediate);
    expect(isOpen).toBe(true);
  });
});

describe("faults", () => {
  test("a full disk takes what fits, refuses the rest, and overwriting still works", async () => {
    const disk = await diskWithFile();
    disk.capacityBytes = 2048 + 100;
    await expect(write(disk, "x".repeat(200), 2048)).rejects.toMatchObject({ code: "ENOSPC" });
    expect(disk.contents("/d/f").length).toBe(2148);
    await write(disk, "y".repeat(200));
    await expect(disk.open("/d/g", "create")).rejects.toMatchObject({ code: "ENOSPC" });
    disk.capacityBytes = Infinity;
    await write(disk, "x".repeat(200), 2048);
  });

  test("a read-only disk refuses changes and can be read", async () => {
    const disk = await diskWithFile();
    disk.readOnly = true;
    await expect(write(disk, "x")).rejects.toMatchObject({ code: "EROFS" });
    await expect(disk.unlink("/d/f")).rejects.toMatchObject({ code: "EROFS" });
    expect(text(disk).slice(0, 4)).toBe("old.");
    await (await disk.open("/d/f", "read")).close();
  });

  test("come at the n-th operation, as often as asked, on the path asked", async () => {
    const disk = await diskWithFile();
    disk.place("/d/other", new Uint8Array(1));
    disk.fail({ operation: "unlink", code: "EIO", path: "/d/f", after: 1, times: 2 });
    await disk.unlink("/d/other");
    await disk.unlink("/d/f");
    for (let i = 0; i < 2; i++) {
      disk.place("/d/f", new Uint8Array(1));
      await expect(disk.unlink("/d/f")).rejects.toMatchObject({ code: "EIO" });
    }
    await disk.unlink("/d/f");
  });

  test("a missing file is reported as Node does", async () => {
    const disk = await diskWithFile();
    await expect(disk.open("/d/none", "read")).rejects.toMatchObject({ code: "ENOENT" });
    await expect(disk.readdir("/none")).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("file systems that break their promise", () => {
  test("without datasync nothing written survives", async () => {
    const disk = await diskWithFile();
    const file = await withoutDatasync(disk).open("/d/f", "readWrite");
    await file.write(Buffer.from("new!"), 0, 4, 0);
    await file.datasync();
    disk.crash("none");
    expect(text(disk).slice(0, 4)).toBe("old.");
  });

  test("without directory sync no name survives", async () => {
    const disk = await diskWithFile();
    const lying = withoutDirectorySync(disk);
    await lying.open("/d/g", "create");
    await lying.syncDirectory("/d");
    disk.crash("none");
    expect(disk.paths).toEqual(["/d/f"]);
  });
});
