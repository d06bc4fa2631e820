import { Log, LogError } from "@hubwire/log";
import type { LogErrorCode, LogOptions } from "@hubwire/log";
import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type {
  PartitionInfo,
  TelemetryRecord,
  TelemetryStart,
  TelemetryStore,
} from "../../domain/ports.ts";

/** While the log runs, whatever ails the disk is one thing to callers; while it opens, each cause has its own way out. */
const codes: Readonly<Record<LogErrorCode, { running: ErrorCode; opening: ErrorCode }>> = {
  "log.closed": { running: "client.closed", opening: "client.closed" },
  "log.corrupt": { running: "store.unavailable", opening: "hub.data_corrupt" },
  "log.disk_full": { running: "store.unavailable", opening: "hub.disk_full" },
  "log.format_newer": { running: "store.unavailable", opening: "hub.data_newer_format" },
  "log.full_pending": { running: "store.unavailable", opening: "store.unavailable" },
  "log.io": { running: "store.unavailable", opening: "store.unavailable" },
  "log.no_such_partition": { running: "argument.invalid", opening: "argument.invalid" },
  "log.options_invalid": { running: "argument.invalid", opening: "argument.invalid" },
  "log.partitions_fixed": { running: "argument.invalid", opening: "argument.invalid" },
  "log.read_only": { running: "store.unavailable", opening: "hub.disk_read_only" },
  "log.record_too_large": { running: "message.too_large", opening: "argument.invalid" },
  "log.unhealthy": { running: "store.unavailable", opening: "store.unavailable" },
};

const translated = (error: unknown, phase: "running" | "opening"): unknown =>
  error instanceof LogError
    ? new IotError(codes[error.code][phase], error.message, { cause: error })
    : error;

/** The telemetry port on the append log. */
export class LogTelemetry implements TelemetryStore {
  readonly partitionCount: number;
  readonly #log: Log;

  private constructor(log: Log) {
    this.#log = log;
    this.partitionCount = log.partitions;
  }

  /** @throws IotError `hub.data_corrupt`, `hub.data_newer_format`, `hub.disk_full`, `hub.disk_read_only`, `argument.invalid` */
  static async open(options: LogOptions): Promise<LogTelemetry> {
    try {
      return new LogTelemetry(await Log.open(options));
    } catch (error) {
      throw translated(error, "opening");
    }
  }

  get healthy(): boolean {
    return this.#log.healthy;
  }

  /** Bytes of a torn last batch that were dropped at start; none of it had been acknowledged. */
  get droppedBytes(): number {
    return this.#log.stats().droppedBytes;
  }

  get diskBytes(): number {
    return this.#log.stats().diskBytes;
  }

  append(
    partition: number,
    head: Uint8Array,
    chunk: Uint8Array,
    start: number,
    end: number,
  ): number {
    try {
      return this.#log.append(partition, head, chunk, start, end);
    } catch (error) {
      throw translated(error, "running");
    }
  }

  onCommit(listener: (ordinal: number) => void): () => void {
    return this.#log.onCommit(listener);
  }

  onFailure(listener: (firstOrdinal: number, lastOrdinal: number) => void): () => void {
    return this.#log.onFailure(listener);
  }

  partition(index: number): PartitionInfo {
    try {
      const view = this.#log.partition(index);
      const { firstSequenceNumber, nextSequenceNumber, nextOffset, lastEnqueuedTimeMs } = view;
      return {
        firstSequenceNumber,
        nextSequenceNumber,
        lastOffset: nextOffset - 1,
        lastEnqueuedTimeMs,
      };
    } catch (error) {
      throw translated(error, "running");
    }
  }

  async read(
    partition: number,
    from: TelemetryStart,
    limits: { recordsMax: number; bytesMax: number },
  ): Promise<TelemetryRecord[]> {
    try {
      return await this.#log.read(partition, from, limits);
    } catch (error) {
      throw translated(error, "running");
    }
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}
