/**
 * What a device pays before the first message: loading the published files in a new process, and their size on disk. Each
 * client takes turns with an empty process, and what counts is the difference.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatSpread, spread, type Spread } from "../support/statistics.ts";

const root = join(import.meta.dirname, "..", "..");
const ours = ["protocol", "transport", "log", "device"];

export type FootprintRow = { client: string; node: string; importMs: Spread };
export type Footprint = { rows: FootprintRow[]; installedKiB: number; packages: number };

/** Our own packages as a user gets them: packed, then installed where nothing else is. */
function install(): string {
  const project = mkdtempSync(join(tmpdir(), "hubwire-footprint-"));
  const run = (args: string[], cwd: string): void => {
    const done = spawnSync("npm", args, { cwd, encoding: "utf8" });
    if (done.status !== 0) throw new Error(`npm ${args[0]} failed: ${done.stderr}`);
  };
  run(
    ["pack", ...ours.map((name) => `--workspace=@hubwire/${name}`), "--pack-destination", project],
    root,
  );
  writeFileSync(join(project, "package.json"), `{"name":"somebody","private":true}`);
  const tarballs = readdirSync(project).filter((name) => name.endsWith(".tgz"));
  run(
    [
      "install",
      "--offline",
      "--ignore-scripts",
      "--loglevel=error",
      ...tarballs.map((name) => `./${name}`),
    ],
    project,
  );
  return project;
}

function sizeOf(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = statSync(join(folder, name));
    if (file.isFile()) bytes += file.size;
  }
  return bytes;
}

/** One new process; milliseconds from its start to its end. */
function timed(node: string, program: string, cwd: string): number {
  const startedMs = performance.now();
  const done = spawnSync(node, ["--input-type=module", "-e", program], { cwd, stdio: "ignore" });
  if (done.status !== 0) throw new Error(`${program} ended with ${done.status}`);
  return performance.now() - startedMs;
}

export function run(
  options: { rounds: number; nodes: readonly { name: string; path: string }[] },
  progress: (line: string) => void,
): Footprint {
  const project = install();
  try {
    const rows: FootprintRow[] = [];
    for (const { name: node, path } of options.nodes) {
      const programs: [client: string, program: string, cwd: string][] = [
        ["@hubwire/device", `await import("@hubwire/device")`, project],
        [
          "azure-iot-device",
          `await import("azure-iot-device"); await import("azure-iot-device-mqtt")`,
          root,
        ],
        ["mqtt.js", `await import("mqtt")`, root],
      ];
      const extra = programs.map((): number[] => []);
      for (let round = 0; round < options.rounds; round += 1) {
        for (const [index, [, program, cwd]] of programs.entries()) {
          const bare = timed(path, "0", cwd);
          extra[index]?.push(timed(path, program, cwd) - bare);
        }
      }
      for (const [index, [client]] of programs.entries()) {
        const importMs = spread(extra[index] ?? []);
        rows.push({ client, node, importMs });
        progress(`import on Node ${node}  ${client}: +${importMs.median.toFixed(1)} ms`);
      }
    }
    const folder = join(project, "node_modules");
    const packages = readdirSync(join(folder, "@hubwire")).length;
    return { rows, installedKiB: sizeOf(join(folder, "@hubwire")) / 1024, packages };
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

export function format({ rows, installedKiB, packages }: Footprint): string {
  const lines = rows.map(
    (row) => `| ${row.client} | ${row.node} | ${formatSpread(row.importMs)} |`,
  );
  return [
    `@hubwire/device installs ${packages} packages, all of them ours, ${installedKiB.toFixed(0)} KiB.`,
    "",
    "| client | Node | loading it in a new process, ms over an empty one, median (min–max) |",
    "| --- | --- | ---: |",
    ...lines,
  ].join("\n");
}
