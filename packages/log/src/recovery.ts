import { join } from "node:path";

import type { Counters } from "./counters.ts";
import { listSegments, makeDirectory, readWhole } from "./directory.ts";
import type { LogFile } from "./file-system.ts";
import { findMagic } from "./format.ts";
import { LogError } from "./log-error.ts";
import { openingBytes } from "./opening-frame.ts";
import { partitionsMax } from "./options.ts";
import type { LogSettings } from "./options.ts";
import { corrupt, frameBehind, scanSegment } from "./scan.ts";
import type { Scan } from "./scan.ts";
import type { Segment } from "./segment.ts";
import { segmentFileName } from "./segment.ts";
import type { PreparedFile } from "./spare-segment.ts";
import { nonZeroEnd, zeroFill } from "./zeros.ts";

export type Recovered = {
  salt: number;
  /** Oldest first; the last is the one to append to, open as `activeFile`. */
  segments: [Segment, ...Segment[]];
  activeFile: LogFile;
  spare: PreparedFile | undefined;
  counters: Counters;
  timeMs: number;
  /** Length of a torn last batch that was dropped: nobody was told that it was durable. */
  droppedBytes: number;
};

/** A file that has its name, but no segment was opened in it yet; or a crash tore its opening frame. */
type Unopened = { number: number; path: string; sizeBytes: number; isZero: boolean };

/**
 * Brings a directory into the state the log appends to: every accepted frame on disk for good, nothing
 * but zeros behind them. Undefined when there is no log in it yet.
 * @throws LogError `log.corrupt`, `log.format_newer`, `log.partitions_fixed`; what the file system says
 */
export async function recover(settings: LogSettings): Promise<Recovered | undefined> {
  const { fileSystem, directory } = settings;
  await makeDirectory(fileSystem, directory);
  const numbers = await listSegments(fileSystem, directory);
  // A killed process may have left names that only memory has yet.
  await fileSystem.syncDirectory(directory);
  const found = new FoundSegments(settings);
  let memory: Buffer = Buffer.alloc(0);
  for (const number of numbers) {
    const path = join(directory, segmentFileName(number));
    // oxlint-disable-next-line no-await-in-loop -- each is checked against the one before
    const bytes = await readWhole(fileSystem, path, memory);
    found.add(number, path, bytes);
    if (bytes.length > memory.length) memory = bytes;
  }
  const { last, segments, unopened } = found;
  const [oldest, ...others] = segments;
  if (!last || !oldest) return undefined;
  const activeFile = await fileSystem.open(last.segment.path, "readWrite");
  try {
    await settleTail(activeFile, last);
    return {
      salt: last.opening.salt,
      segments: [oldest, ...others],
      activeFile,
      spare: unopened && (await reuse(settings, unopened)),
      counters: last.counters,
      timeMs: last.segment.lastTimeMs,
      droppedBytes: found.droppedBytes,
    };
  } catch (error) {
    await activeFile.close().catch(() => {});
    throw error;
  }
}

/** Takes segment files oldest first, and finds what does not fit together. */
class FoundSegments {
  readonly #partitions: number | undefined;
  readonly segments: Segment[] = [];
  last: Scan | undefined;
  unopened: Unopened | undefined;
  droppedBytes = 0;
  #number: number | undefined;

  constructor(settings: LogSettings) {
    this.#partitions = settings.partitions;
  }

  add(number: number, path: string, bytes: Buffer): void {
    if (this.#number !== undefined && number !== this.#number + 1) {
      throw corrupt(path, 0, `the segment file before it, ${this.#number + 1}, is missing`);
    }
    this.#number = number;
    const scan = scanSegment(bytes, path);
    if (scan) this.#addOpened(scan, number, path, bytes);
    else this.#addUnopened(number, path, bytes);
  }

  #addOpened(scan: Scan, number: number, path: string, bytes: Buffer): void {
    const { opening, segment, counters } = scan;
    if (this.unopened) {
      throw corrupt(this.unopened.path, 0, "no opening frame, though the next segment has one");
    }
    if (opening.number !== number) throw corrupt(path, 0, `is segment ${opening.number}, renamed`);
    if (opening.sizeBytes !== bytes.length) {
      throw corrupt(path, bytes.length, `ends here; it was made with ${opening.sizeBytes} bytes`);
    }
    if (this.#partitions !== undefined && this.#partitions !== counters.partitions) {
      throw new LogError(
        "log.partitions_fixed",
        `${path} has ${counters.partitions} partitions, not ${this.#partitions}`,
      );
    }
    const before = this.last?.segment;
    if (before && opening.position !== before.endPosition) {
      throw corrupt(before.path, before.endOffset, "committed frames are damaged from here on");
    }
    const behind = frameBehind(bytes, segment.endOffset + 1, opening);
    if (behind !== undefined) {
      throw corrupt(
        path,
        segment.endOffset,
        `damaged, with an intact frame behind it at ${behind}`,
      );
    }
    this.droppedBytes = nonZeroEnd(bytes, segment.endOffset) - segment.endOffset;
    this.segments.push(segment);
    this.last = scan;
  }

  #addUnopened(number: number, path: string, bytes: Buffer): void {
    const before = this.last;
    if (this.unopened) throw corrupt(path, 0, "a second segment file without opening frame");
    if (before) {
      const expected = { salt: before.opening.salt, position: before.segment.endPosition };
      if (frameBehind(bytes, 0, expected) !== undefined) {
        throw corrupt(path, 0, "the opening frame is damaged, with intact frames behind it");
      }
    } else if (number > 1 || findMagic(bytes, 1) !== -1) {
      // A crash while a log was being created leaves one file with no frame behind the first.
      throw corrupt(path, 0, "the oldest segment has no intact opening frame");
    }
    const isZero = nonZeroEnd(bytes, 0) === 0;
    this.unopened = { number, path, sizeBytes: bytes.length, isZero };
  }
}

/**
 * The last frame may be in memory only, or, after a sync that failed, look written though it is not. It is
 * written again, the rest zeroed, and both synced, before a reader sees the frame or an append follows it.
 */
async function settleTail(file: LogFile, { segment, lastFrameOffset }: Scan): Promise<void> {
  const from = lastFrameOffset ?? 0;
  const frame = Buffer.alloc(segment.endOffset - from);
  await file.read(frame, 0, frame.length, from);
  await file.write(frame, 0, frame.length, from);
  await zeroFill(file, segment.endOffset, segment.sizeBytes);
  await file.datasync();
}

/** Takes an unopened file as the next segment, or deletes it when a batch would not fit in it. */
async function reuse(settings: LogSettings, found: Unopened): Promise<PreparedFile | undefined> {
  const { fileSystem, directory } = settings;
  const { path, number, sizeBytes } = found;
  if (sizeBytes < settings.segmentBytes) {
    await fileSystem.unlink(path);
    await fileSystem.syncDirectory(directory);
    return undefined;
  }
  const file = await fileSystem.open(path, "readWrite");
  try {
    // Zeros may be in memory only, over an opening frame: after a sync that failed.
    const openingMax = Math.min(openingBytes(partitionsMax), sizeBytes);
    await zeroFill(file, 0, found.isZero ? openingMax : sizeBytes);
    await file.datasync();
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
  return { file, path, number, sizeBytes };
}
