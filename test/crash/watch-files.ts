import { existsSync, watch, type FSWatcher } from "node:fs";
import { join } from "node:path";
import type { Life } from "./life.ts";

/** Counts what happens to the files of a data directory; a new telemetry file counts as a segment. */
export function watchFiles(directory: string, life: Life): () => void {
  const watchers: FSWatcher[] = [];
  const telemetry = join(directory, "telemetry");
  const watchTelemetry = (): void => {
    if (watchers.length > 1 || !existsSync(telemetry)) return;
    watchers.push(
      watch(telemetry, (event, name) => {
        life.event("file");
        if (event === "rename" && name !== null && !name.endsWith(".new")) life.event("segment");
      }),
    );
  };
  watchers.push(
    watch(directory, () => {
      watchTelemetry();
      life.event("file");
    }),
  );
  watchTelemetry();
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}
