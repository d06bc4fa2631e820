/// <reference lib="esnext.disposable" preserve="true" />
import { CommitListeners } from "./commit-listeners.ts";
import type { CommitListener, FailureListener } from "./commit-listeners.ts";
import type { Counters } from "./counters.ts";
import { frameHeaderBytes, recordHeaderBytes } from "./format.ts";
import { LogError, toLogError } from "./log-error.ts";
import { settle } from "./options.ts";
import type { LogOptions, LogSettings } from "./options.ts";
import { PendingBatches } from "./pending-batches.ts";
import type { Batch } from "./pending-batches.ts";
import { ReadFiles } from "./read-files.ts";
import { Reader } from "./reader.ts";
import type { LogRecord, ReadFrom, ReadLimits } from "./record.ts";
import { RecentBatches } from "./recent-batches.ts";
import { recover } from "./recovery.ts";
import type { Recovered } from "./recovery.ts";
import { Retention } from "./retention.ts";
import { SegmentWriter } from "./segment-writer.ts";
import type { Written } from "./segment-writer.ts";

/** One partition as far as it is committed. */
export type PartitionView = {
  /** Of the oldest record kept; equal to `nextSequenceNumber` when there is none. */
  firstSequenceNumber: number;
  nextSequenceNumber: number;
  firstOffset: number;
  nextOffset: number;
  /** Of the newest record ever committed, kept or not; -1 when there never was one. */
  lastOffset: number;
  /** Of the newest record ever committed, kept or not; 0 when there never was one. */
  lastEnqueuedTimeMs: number;
  isEmpty: boolean;
};

export type LogStats = {
  segments: number;
  /** All files, the prepared one included. */
  diskBytes: number;
  pendingBytes: number;
  cacheBytes: number;
  commits: number;
  committedRecords: number;
  failures: number;
  /** Of a torn last batch that recovery dropped. */
  droppedBytes: number;
  /** What keeps the next segment from being prepared, or an old one from being deleted. */
  backgroundError: LogError | undefined;
};

const reopenDelayMs = { first: 100, max: 5_000 };
const retentionCheckMs = { min: 1_000, max: 60_000 };

/**
 * A durable append log. Records are collected for one turn of the event loop, then written and synced
 * together: one commit is in flight, what arrives meanwhile joins the next.
 */
export class Log implements AsyncDisposable {
  readonly #settings: LogSettings;
  readonly #committed: Counters;
  readonly #pending: PendingBatches;
  readonly #recent: RecentBatches;
  readonly #files: ReadFiles;
  readonly #writer: SegmentWriter;
  readonly #reader: Reader;
  readonly #retention: Retention;
  readonly #listeners = new CommitListeners();
  readonly #droppedBytes: number;
  #durableOrdinal = 0;
  #failed: LogError | undefined;
  #commits = 0;
  #committedRecords = 0;
  #failures = 0;
  #isTurnPending = false;
  #isRollDue = false;
  #committing: Promise<void> | undefined;
  #reopening: Promise<void> | undefined;
  #cancelReopen: () => void = () => {};
  #cancelRetention: () => void = () => {};
  #closing: Promise<void> | undefined;

