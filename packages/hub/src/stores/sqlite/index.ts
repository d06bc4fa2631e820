import { join } from "node:path";
import type { LogFileSystem } from "@hubwire/log";
import { IotError, partitionCountDefault } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { DocumentStore, Stores } from "../../domain/ports.ts";
import { Health } from "../health.ts";
import { documentStore, queueStore } from "./facades.ts";
import { LogTelemetry } from "./log-telemetry.ts";
import { OperationQueue } from "./operation-queue.ts";
import { type Spawn, spawnWorker } from "./worker-thread.ts";

export type SqliteStoresOptions = {
  /** Holds `hub.db` and the folder `telemetry`; exists, and is this process's alone. */
  directory: string;
  clock: Clock;
  /** Partitions of the telemetry log: 4 for a new one unless given; an existing one keeps its count, and another is refused. */
  partitions?: number;
  /** Telemetry older than this is deleted, a segment at a time. Default: kept until `retentionBytes` says otherwise. */
  retentionMs?: number;
  /** Disk space for telemetry, bytes. */
  retentionBytes?: number;
  /** Disk space for documents and queues, bytes; default 4 GiB. Past it writes fail as on a full disk. */
  documentsBytesMax?: number;
  /** Size of the first telemetry segment; see `LogOptions`. */
  segmentBytes?: number;
  /** Telemetry accepted and not yet durable, bytes. */
  pendingBytesMax?: number;
  /** For tests that break the disk or the worker. */
  fileSystem?: LogFileSystem;
  spawn?: Spawn;
};

export interface SqliteStores extends Stores {
  /** What opening found and did, for one line in the hub's log each. */
  readonly opened: {
    /** Format version of the documents before they were brought to this version's; undefined when nothing was done. */
    upgradedFrom: number | undefined;
    /** Bytes of a torn telemetry batch that recovery dropped. */
    droppedBytes: number;
  };
  /** Disk space the telemetry takes, bytes. */
  readonly telemetryDiskBytes: number;
}

const gibibyte = 1024 ** 3;

/**
 * Stores in one directory: documents and queues in SQLite in a worker thread, telemetry in the append log. What a call
 * resolved with has been synced to disk.
 * @throws IotError `hub.data_newer_format`, `hub.data_corrupt`, `hub.disk_full`, `hub.disk_read_only`, `argument.invalid`
 */
export async function openSqliteStores(options: SqliteStoresOptions): Promise<SqliteStores> {
  const { clock, directory } = options;
  const health = new Health();
  const database = await OperationQueue.open(
    {
      path: join(directory, "hub.db"),
      bytesMax: options.documentsBytesMax ?? 4 * gibibyte,
    },
    { clock, health, spawn: options.spawn ?? spawnWorker },
  );
  const documents = documentStore(database);
  let telemetry: LogTelemetry;
  try {
    telemetry = await openTelemetry(options, await fixedPartitions(documents, options), health);
  } catch (error) {
    await database.close();
    throw error;
  }
  return {
    documents,
    c2d: queueStore(database),
    telemetry,
    opened: { upgradedFrom: database.upgradedFrom, droppedBytes: telemetry.droppedBytes },
    get telemetryDiskBytes() {
      return telemetry.diskBytes;
    },
    get unhealthyReason() {
      return health.reason;
    },
    onHealth: (listener) => health.onChange(listener),
    async [Symbol.asyncDispose]() {
      await Promise.all([telemetry.close(), database.close()]);
    },
  };
}

/** Stored before the log is made, so that an interrupted first start cannot make it with another count. */
async function fixedPartitions(
  documents: DocumentStore,
  { partitions, directory }: SqliteStoresOptions,
): Promise<number> {
  const value = { partitions: partitions ?? partitionCountDefault };
  const put = await documents.put("hub", "telemetry", value, "absent");
  const stored = put.ok
    ? value.partitions
    : (put.current?.value as typeof value | undefined)?.partitions;
  if (stored === undefined) {
    throw new IotError("hub.data_corrupt", `${directory} does not say how many partitions it has`);
  }
  if (partitions === undefined || partitions === stored) return stored;
  throw new IotError(
    "argument.invalid",
    `The telemetry in ${directory} has ${stored} partitions for good; ${partitions} were asked for`,
  );
}

function openTelemetry(
  options: SqliteStoresOptions,
  partitions: number,
  health: Health,
): Promise<LogTelemetry> {
  const { clock, retentionMs, retentionBytes, segmentBytes, pendingBytesMax } = options;
  return LogTelemetry.open({
    directory: join(options.directory, "telemetry"),
    nowMs: () => clock.wallMs(),
    endOfTurn: (callback) => clock.endOfTurn(callback),
    onHealth: (log) => health.set("telemetry", log.ok ? undefined : log.error.message),
    partitions,
    ...(retentionMs !== undefined && { retentionMs }),
    ...(retentionBytes !== undefined && { retentionBytes }),
    ...(segmentBytes !== undefined && { segmentBytes }),
    ...(pendingBytesMax !== undefined && { pendingBytesMax }),
    ...(options.fileSystem && { fileSystem: options.fileSystem }),
  });
}
