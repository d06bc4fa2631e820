import { execFile } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

type Report = {
  full: {
    healthy: boolean;
    reason: string;
    nextSequenceNumber: number;
    durable: number;
    document: string;
  };
  healed: { document: boolean; nextSequenceNumber: number };
  reopened: { records: number; whole: boolean };
  noRoom: string;
  readOnly: string;
  writable: string;
};

test("on a disk that fills up nothing acknowledged is lost, and it heals without a restart; a hub that cannot start on it says why", async () => {
  const disk = mkdtempSync(join(tmpdir(), "hubwire-disk-"));
  // A mount of its own needs no root where user namespaces are allowed, and is gone with the process.
  const { stdout } = await promisify(execFile)(
    "unshare",
    [
      "-rm",
      "--",
      process.execPath,
      "--conditions=@hubwire/source",
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "small-disk.scenario.ts"),
      disk,
    ],
    { timeout: 25_000 },
  );
  rmdirSync(disk);
  const report = JSON.parse(stdout) as Report;
  const { durable } = report.full;
  expect(report.full).toMatchObject({
    healthy: false,
    reason: expect.stringContaining("telemetry") as string,
    nextSequenceNumber: durable,
    document: "store.unavailable",
  });
  expect(durable).toBeGreaterThan(50);
  expect(report.healed).toEqual({ document: true, nextSequenceNumber: durable + 1 });
  expect(report.reopened).toEqual({ records: durable + 1, whole: true });
  expect(report.noRoom).toBe("hub.disk_full");
  expect(report.readOnly).toBe("hub.disk_read_only");
  expect(report.writable).toBe("started");
});
