import type { Log } from "@hubwire/log";
import type { Clock } from "@hubwire/transport";
import type { IotError } from "@hubwire/protocol";
import type { Agenda, Machine } from "../connection/agenda.ts";
import { Deque } from "../telemetry/deque.ts";
import type { Lane } from "../telemetry/lane.ts";
import type { Outgoing } from "../telemetry/outgoing.ts";
import { encodeCursor } from "./cursor.ts";
import { outboxError } from "./outbox-error.ts";
import { decodeRecord, recordBytes, RecordEncoder } from "./record.ts";
import type { MessageStore, StoredMessage, StoreHost } from "./store.ts";

/** One partition of the log per priority, and behind them the cursor's. */
export const cursorPartition = 3;
export const partitions = 4;

/** What the log puts before each record. */
export const recordOverheadBytes = 16;

/** The cursor is written after so many settled messages, or so long after one: what a crash may make come twice. */
const cursorEvery = 1_000;
const cursorDelayMs = 1_000;

/** One read of a backlog. */
const readLimits = { recordsMax: 512, bytesMax: 512 * 1024 };

const nothing = new Uint8Array(0);

/**
 * The messages of one device on disk: appended and committed in groups by the log, settled by a cursor that is itself a
 * record, and deleted by whole segments once the cursor has passed them.
 */
