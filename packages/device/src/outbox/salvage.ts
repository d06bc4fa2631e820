import { salvage } from "@hubwire/log";
import type { Log, LogFileSystem, LogRecord } from "@hubwire/log";
import { SettledRanges } from "../telemetry/settled-ranges.ts";
import { decodeCursor, outboxFormatVersion, versionOf } from "./cursor.ts";
import { cursorPartition } from "./durable-outbox.ts";

const nothing = new Uint8Array(0);

/**
 * Copies the messages that can still be read of a damaged outbox, and are not settled, into a fresh log, in order.
 * @returns how many, and how many are missing between and before them
 */
export async function salvageInto(
  log: Log,
  directory: string,
  fileSystem: LogFileSystem,
): Promise<{ kept: number; lost: number }> {
  const settled = await lastCursor(salvage(directory, fileSystem));
  const next = settled.map(({ before }) => before);
  let kept = 0;
  let lost = 0;
  for await (const records of salvage(directory, fileSystem)) {
    for (const { partition, sequenceNumber, bytes } of records) {
      const done = settled[partition];
      const expected = next[partition] ?? 0;
      // Of damaged segments one record may be found twice.
      if (done === undefined || sequenceNumber < expected) continue;
      for (let missing = expected; missing < sequenceNumber; missing++) {
        if (!done.has(missing)) lost += 1;
      }
      next[partition] = sequenceNumber + 1;
      if (done.has(sequenceNumber)) continue;
      log.append(partition, nothing, bytes, 0, bytes.length);
      kept += 1;
    }
    await log.flush();
  }
  return { kept, lost };
}

/** What the newest cursor that can be read says. */
async function lastCursor(segments: AsyncIterable<LogRecord[]>): Promise<SettledRanges[]> {
  const settled = Array.from({ length: cursorPartition }, () => new SettledRanges());
  let newest = -1;
  for await (const records of segments) {
    for (const { partition, sequenceNumber, bytes } of records) {
      if (partition !== cursorPartition || sequenceNumber < newest) continue;
      if (versionOf(bytes) > outboxFormatVersion) continue;
      newest = sequenceNumber;
      for (const [lane, { before, ranges }] of decodeCursor(bytes).entries()) {
        settled[lane]?.restore(before, ranges);
      }
    }
  }
  return settled;
}
