import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { rolldown } from "rolldown";

const root = join(import.meta.dirname, "..", "..");

/** The scripts as plain JavaScript, for a Node that knows no TypeScript; they import the packages as published. */
export async function compiled(scripts: readonly string[]): Promise<string> {
  run("tsc", ["-b"]);
  run(process.execPath, [join(root, "scripts", "bundle.mjs")]);
  // Inside the repository, so that its packages are found from there.
  const folder = join(root, "node_modules", ".cache", "hubwire-bench");
  for (const script of new Set(scripts)) {
    const built = await rolldown({
      input: join(root, "bench", "load", script),
      external: (id) => !id.startsWith(".") && !id.startsWith(root),
      platform: "node",
    });
    await built.write({ file: join(folder, script.replace(".ts", ".mjs")), format: "esm" });
    await built.close();
  }
  return folder;
}

function run(command: string, args: readonly string[]): void {
  const done = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${command} failed: ${done.stdout}${done.stderr}`);
}
