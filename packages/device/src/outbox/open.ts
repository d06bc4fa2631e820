import { dirname, join } from "node:path";
import { Log, nodeFileSystem } from "@hubwire/log";
import type { LogFileSystem, LogOptions } from "@hubwire/log";
import { IotError } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import { Lane } from "../telemetry/lane.ts";
import { priorities } from "../telemetry/priority.ts";
import { decodeCursor, encodeCursor, outboxFormatVersion, versionOf } from "./cursor.ts";
import type { Cursor } from "./cursor.ts";
import { lockDirectory } from "./directory-lock.ts";
import { cursorPartition, DurableOutbox, partitions } from "./durable-outbox.ts";
import { outboxError } from "./outbox-error.ts";
import { salvageInto } from "./salvage.ts";

export type OpenOutbox = {
  directory: string;
  /** Default: the machine's disk, and then the directory is locked. */
  fileSystem: LogFileSystem | undefined;
  /** 1 MiB. */
  segmentBytes?: number | undefined;
  clock: Clock;
  random: () => number;
};

const segmentBytesPreset = 1024 * 1024;
/** Later segments are larger, so that a busy outbox does not make a file for every thirtieth of a second. */
const segmentGrowth = 8;
const pendingBytesMax = 32 * 1024 * 1024;
/** What was committed leaves from memory by itself: the log need not keep it too. */
const cacheBytesMax = 256 * 1024;

const generationName = /^log-(\d{6})$/;

/**
 * Opens a durable outbox, or makes one.
 *
 * The directory holds one log, `log-000001`. When its bytes were damaged, what can be read of it is copied into the next,
 * `log-000002`, and the damaged one is deleted; a copy that was not finished has no cursor yet, and is made again.
 * @throws IotError `device.outbox_locked`, `device.outbox_format_newer`, `device.outbox_disk_full`, `device.outbox_unavailable`,
 *   `argument.invalid`
 */
export async function openOutbox(options: OpenOutbox): Promise<DurableOutbox> {
  let unlock = (): Promise<void> => Promise.resolve();
  try {
    if (options.fileSystem === undefined) unlock = await lockDirectory(options.directory);
    return await openLocked(options, unlock);
  } catch (error) {
    await unlock();
    throw outboxError(error);
  }
}

async function openLocked(
  options: OpenOutbox,
  unlock: () => Promise<void>,
): Promise<DurableOutbox> {
  const fileSystem = options.fileSystem ?? nodeFileSystem;
  const generations = await generationsIn(fileSystem, options.directory);
  const newest = generations.at(-1) ?? 1;
  const opened = await openGeneration(options, newest);
  const older = generations.filter((generation) => generation < newest);
  const before = older.at(-1);
  if (opened !== "damaged") {
    const cursor = await readCursor(opened);
    if (cursor !== undefined || before === undefined) {
      for (const generation of older) {
        // oxlint-disable-next-line no-await-in-loop -- there is one at most
        await wipe(fileSystem, generationPath(options.directory, generation));
      }
      return finish(opened, cursor, options, undefined, unlock);
    }
    await opened.close();
  }
  // A generation that is damaged, or that was not finished: then the one before it is the damaged one.
  const isUnfinished = opened !== "damaged";
  const source = isUnfinished && before !== undefined ? before : newest;
  const target = source + 1;
  if (isUnfinished) await wipe(fileSystem, generationPath(options.directory, newest));
  return salvage(options, fileSystem, source, target, unlock);
}

async function salvage(
  options: OpenOutbox,
  fileSystem: LogFileSystem,
  source: number,
  target: number,
  unlock: () => Promise<void>,
): Promise<DurableOutbox> {
  const from = generationPath(options.directory, source);
  const log = await openGeneration(options, target);
  if (log === "damaged") throw new Error("a log that was just made is not damaged");
  const { kept, lost } = await salvageInto(log, from, fileSystem).catch(async (error: unknown) => {
    await log.close();
    throw error;
  });
  const cursor: Cursor = priorities.map(() => ({ before: 0, ranges: [] }));
  const text =
    `${from} was damaged: ${lost} messages or more cannot be read, ` +
    `${kept} that were not acknowledged are kept and sent`;
  const found = new IotError("device.outbox_corrupt", text);
  const outbox = await finish(log, undefined, options, found, unlock, cursor);
  await wipe(fileSystem, from);
  return outbox;
}

