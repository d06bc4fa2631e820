import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test, vi } from "vitest";
import { SqliteEngine } from "../../packages/hub/src/stores/sqlite/engine.ts";

/**
 * Killing a process does not lose what it wrote and did not sync, and SQLite does not run on the simulated disk. That twins,
 * sessions and queues outlive the power rests on SQLite syncing at every commit, so that it is asked to is checked here.
 */
test("documents are written ahead and synced at every commit", () => {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-documents-"));
  const exec = vi.spyOn(DatabaseSync.prototype, "exec");
  const engine = new SqliteEngine({ path: join(folder, "hub.db"), bytesMax: 2 ** 30 });
  try {
    const database = exec.mock.contexts[0] as DatabaseSync;
    const FULL = 2;
    expect(database.prepare("PRAGMA synchronous").get()).toEqual({ synchronous: FULL });
    expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  } finally {
    exec.mockRestore();
    engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