  private constructor(settings: LogSettings, recovered: Recovered) {
    this.#settings = settings;
    this.#committed = recovered.counters;
    this.#droppedBytes = recovered.droppedBytes;
    this.#pending = new PendingBatches(settings.frameBytesMax, recovered.counters);
    this.#recent = new RecentBatches(settings.cacheBytesMax);
    this.#files = new ReadFiles(settings.fileSystem);
    this.#writer = new SegmentWriter(settings, recovered, () => this.#retain());
    const { segments, salt } = this.#writer;
    const committed = { salt, segments, recent: this.#recent, counters: this.#committed };
    this.#reader = new Reader(committed, this.#files);
    const { partitions } = this.#committed;
    this.#retention = new Retention(settings, segments, this.#files, partitions);
    this.#writer.prepareSpare();
    this.#retain();
    this.#scheduleRetention();
  }

  /**
   * Opens the log in a directory, or creates it.
   * @throws LogError `log.corrupt` when committed bytes changed, `log.format_newer`, `log.partitions_fixed`,
   * `log.options_invalid`; `log.disk_full`, `log.read_only`, `log.io` from the file system
   */
  static async open(options: LogOptions): Promise<Log> {
    const settings = settle(options, frameHeaderBytes + recordHeaderBytes);
    try {
      return new Log(settings, (await recover(settings)) ?? (await SegmentWriter.create(settings)));
    } catch (error) {
      throw toLogError(error, `opening the log in ${settings.directory}`);
    }
  }

  /** False from a failed write or sync until the log is open again. */
  get healthy(): boolean {
    return this.#failed === undefined;
  }

  get partitions(): number {
    return this.#committed.partitions;
  }

  /**
   * Accepts one record: the bytes of `head`, then `chunk[start, end)`, which are copied. It is not durable
   * yet. Returns its ordinal, which grows by one per record accepted since the log was opened, from 1.
   * @throws LogError `log.full_pending`, `log.unhealthy`, `log.record_too_large`, `log.no_such_partition`, `log.closed`
   */
  append(
    partition: number,
    head: Uint8Array,
    chunk: Uint8Array,
    start: number,
    end: number,
  ): number {
    const bytes = head.length + end - start;
    const pending = this.#pending;
    if (
      this.#failed !== undefined ||
      this.#closing !== undefined ||
      bytes > this.#settings.recordBytesMax ||
      pending.bytes + bytes + recordHeaderBytes > this.#settings.pendingBytesMax ||
      !this.#has(partition)
    ) {
      throw this.#refusal(partition, bytes);
    }
    const ordinal = pending.append(partition, head, chunk, start, end);
    if (!this.#isTurnPending && this.#committing === undefined) this.#awaitEndOfTurn();
    return ordinal;
  }

  /** What the next record appended to this partition gets, if its batch and those before it commit. */
  pendingSequenceNumber(partition: number): number {
    this.#check(partition);
    return this.#pending.nextSequenceNumber(partition);
  }

  /**
   * After each commit: every record up to this ordinal (inclusive) is durable, but for those reported lost.
   * The function returned ends it.
   */
  onCommit(listener: CommitListener): () => void {
    return this.#listeners.onCommit(listener);
  }

  /**
   * A commit failed: the records from the first to the last ordinal (both inclusive) will not be durable, and their
   * sequence numbers go to others. Only if the process dies before the log is healthy again may they reappear.
   */
  onFailure(listener: FailureListener): () => void {
    return this.#listeners.onFailure(listener);
  }

  /** Resolves when everything accepted so far is durable; rejects if some of it was lost. */
  flush(): Promise<void> {
    if (this.#failed) return Promise.reject(this.#failed);
    return this.#listeners.whenDurable(this.#pending.lastOrdinal, this.#durableOrdinal);
  }

  partition(partition: number): PartitionView {
    this.#check(partition);
    const first = this.#writer.segments[0]?.opening.counters ?? this.#committed;
    const firstSequenceNumber = first.sequenceNumber[partition] ?? 0;
    const nextSequenceNumber = this.#committed.sequenceNumber[partition] ?? 0;
    return {
      firstSequenceNumber,
      nextSequenceNumber,
      firstOffset: first.offset[partition] ?? 0,
      nextOffset: this.#committed.offset[partition] ?? 0,
      lastOffset: nextSequenceNumber === 0 ? -1 : (this.#committed.lastOffset[partition] ?? 0),
      lastEnqueuedTimeMs: this.#committed.timeMs[partition] ?? 0,
      isEmpty: firstSequenceNumber === nextSequenceNumber,
    };
  }

  /**
   * Committed records of one partition, in order. Empty when there are none yet; what retention deleted is
   * skipped.
   * @throws LogError `log.corrupt`, `log.io`, `log.no_such_partition`, `log.closed`
   */
  async read(partition: number, from: ReadFrom, limits: ReadLimits): Promise<LogRecord[]> {
    this.#check(partition);
    if (this.#closing) throw new LogError("log.closed", "the log is closed");
    try {
      return await this.#reader.read(partition, from, limits);
    } catch (error) {
      throw this.#closing ? new LogError("log.closed", "the log was closed meanwhile") : error;
    }
  }

  /** Gives up a partition's records before this one; segments in which all partitions' records are given up are deleted. */
  trimBefore(sequenceNumber: number, partition = 0): void {
    this.#check(partition);
    this.#retention.trimBefore(partition, sequenceNumber);
    this.#retain();
  }

  stats(): LogStats {
    const { segments, spare } = this.#writer;
    return {
      segments: segments.length,
      diskBytes: segments.reduce(
        (sum, { sizeBytes }) => sum + sizeBytes,
        spare.isReady ? spare.sizeBytes : 0,
      ),
      pendingBytes: this.#pending.bytes,
      cacheBytes: this.#recent.bytes,
      commits: this.#commits,
      committedRecords: this.#committedRecords,
      failures: this.#failures,
      droppedBytes: this.#droppedBytes,
      backgroundError: spare.error ?? this.#retention.error,
    };
  }

  /** Refuses new records, commits the accepted ones, lets go of the files. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    // What was lost on the way was reported by onFailure.
    await this.flush().catch(() => {});
    this.#cancelReopen();
    this.#cancelRetention();
    await this.#committing;
    await this.#reopening;
    await this.#retention.settled();
    await this.#writer.close();
    await this.#files.close();
  }

  #awaitEndOfTurn(): void {
    this.#isTurnPending = true;
    this.#settings.endOfTurn(() => {
      this.#isTurnPending = false;
      this.#commit();
    });
  }

  #commit(): void {
    if (this.#committing !== undefined || this.#failed !== undefined) return;
    this.#committing = this.#commitAll().finally(() => {
      this.#committing = undefined;
      // A listener may have appended after the last look.
      if (!this.#pending.isEmpty && !this.#isTurnPending) this.#awaitEndOfTurn();
    });
  }

  async #commitAll(): Promise<void> {
    try {
      let next = this.#startNext();
      while (next) {
        const { batch, written } = next;
        // oxlint-disable-next-line no-await-in-loop -- one commit in flight
        const { position, timeMs } = await written;
        if (batch) this.#committedOne(batch, position, timeMs);
        // The disk is busy with the next one while this one's acknowledgements go out.
        next = this.#startNext();
        if (batch) this.#listeners.committed(batch.lastOrdinal);
      }
    } catch (error) {
      this.#fail(toLogError(error, "writing a batch"));
    }
  }

  #startNext(): { batch: Batch | undefined; written: Promise<Written> } | undefined {
    if (this.#isRollDue) {
      this.#isRollDue = false;
      const written = this.#writer.roll(this.#committed.copy());
      return { batch: undefined, written: written.then(() => ({ position: 0, timeMs: 0 })) };
    }
    const batch = this.#pending.take();
    return batch && { batch, written: this.#writer.write(batch) };
  }

  #committedOne(batch: Batch, position: number, timeMs: number): void {
    this.#writer.committed(batch, timeMs);
    this.#committed.advance(batch.after, timeMs);
    this.#pending.settled(batch);
    this.#recent.add({ batch, position, timeMs });
    this.#durableOrdinal = batch.lastOrdinal;
    this.#commits++;
    this.#committedRecords += batch.records;
  }

  #fail(error: LogError): void {
    const { lastOrdinal } = this.#pending;
    const firstLost = this.#durableOrdinal + 1;
    this.#failures++;
    this.#pending.clear(this.#committed);
    this.#durableOrdinal = lastOrdinal;
    this.#isRollDue = false;
    this.#setHealth(error);
    if (lastOrdinal >= firstLost) this.#listeners.failed(firstLost, lastOrdinal, error);
    this.#scheduleReopen(reopenDelayMs.first);
  }

  #scheduleReopen(delayMs: number): void {
    if (this.#closing) return;
    this.#cancelReopen = this.#settings.schedule(delayMs, () => {
      this.#reopening = this.#reopen(delayMs);
    });
  }

  async #reopen(delayMs: number): Promise<void> {
    try {
      this.#retain();
      await this.#retention.settled();
      await this.#writer.repair();
      this.#setHealth(undefined);
    } catch (error) {
      this.#setHealth(toLogError(error, "reopening the log"));
      this.#scheduleReopen(Math.min(delayMs * 2, reopenDelayMs.max));
    }
  }

  #setHealth(error: LogError | undefined): void {
    const changed = this.#failed?.code !== error?.code;
    this.#failed = error;
    if (changed) this.#settings.onHealth(error ? { ok: false, error } : { ok: true });
  }

  #retain(): void {
    this.#retention.run(this.#writer.spare.sizeBytes);
  }

  #scheduleRetention(): void {
    const { retentionMs } = this.#settings;
    if (retentionMs === Infinity) return;
    const delayMs = Math.max(
      retentionCheckMs.min,
      Math.min(retentionMs / 10, retentionCheckMs.max),
    );
    this.#cancelRetention = this.#settings.schedule(delayMs, () => {
      if (this.#closing) return;
      this.#isRollDue = this.#retention.isActiveExpired();
      if (this.#isRollDue) this.#commit();
      this.#retain();
      this.#scheduleRetention();
    });
  }

  #has(partition: number): boolean {
    return partition >>> 0 === partition && partition < this.#committed.partitions;
  }

  #check(partition: number): void {
    if (!this.#has(partition)) {
      const range = `0 to ${this.partitions - 1}`;
      throw new LogError("log.no_such_partition", `partition ${partition} is not from ${range}`);
    }
  }

  #refusal(partition: number, bytes: number): LogError {
    if (this.#closing) return new LogError("log.closed", "the log is closed");
    if (this.#failed) {
      const { message } = this.#failed;
      return new LogError("log.unhealthy", `the log is reopening after: ${message}`, {
        cause: this.#failed,
      });
    }
    this.#check(partition);
    const { recordBytesMax, pendingBytesMax } = this.#settings;
    if (bytes > recordBytesMax) {
      return new LogError(
        "log.record_too_large",
        `a record of ${bytes} bytes; at most ${recordBytesMax} fit`,
      );
    }
    return new LogError("log.full_pending", `${pendingBytesMax} bytes are waiting to be written`);
  }
}