/** @param birth what a log without cursor begins with */
async function finish(
  log: Log,
  cursor: Cursor | undefined,
  { clock }: OpenOutbox,
  found: IotError | undefined,
  unlock: () => Promise<void>,
  birth?: Cursor,
): Promise<DurableOutbox> {
  const lanes = priorities.map((_, priority) => new Lane(priority));
  let bytes = 0;
  try {
    for (const lane of lanes) {
      // oxlint-disable-next-line no-await-in-loop -- three
      bytes += await restore(log, lane, (cursor ?? birth)?.[lane.priority]);
    }
    if (cursor === undefined) {
      log.append(cursorPartition, encodeCursor(lanes), new Uint8Array(0), 0, 0);
      await log.flush();
    }
  } catch (error) {
    await log.close();
    throw error;
  }
  return new DurableOutbox(log, clock, lanes, bytes, found, unlock);
}

/** What of one partition is still to be sent. Returns its bytes. */
async function restore(log: Log, lane: Lane, cursor: Cursor[number] | undefined): Promise<number> {
  const view = log.partition(lane.priority);
  const { firstSequenceNumber, nextSequenceNumber, nextOffset } = view;
  lane.settled.restore(Math.max(cursor?.before ?? 0, firstSequenceNumber), cursor?.ranges ?? []);
  lane.nextSequenceNumber = nextSequenceNumber;
  lane.storedFrom = Math.min(lane.settled.before, nextSequenceNumber);
  lane.storedTo = nextSequenceNumber;
  if (lane.storedCount === 0) return 0;
  const from = { sequenceNumber: lane.storedFrom };
  // One that cannot be read is dealt with when its turn comes.
  const [first] = await log
    .read(lane.priority, from, { recordsMax: 1, bytesMax: 1 })
    .catch(() => []);
  lane.storedBytes = nextOffset - (first?.offset ?? view.firstOffset);
  return lane.storedBytes;
}

/** @throws IotError `device.outbox_format_newer` */
async function readCursor(log: Log): Promise<Cursor | undefined> {
  const { isEmpty, nextSequenceNumber } = log.partition(cursorPartition);
  if (isEmpty) return undefined;
  const from = { sequenceNumber: nextSequenceNumber - 1 };
  const [record] = await log.read(cursorPartition, from, { recordsMax: 1, bytesMax: 1 });
  if (record === undefined) return undefined;
  const version = versionOf(record.bytes);
  if (version <= outboxFormatVersion) return decodeCursor(record.bytes);
  await log.close();
  throw new IotError(
    "device.outbox_format_newer",
    `The outbox has format ${version}; this release reads up to format ${outboxFormatVersion}`,
  );
}

async function openGeneration(
  { directory, fileSystem, segmentBytes = segmentBytesPreset, clock, random }: OpenOutbox,
  generation: number,
): Promise<Log | "damaged"> {
  const options: LogOptions = {
    directory: generationPath(directory, generation),
    partitions,
    segmentBytes,
    segmentBytesMax: segmentGrowth * segmentBytes,
    pendingBytesMax,
    cacheBytesMax,
    nowMs: () => clock.wallMs(),
    schedule: (delayMs, callback) => {
      const timer = clock.at(clock.nowMs() + delayMs, callback);
      return () => timer.cancel();
    },
    endOfTurn: (callback) => clock.endOfTurn(callback),
    randomUint32: () => Math.floor(random() * 2 ** 32),
    ...(fileSystem === undefined ? {} : { fileSystem }),
  };
  try {
    return await Log.open(options);
  } catch (error) {
    if ((error as { code?: string }).code === "log.corrupt") return "damaged";
    throw error;
  }
}

const generationPath = (directory: string, generation: number): string =>
  join(directory, `log-${String(generation).padStart(6, "0")}`);

/** Numbers of the logs that have files, ascending. */
async function generationsIn(fileSystem: LogFileSystem, directory: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await namesIn(fileSystem, directory)) {
    const digits = generationName.exec(name)?.[1];
    if (digits === undefined) continue;
    // oxlint-disable-next-line no-await-in-loop -- there are two at most
    const files = await namesIn(fileSystem, join(directory, name));
    if (files.length > 0) found.push(Number(digits));
  }
  return found.toSorted((a, b) => a - b);
}

async function namesIn(fileSystem: LogFileSystem, directory: string): Promise<string[]> {
  try {
    return await fileSystem.readdir(directory);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return [];
    throw error;
  }
}

/** Oldest file first, so that what is left of it is never taken for a log with a beginning. */
async function wipe(fileSystem: LogFileSystem, directory: string): Promise<void> {
  for (const name of (await namesIn(fileSystem, directory)).toSorted()) {
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await fileSystem.unlink(join(directory, name));
  }
  await fileSystem.syncDirectory(directory).catch(() => {});
  await fileSystem.syncDirectory(dirname(directory)).catch(() => {});
}
