import type { LogFile } from "./file-system.ts";

/** One write's worth: bounded, so that a large segment never holds up the commits beside it for long. */
const zeros = Buffer.alloc(256 * 1024);

/** Overwrites `[from, to)` with zeros. Not synced. */
export async function zeroFill(file: LogFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += zeros.length) {
    // oxlint-disable-next-line no-await-in-loop -- one piece at a time is the point
    await file.write(zeros, 0, Math.min(zeros.length, to - at), at);
  }
}

/** Where the last byte from `from` on that is not zero ends; `from` when there is none. */
export function nonZeroEnd(bytes: Buffer, from: number): number {
  let end = bytes.length;
  while (end > from) {
    const start = Math.max(from, end - zeros.length);
    if (bytes.compare(zeros, 0, end - start, start, end) !== 0) break;
    end = start;
  }
  while (end > from && bytes[end - 1] === 0) end--;
  return end;
}
