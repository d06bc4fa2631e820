import { Log, salvage } from "@hubwire/log";
import type { LogRecord } from "@hubwire/log";
import { SimulatedDisk } from "@hubwire/testkit";
import { expect, test } from "vitest";

const directory = "/data/log";
const names = Array.from({ length: 60 }, (_, i) => `record ${i}`.padEnd(100, "."));
const nothing = new Uint8Array(0);

/** A log of several small segments, each record in a frame of its own; closed. */
async function written(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  disk.place("/data/other", nothing);
  const options = { directory, partitions: 2, segmentBytes: 2_048, segmentBytesMax: 2_048 };
  const log = await Log.open({ ...options, fileSystem: disk });
  for (const [i, name] of names.entries()) {
    log.append(i % 2, Buffer.from(name), nothing, 0, 0);
    // oxlint-disable-next-line no-await-in-loop -- one frame after the other
    await log.flush();
  }
  await log.close();
  return disk;
}

async function saved(disk: SimulatedDisk): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const some of salvage(directory, disk)) records.push(...some);
  return records;
}

const text = ({ bytes }: LogRecord): string => Buffer.from(bytes).toString("utf8");

const segments = (disk: SimulatedDisk): string[] =>
  disk.paths.filter((path) => path.endsWith(".seg"));

function damage(disk: SimulatedDisk, path: string, from: number, to: number): void {
  const bytes = disk.contents(path);
  bytes.fill(0xff, from, to);
  disk.place(path, bytes);
}

test("of a log that is whole everything is read, with its numbers", async () => {
  const records = await saved(await written());
  expect(records.map(text)).toEqual(names);
  expect(records.map(({ partition, sequenceNumber }) => [partition, sequenceNumber])).toEqual(
    names.map((_, i) => [i % 2, Math.floor(i / 2)]),
  );
});

test("frames around a damaged place are read, whatever was damaged", async () => {
  const disk = await written();
  const [first, second, third] = segments(disk) as [string, string, string];
  // Within frames, over an opening frame, and to the end of a file.
  damage(disk, first, 700, 800);
  damage(disk, second, 0, 60);
  damage(disk, third, 1_000, 2_048);
  await expect(Log.open({ directory, fileSystem: disk })).rejects.toMatchObject({
    code: "log.corrupt",
  });
  const found = (await saved(disk)).map(text);
  expect(found).toEqual(names.filter((name) => found.includes(name)));
  expect(found.length).toBeGreaterThan(45);
  expect(found.length).toBeLessThan(60);
});

test("bytes that only look like a frame are not taken for one", async () => {
  const disk = await written();
  const [first] = segments(disk) as [string];
  const bytes = disk.contents(first);
  // A whole frame, in a place that is not its own.
  const at = Buffer.from(bytes).indexOf("HBWL", 40);
  bytes.set(bytes.slice(at, at + 160), 900);
  disk.place(first, bytes);
  const found = (await saved(disk)).map(text);
  expect(found.length).toBe(new Set(found).size);
});

test("where nothing says what the salt is, nothing is read", async () => {
  const disk = new SimulatedDisk();
  disk.place(`${directory}/0000000001.seg`, new Uint8Array(4_096).fill(7));
  expect(await saved(disk)).toEqual([]);
});
