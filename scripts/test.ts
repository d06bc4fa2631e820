/**
 * `npm test`: everything that must hold, and the plain line "N passed, N failed" at the end.
 * `--long` (npm run test:long) runs the same tests at full counts. Further arguments go to vitest as filters.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureSystemPackages } from "./system-packages.ts";

const args = process.argv.slice(2);
const long = args.includes("--long");
const filters = args.filter((arg) => arg !== "--long");

type Tally = { passed: number; failed: number };
const tally: Tally = { passed: 0, failed: 0 };

function seconds(startedMs: number): string {
  return `${((Date.now() - startedMs) / 1000).toFixed(1)} s`;
}

/** Runs a check quietly; its output is shown only when it fails. */
function check(name: string, command: string, commandArgs: string[]): void {
  const startedMs = Date.now();
  process.stdout.write(`${name} ... `);
  const result = spawnSync(command, commandArgs, { encoding: "utf8", maxBuffer: 64 << 20 });
  if (result.status === 0) {
    tally.passed += 1;
    process.stdout.write(`ok (${seconds(startedMs)})\n`);
    return;
  }
  tally.failed += 1;
  process.stdout.write(
    `FAILED\n${result.stdout ?? ""}${result.stderr ?? ""}${result.error?.message ?? ""}\n`,
  );
}

function runVitest(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-test-"));
  const report = join(folder, "report.json");
  const child = spawn(
    "vitest",
    ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...filters],
    {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...(long ? { HUBWIRE_LONG: "1" } : {}) },
    },
  );
  return new Promise((resolve) => {
    child.on("exit", (code) => {
      try {
        const json = JSON.parse(readFileSync(report, "utf8")) as {
          numPassedTests: number;
          numFailedTests: number;
          numFailedTestSuites: number;
        };
        tally.passed += json.numPassedTests;
        tally.failed += json.numFailedTests;
        // A file that cannot even load has no failed test of its own.
        if (json.numFailedTests === 0 && code !== 0)
          tally.failed += Math.max(1, json.numFailedTestSuites);
      } catch {
        tally.failed += 1;
      }
      rmSync(folder, { recursive: true, force: true });
      resolve();
    });
  });
}

ensureSystemPackages();
if (filters.length === 0) {
  check("types", "tsc", ["-b"]);
  check("lint", "oxlint", ["--type-aware", "--deny-warnings"]);
  check("format", "oxfmt", ["--check"]);
  check("unused code", "knip", []);
}
await runVitest();
process.stdout.write(`\n${tally.passed} passed, ${tally.failed} failed\n`);
process.exit(tally.failed === 0 ? 0 : 1);