export class DurableOutbox implements MessageStore, Machine {
  readonly lanes: readonly Lane[];
  readonly storedCount: number;
  readonly storedBytes: number;
  readonly uncommitted = new Deque<Outgoing>();
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #release: () => Promise<void>;
  readonly #encoder = new RecordEncoder();
  #host: StoreHost | undefined;
  #agenda: Agenda | undefined;
  /** Settled since the cursor was last written. */
  #unsaved = 0;
  #saveAtMs = Infinity;
  /** The cursor on its way to the disk: its ordinal, its sequence number, and what it says is settled; 0 for none. */
  #savingOrdinal = 0;
  #savingSequenceNumber = 0;
  #savingBefore: number[] = [];
  /** What was wrong with what was found, for the first who asks. */
  readonly #found: IotError | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  /** @param release lets go of the directory */
  constructor(
    log: Log,
    clock: Clock,
    lanes: readonly Lane[],
    bytes: number,
    found: IotError | undefined,
    release: () => Promise<void>,
  ) {
    this.#log = log;
    this.#clock = clock;
    this.lanes = lanes;
    this.#found = found;
    this.#release = release;
    let count = 0;
    for (const { storedCount, settled } of lanes) {
      count += storedCount;
      const { ranges } = settled;
      for (let i = 0; i < ranges.length; i += 2) {
        count -= (ranges[i + 1] as number) - (ranges[i] as number);
      }
    }
    this.storedCount = count;
    this.storedBytes = bytes;
    log.onCommit((ordinal) => this.#committed(ordinal));
    log.onFailure((_first, last, error) => this.#lost(last, outboxError(error)));
  }

  attach(host: StoreHost, agenda: Agenda): void {
    this.#host = host;
    this.#agenda = agenda;
    agenda.add(this);
    if (this.#found !== undefined) host.note(this.#found);
  }

  bytesOf(bagLength: number, payloadLength: number): number {
    return recordOverheadBytes + recordBytes(bagLength, payloadLength);
  }

  append(message: Outgoing): void {
    const { priority } = message;
    const end = this.#encoder.encode(message);
    const sequenceNumber = this.#log.pendingSequenceNumber(priority);
    try {
      message.ordinal = this.#log.append(priority, nothing, this.#encoder.bytes, 0, end);
    } catch (error) {
      throw outboxError(error);
    }
    message.sequenceNumber = sequenceNumber;
    this.uncommitted.push(message);
  }

  settled(lane: Lane, sequenceNumber: number): void {
    lane.settled.add(sequenceNumber);
    this.#unsaved += 1;
    if (this.#unsaved >= cursorEvery) this.#save();
    else if (this.#saveAtMs === Infinity) this.#saveLater();
  }

  async read(lane: Lane, sequenceNumber: number): Promise<StoredMessage[]> {
    try {
      const records = await this.#log.read(lane.priority, { sequenceNumber }, readLimits);
      const messages: StoredMessage[] = [];
      for (const record of records) {
        const message = decodeRecord(record.sequenceNumber, record.bytes, recordOverheadBytes);
        // The log's checksums hold, so that another version of this code wrote it.
        if (message !== undefined) messages.push(message);
      }
      return messages;
    } catch (error) {
      throw outboxError(error);
    }
  }

  async behindDamage(lane: Lane, sequenceNumber: number, to: number): Promise<number> {
    const isReadable = async (at: number): Promise<boolean> => {
      try {
        const limits = { recordsMax: 1, bytesMax: 1 };
        return (await this.#log.read(lane.priority, { sequenceNumber: at }, limits)).length > 0;
      } catch (error) {
        const known = outboxError(error);
        if (known.code === "device.outbox_corrupt") return false;
        throw known;
      }
    };
    let bad = sequenceNumber;
    let good = to;
    // Doubling steps until something can be read, then halving ones back to the first that can.
    for (let step = 1; bad + step < to; step *= 2) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if (await isReadable(bad + step)) {
        good = bad + step;
        break;
      }
      bad += step;
    }
    while (good - bad > 1) {
      const middle = Math.floor((good + bad) / 2);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if (await isReadable(middle)) good = middle;
      else bad = middle;
    }
    return good;
  }

  /** Commits what was accepted, saves the cursor, lets go of files and directory. Repeating it is harmless. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    if (this.#unsaved > 0) this.#save();
    try {
      await this.#log.close();
    } finally {
      await this.#release();
    }
  }

  get deadlineMs(): number {
    return this.#saveAtMs;
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#saveAtMs) this.#save();
  }

  #saveLater(): void {
    this.#saveAtMs = this.#clock.nowMs() + cursorDelayMs;
    this.#agenda?.expect(this.#saveAtMs);
  }

  /** One at a time: while one is on its way, the next waits for its end. */
  #save(): void {
    this.#saveAtMs = Infinity;
    if (this.#savingOrdinal !== 0) return;
    const cursor = encodeCursor(this.lanes);
    const sequenceNumber = this.#log.pendingSequenceNumber(cursorPartition);
    try {
      this.#savingOrdinal = this.#log.append(cursorPartition, cursor, nothing, 0, 0);
    } catch {
      // The log is reopening: only repeats depend on it.
      if (!this.#isClosed) this.#saveLater();
      return;
    }
    this.#savingSequenceNumber = sequenceNumber;
    this.#savingBefore = this.lanes.map(({ settled }) => settled.before);
    this.#unsaved = 0;
  }

  #committed(ordinal: number): void {
    const { uncommitted } = this;
    const host = this.#host;
    while (uncommitted.length > 0 && uncommitted.at(0).ordinal <= ordinal) {
      const message = uncommitted.at(0);
      uncommitted.shift();
      host?.committed(message);
    }
    if (this.#savingOrdinal !== 0 && this.#savingOrdinal <= ordinal) this.#saved();
    host?.committedAll();
  }

  /** Only now may what it says is settled be deleted. */
  #saved(): void {
    this.#savingOrdinal = 0;
    for (const [partition, before] of this.#savingBefore.entries()) {
      this.#log.trimBefore(before, partition);
    }
    this.#log.trimBefore(this.#savingSequenceNumber, cursorPartition);
    if (this.#unsaved >= cursorEvery) this.#save();
  }

  #lost(lastOrdinal: number, error: IotError): void {
    const { uncommitted } = this;
    const host = this.#host;
    while (uncommitted.length > 0 && uncommitted.at(0).ordinal <= lastOrdinal) {
      const message = uncommitted.at(0);
      uncommitted.shift();
      host?.refused(message, error);
    }
    if (this.#savingOrdinal !== 0) {
      this.#savingOrdinal = 0;
      this.#unsaved += 1;
      if (!this.#isClosed) this.#saveLater();
    }
    host?.note(error);
    host?.committedAll();
  }
}
