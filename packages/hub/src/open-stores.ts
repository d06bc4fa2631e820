import type { Clock } from "@hubwire/transport";
import type { HubConfig } from "./config.ts";
import type { CleanUp } from "./clean-up.ts";
import { openDataDirectory } from "./data-directory.ts";
import type { Logger } from "./domain/observe.ts";
import type { Stores } from "./domain/ports.ts";
import { createMemoryStores } from "./stores/memory/index.ts";
import { openSqliteStores } from "./stores/sqlite/index.ts";

export type OpenedStores = {
  stores: Stores;
  /** Absolute; undefined in memory. */
  directory: string | undefined;
  telemetryDiskBytes: () => number | undefined;
};

const hourMs = 3_600_000;
const mebibyte = 1024 * 1024;
const defaultRetention = { hours: 24, bytes: 4 * 1024 ** 3 };

/** The stores the configuration asks for: given ones, a data directory's under its lock, or memory. */
export async function openStores(
  config: HubConfig,
  parts: { clock: Clock; logger: Logger; cleanUp: CleanUp },
): Promise<OpenedStores> {
  const { clock, logger, cleanUp } = parts;
  const { partitions, retention, limits } = config;
  // Headers come on top of what the ingest counts, and small records are mostly headers.
  const pendingBytes = 4 * (limits?.telemetry?.bytesOpenMax ?? 0);
  if (config.dataDirectory === undefined) {
    const bytes = retention?.bytes;
    const pendingBytesMax = Math.max(16 * mebibyte, pendingBytes);
    const stores =
      config.stores ??
      createMemoryStores({
        clock,
        ...(partitions !== undefined && { partitions }),
        limits: { pendingBytesMax, ...(bytes !== undefined && { retainedBytesMax: bytes }) },
      });
    cleanUp.add(() => stores[Symbol.asyncDispose]());
    watchHealth(stores, logger);
    return { stores, directory: undefined, telemetryDiskBytes: () => undefined };
  }
  const directory = await openDataDirectory(config.dataDirectory);
  cleanUp.add(() => directory.release());
  const { path } = directory;
  const stores = await openSqliteStores({
    directory: path,
    clock,
    pendingBytesMax: Math.max(64 * mebibyte, pendingBytes),
    retentionMs: (retention?.hours ?? defaultRetention.hours) * hourMs,
    retentionBytes: retention?.bytes ?? defaultRetention.bytes,
    ...(partitions !== undefined && { partitions }),
    ...(limits?.documentsBytesMax !== undefined && { documentsBytesMax: limits.documentsBytesMax }),
    ...(limits?.telemetrySegmentBytes !== undefined && {
      segmentBytes: limits.telemetrySegmentBytes,
    }),
  });
  cleanUp.add(() => stores[Symbol.asyncDispose]());
  const { droppedBytes, upgradedFrom } = stores.opened;
  if (droppedBytes > 0) {
    logger.warn(
      { event: "log_repaired", droppedBytes },
      `The telemetry log ended in a torn batch: ${droppedBytes} bytes that nobody was promised were dropped`,
    );
  }
  if (upgradedFrom !== undefined) {
    logger.info({ event: "data_upgraded", from: upgradedFrom }, "The data directory was upgraded");
  }
  watchHealth(stores, logger);
  return { stores, directory: path, telemetryDiskBytes: () => stores.telemetryDiskBytes };
}

function watchHealth(stores: Stores, logger: Logger): void {
  stores.onHealth((reason) => {
    if (reason === undefined) logger.info({ event: "store_healthy" }, "The store works again");
    else {
      logger.error(
        { event: "store_unhealthy", reason },
        "The store cannot be written: nothing is acknowledged until it heals",
      );
    }
  });
}
