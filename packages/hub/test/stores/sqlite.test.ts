import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describeStoreContract } from "@hubwire/testkit/store-contract";
import { systemClock } from "@hubwire/transport";
import { openSqliteStores } from "../../src/stores/sqlite/index.ts";
import { breakableFileSystem } from "./breakable-file-system.ts";

const clock = systemClock();

describeStoreContract("SQLite and the log", async () => {
  const directory = await mkdtemp(join(tmpdir(), "hubwire-stores-"));
  const disk = breakableFileSystem();
  const open = () =>
    openSqliteStores({
      directory,
      clock,
      partitions: 4,
      segmentBytes: 1024 * 1024,
      fileSystem: disk.fileSystem,
    });
  return {
    stores: await open(),
    reopen: open,
    breakWrites: () => {
      // Another connection's write transaction: every write of ours is refused until it ends.
      const intruder = new DatabaseSync(join(directory, "hub.db"));
      intruder.exec("BEGIN IMMEDIATE");
      disk.break();
      return () => {
        intruder.exec("ROLLBACK");
        intruder.close();
        disk.mend();
      };
    },
    remove: () => rm(directory, { recursive: true }),
  };
});
