import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Report } from "./report.ts";

const root = join(import.meta.dirname, "..", "..");

/** Brings `dist` up to date, so that `npx hubwire` works from the clone. Under a second when nothing changed. */
export function buildPackages(report: Report): void {
  const startedMs = performance.now();
  const result = spawnSync("tsc", ["-b", "packages/cli"], { cwd: root, encoding: "utf8" });
  if (result.status !== 0) {
    throw new Error(`The build failed:\n${result.stdout ?? ""}${result.stderr ?? ""}`);
  }
  const ms = Math.round(performance.now() - startedMs);
  if (ms > 2000) report.note(`Built in ${(ms / 1000).toFixed(1)} s.`);
}
