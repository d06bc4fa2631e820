import { Log } from "@hubwire/log";
import type { LogOptions, LogRecord } from "@hubwire/log";
import { SimulatedDisk } from "@hubwire/testkit";

import { directory, smallLog } from "./lives.ts";

export { directory } from "./lives.ts";

/** A disk with the directory above the log's. */
export function emptyDisk(): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.place("/data/other", new Uint8Array(1));
  return disk;
}

/** A log of small segments. The timers of the real log never fire: tests bring their own. */
export function openLog(disk: SimulatedDisk, options: Partial<LogOptions> = {}): Promise<Log> {
  return Log.open({
    directory,
    ...smallLog,
    fileSystem: disk.forProcess(),
    schedule: () => () => {},
    randomUint32: () => 42,
    ...options,
  });
}

const nothing = new Uint8Array(0);

export function append(log: Log, content: string | Uint8Array, partition = 0): number {
  const bytes = Buffer.from(content);
  return log.append(partition, nothing, bytes, 0, bytes.length);
}

/** Appends and waits until it is durable: each is a batch of its own. */
export async function commit(log: Log, content: string | Uint8Array, partition = 0): Promise<void> {
  append(log, content, partition);
  await log.flush();
}

export const everything = { recordsMax: 1_000_000, bytesMax: 1e9 };

export async function contents(log: Log, partition = 0): Promise<string[]> {
  return (await log.read(partition, "first", everything)).map(text);
}

export function text({ bytes }: LogRecord): string {
  return Buffer.from(bytes).toString("latin1");
}

/** Records of so many bytes fill so many segments: content by sequence number. */
export async function fill(log: Log, records: number, bytes = 500): Promise<string[]> {
  const all: string[] = [];
  for (let i = 0; i < records; i++) {
    const content = `${i}:`.padEnd(bytes, "x");
    all.push(content);
    // oxlint-disable-next-line no-await-in-loop -- a batch each
    await commit(log, content);
  }
  return all;
}
