import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Report } from "./report.ts";

/** What the command and the hub load as published. */
const libraries = ["protocol", "transport", "log", "device", "service"];

const root = join(import.meta.dirname, "..", "..");

/** Brings `dist` and `bundle` up to date, so that `npx hubwire` works from the clone. About a second when nothing changed. */
export function buildPackages(report: Report): void {
  const startedMs = performance.now();
  run("tsc", ["-b", "packages/cli"]);
  run(process.execPath, [join(root, "scripts", "bundle.mjs"), ...libraries]);
  const ms = Math.round(performance.now() - startedMs);
  if (ms > 2000) report.note(`Built in ${(ms / 1000).toFixed(1)} s.`);
}

function run(command: string, args: readonly string[]): void {
  const result = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  if (result.status === 0) return;
  throw new Error(`The build failed:\n${result.stdout ?? ""}${result.stderr ?? ""}`);
}
