import { Counters } from "./counters.ts";
import type { LogFile } from "./file-system.ts";
import { frameKinds, sealFrame } from "./format.ts";
import { encodeOpening, openingBytes } from "./opening-frame.ts";
import type { Opening } from "./opening-frame.ts";
import type { LogSettings } from "./options.ts";
import type { Batch } from "./pending-batches.ts";
import type { Recovered } from "./recovery.ts";
import { Segment } from "./segment.ts";
import { SpareSegment } from "./spare-segment.ts";
import { zeroFill } from "./zeros.ts";

/** Where and when a batch was written. */
export type Written = { position: number; timeMs: number };

/** Appends to the last segment and opens the next. One call at a time; the caller sees to it. */
export class SegmentWriter {
  readonly #settings: LogSettings;
  /** Oldest first; only the last is written to. */
  readonly segments: Segment[];
  readonly salt: number;
  readonly spare: SpareSegment;
  #file: LogFile;
  #timeMs: number;

  readonly #rolled: () => void;

  /** `rolled` is called when a segment was opened. */
  constructor(settings: LogSettings, recovered: Recovered, rolled: () => void) {
    this.#settings = settings;
    this.#rolled = rolled;
    this.segments = recovered.segments;
    this.salt = recovered.salt;
    this.#file = recovered.activeFile;
    this.#timeMs = recovered.timeMs;
    const { fileSystem, directory } = settings;
    const { number, sizeBytes } = this.active;
    this.spare = new SpareSegment(
      fileSystem,
      directory,
      number + 1,
      this.#sizeAfter(sizeBytes),
      recovered.spare,
    );
  }

  /** The first segment of a new log. */
  static async create(settings: LogSettings): Promise<Recovered> {
    const { fileSystem, directory, segmentBytes } = settings;
    const first = new SpareSegment(fileSystem, directory, 1, segmentBytes);
    const prepared = await first.next();
    const counters = new Counters(settings.partitions ?? 1);
    const opening: Opening = {
      salt: settings.randomUint32() >>> 0,
      number: 1,
      sizeBytes: prepared.sizeBytes,
      position: 0,
      timeMs: 0,
      counters,
    };
    try {
      await writeOpening(prepared.file, opening);
    } catch (error) {
      await prepared.file.close().catch(() => {});
      throw error;
    }
    return {
      salt: opening.salt,
      segments: [new Segment(prepared.path, opening)],
      activeFile: prepared.file,
      spare: undefined,
      counters: counters.copy(),
      timeMs: 0,
      droppedBytes: 0,
    };
  }

  get active(): Segment {
    const active = this.segments.at(-1);
    if (!active) throw new Error("a log always has a segment to append to");
    return active;
  }

  /** Resolves when the batch is durable. Nothing in memory says so until `committed`. */
  async write(batch: Batch): Promise<Written> {
    const lengthBytes = batch.end - batch.start;
    if (this.active.endOffset + lengthBytes > this.active.sizeBytes) await this.roll(batch.before);
    const { endOffset, endPosition: position } = this.active;
    const timeMs = Math.max(this.#timeMs, Math.floor(this.#settings.nowMs()));
    const { buffer, start, end, records } = batch;
    sealFrame(buffer, start, end, { kind: frameKinds.batch, records, position, timeMs }, this.salt);
    const file = this.#file;
    if (file.writeDurably) {
      await file.writeDurably(buffer, start, lengthBytes, endOffset);
    } else {
      await file.write(buffer, start, lengthBytes, endOffset);
      await file.datasync();
    }
    return { position, timeMs };
  }

  committed(batch: Batch, timeMs: number): void {
    this.active.extend(batch.end - batch.start, timeMs, batch.before);
    this.#timeMs = timeMs;
  }

  /**
   * Opens the next segment. Its opening frame is synced by itself: when a batch frame is written, all
   * before it is on disk, which is what lets recovery tell a torn tail from damage.
   */
  async roll(counters: Counters): Promise<void> {
    const next = await this.spare.next();
    const opening: Opening = {
      salt: this.salt,
      number: next.number,
      sizeBytes: next.sizeBytes,
      position: this.active.endPosition,
      timeMs: this.#timeMs,
      counters,
    };
    await writeOpening(next.file, opening);
    const full = this.#file;
    this.#file = next.file;
    this.segments.push(new Segment(next.path, opening));
    this.spare.used(this.#sizeAfter(next.sizeBytes));
    this.prepareSpare();
    this.#rolled();
    await full.close().catch(() => {});
  }

  /** In the background; a failure shows when the spare is needed. */
  prepareSpare(): void {
    this.spare.prepare().catch(() => {});
  }

  /**
   * After a failed write or sync: what the file holds behind the committed end is unknown, and the
   * operating system may take failed pages for written. So the file is opened anew and the rest of it
   * overwritten; a batch that was reported lost does not come back.
   */
  async repair(): Promise<void> {
    await this.#file.close().catch(() => {});
    const { path, endOffset, sizeBytes } = this.active;
    this.#file = await this.#settings.fileSystem.open(path, "readWrite");
    await zeroFill(this.#file, endOffset, sizeBytes);
    await this.#file.datasync();
    await this.spare.prepare();
    await this.spare.clean(openingBytes(this.active.opening.counters.partitions));
  }

  async close(): Promise<void> {
    await this.spare.close();
    await this.#file.close().catch(() => {});
  }

  #sizeAfter(sizeBytes: number): number {
    return Math.max(
      this.#settings.segmentBytes,
      Math.min(sizeBytes * 2, this.#settings.segmentBytesMax),
    );
  }
}

async function writeOpening(file: LogFile, opening: Opening): Promise<void> {
  const frame = encodeOpening(opening);
  await file.write(frame, 0, frame.length, 0);
  await file.datasync();
}
