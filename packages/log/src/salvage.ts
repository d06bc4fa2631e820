import { join } from "node:path";

import { listSegments, readWhole } from "./directory.ts";
import type { LogFileSystem } from "./file-system.ts";
import { findMagic, frameKinds, isBodyIntact, readFrameHeader } from "./format.ts";
import { nodeFileSystem } from "./node-file-system.ts";
import { decodeOpening } from "./opening-frame.ts";
import type { LogRecord } from "./record.ts";
import { eachRecord } from "./scan.ts";
import { segmentFileName } from "./segment.ts";

/**
 * Reads what can still be read of a log that `Log.open` refuses as damaged: the records of every frame whose checksums hold,
 * a segment file at a time, in order. Offsets are unknown (0). Nothing is changed on disk; the log must not be open.
 *
 * Frames are taken by their salted checksums and by their place, so that bytes which look like a frame pass for none.
 * @throws what the file system says
 */
export async function* salvage(
  directory: string,
  fileSystem: LogFileSystem = nodeFileSystem,
): AsyncGenerator<LogRecord[], void, undefined> {
  const numbers = await listSegments(fileSystem, directory);
  const salt = await findSalt(directory, fileSystem, numbers);
  if (salt === undefined) return;
  for (const number of numbers) {
    const path = join(directory, segmentFileName(number));
    // oxlint-disable-next-line no-await-in-loop -- one segment in memory at a time
    const bytes = await readWhole(fileSystem, path, Buffer.alloc(0));
    yield recordsIn(bytes, salt);
  }
}

/** Any segment's opening frame tells it. */
async function findSalt(
  directory: string,
  fileSystem: LogFileSystem,
  numbers: readonly number[],
): Promise<number | undefined> {
  for (const number of numbers) {
    const path = join(directory, segmentFileName(number));
    // oxlint-disable-next-line no-await-in-loop -- the first that has one ends it
    const opening = decodeOpening(await readWhole(fileSystem, path, Buffer.alloc(0)));
    if (opening) return opening.salt;
  }
  return undefined;
}

function recordsIn(bytes: Buffer, salt: number): LogRecord[] {
  const records: LogRecord[] = [];
  const base = decodeOpening(bytes)?.position;
  let at = findMagic(bytes, 0);
  while (at !== -1) {
    const frame = readFrameHeader(bytes, at, salt);
    const isInPlace = frame && (base === undefined || frame.position === base + at);
    if (!isInPlace || frame.kind !== frameKinds.batch || !isBodyIntact(bytes, at, frame, salt)) {
      at = findMagic(bytes, at + 1);
      continue;
    }
    const { timeMs } = frame;
    eachRecord(bytes, at, frame, (partition, sequenceNumber, start, end) => {
      const copy = Buffer.from(bytes.subarray(start, end));
      records.push({ partition, sequenceNumber, offset: 0, enqueuedTimeMs: timeMs, bytes: copy });
    });
    at = findMagic(bytes, at + frame.lengthBytes);
  }
  return records;
}
