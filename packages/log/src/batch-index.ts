import { frameHeaderBytes, recordHeaderBytes } from "./format.ts";
import type { RecentBatch } from "./recent-batches.ts";

type BatchIndex = { starts: Uint32Array; firsts: Uint32Array };
const indexes = new WeakMap<RecentBatch, BatchIndex>();

/** Where each partition's records begin in a batch; made when the batch is first read. */
export function indexOf(recent: RecentBatch): BatchIndex {
  let index = indexes.get(recent);
  if (index === undefined) {
    index = makeIndex(recent);
    indexes.set(recent, index);
  }
  return index;
}

function makeIndex({ batch }: RecentBatch): BatchIndex {
  const { buffer, start, end, before, after } = batch;
  const { partitions } = before;
  const firsts = new Uint32Array(partitions + 1);
  for (let p = 0; p < partitions; p++) {
    firsts[p + 1] = firsts[p]! + after.sequenceNumber[p]! - before.sequenceNumber[p]!;
  }
  const next = firsts.slice(0, partitions);
  const starts = new Uint32Array(batch.records);
  for (let at = start + frameHeaderBytes; at < end;) {
    const partition = buffer[at + 4]! | (buffer[at + 5]! << 8);
    starts[next[partition]!++] = at + recordHeaderBytes;
    at += recordHeaderBytes + readUint32(buffer, at);
  }
  return { starts, firsts };
}

/** Without the checks of `readUInt32LE`: the batch is our own. */
export const readUint32 = (bytes: Buffer, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
