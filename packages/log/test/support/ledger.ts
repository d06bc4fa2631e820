import type { Log, LogRecord } from "@hubwire/log";

type Accepted = { ordinal: number; partition: number; sequenceNumber: number; content: string };

/** The log broke a promise. */
class Violation extends Error {
  override readonly name = "Violation";
}

/**
 * What a log promised so far, kept beside it across crashes:
 *
 * - a record acknowledged, or shown to a reader, is there from then on, unchanged, unless retention took it;
 * - sequence numbers have no gap and no repeat, offsets follow from lengths, times do not go back;
 * - nothing is there that was not appended;
 * - a record reported lost is gone for good once the log is healthy again.
 */
export class Ledger {
  /** Content by partition and sequence number: acknowledged or seen. */
  readonly #kept: string[][];
  /** Accepted by the process that runs now, and not acknowledged: in order. */
  #pending: Accepted[] = [];
  /** Reported lost since the log was last healthy, or pending when the process died. */
  #ghosts: Accepted[] = [];
  readonly #next: number[];
  /** Retention had deleted everything before, for good or not. */
  readonly #first: number[];

  constructor(partitions: number) {
    this.#kept = Array.from({ length: partitions }, () => []);
    this.#next = Array.from({ length: partitions }, () => 0);
    this.#first = Array.from({ length: partitions }, () => 0);
  }

  accepted(ordinal: number, partition: number, content: string): void {
    const sequenceNumber = this.#next[partition] ?? 0;
    this.#next[partition] = sequenceNumber + 1;
    this.#pending.push({ ordinal, partition, sequenceNumber, content });
  }

  acknowledged(durableOrdinal: number): void {
    while (this.#pending[0] && this.#pending[0].ordinal <= durableOrdinal) {
      const { partition, sequenceNumber, content } = this.#pending.shift() as Accepted;
      if (this.#kept[partition]?.length !== sequenceNumber) {
        throw new Violation(`partition ${partition} acknowledged ${sequenceNumber} out of order`);
      }
      this.#kept[partition].push(content);
    }
  }

  lost(first: number, last: number): void {
    const isLost = ({ ordinal }: Accepted): boolean => ordinal >= first && ordinal <= last;
    this.#ghosts.push(...this.#pending.filter(isLost));
    this.#pending = this.#pending.filter((record) => !isLost(record));
    if (this.#pending.length > 0) throw new Violation("a failure left records in doubt");
    this.#rewind();
  }

  healthy(): void {
    this.#ghosts = [];
  }

  crashed(): void {
    this.#ghosts.push(...this.#pending);
    this.#pending = [];
    this.#rewind();
  }

  /** Retention is allowed to have removed what comes before the log's first record at this moment. */
  noteFirst(log: Log): void {
    for (const [p] of this.#first.entries()) {
      this.#first[p] = log.partition(p).firstSequenceNumber;
    }
  }

  /** Reads everything back. What is found counts as seen: it must not go away again. */
  async check(log: Log): Promise<void> {
    let timeMs = 0;
    for (const [partition, kept] of this.#kept.entries()) {
      // oxlint-disable-next-line no-await-in-loop -- one partition after the other
      const records = await readAll(log, partition);
      const { firstSequenceNumber, nextSequenceNumber } = log.partition(partition);
      const first = this.#first[partition] ?? 0;
      if (firstSequenceNumber > first) {
        throw new Violation(
          `partition ${partition} begins at ${firstSequenceNumber}, not ${first}`,
        );
      }
      if (firstSequenceNumber + records.length !== nextSequenceNumber) {
        throw new Violation(
          `partition ${partition}: ${records.length} read, to ${nextSequenceNumber}`,
        );
      }
      if (nextSequenceNumber < kept.length) {
        throw new Violation(
          `partition ${partition} ends at ${nextSequenceNumber}; ${kept.length} were durable`,
        );
      }
      this.#checkRecords(records, firstSequenceNumber, partition, kept);
      timeMs = Math.max(timeMs, records.at(-1)?.enqueuedTimeMs ?? 0);
      this.#next[partition] = nextSequenceNumber;
    }
  }

  #checkRecords(
    records: LogRecord[],
    firstSequenceNumber: number,
    partition: number,
    kept: string[],
  ): void {
    let before: LogRecord | undefined;
    for (const [index, record] of records.entries()) {
      const { sequenceNumber, offset, enqueuedTimeMs } = record;
      const content = Buffer.from(record.bytes).toString("latin1");
      const name = `partition ${partition}, record ${sequenceNumber}`;
      if (sequenceNumber !== firstSequenceNumber + index) throw new Violation(`${name}: a gap`);
      if (before && offset !== before.offset + 16 + before.bytes.length) {
        throw new Violation(`${name}: offset ${offset} after ${before.offset}`);
      }
      if (before && enqueuedTimeMs < before.enqueuedTimeMs) {
        throw new Violation(`${name}: time went back`);
      }
      before = record;
      if (sequenceNumber < kept.length) {
        if (content !== kept[sequenceNumber]) throw new Violation(`${name}: changed`);
        continue;
      }
      const known = this.#ghosts.some(
        (ghost) =>
          ghost.partition === partition &&
          ghost.sequenceNumber === sequenceNumber &&
          ghost.content === content,
      );
      if (!known) throw new Violation(`${name}: nobody appended it, or it was reported lost`);
      kept.push(content);
    }
  }

  #rewind(): void {
    for (const [p, kept] of this.#kept.entries()) this.#next[p] = kept.length;
  }
}

async function readAll(log: Log, partition: number): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for (;;) {
    const last = records.at(-1);
    const from = last ? { sequenceNumber: last.sequenceNumber + 1 } : "first";
    // oxlint-disable-next-line no-await-in-loop -- a read begins where the one before ended
    const more = await log.read(partition, from, { recordsMax: 50, bytesMax: 10_000 });
    if (more.length === 0) return records;
    records.push(...more);
  }
}
