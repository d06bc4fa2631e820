/** Starts `npm start`, pastes the lines it prints into a shell of their own, and says what they did as one JSON object. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "hubwire-paste-"));
const child = spawn(
  process.execPath,
  ["--conditions=@hubwire/source", join(root, "scripts", "start.ts"), "--json", "--data", folder],
  { cwd: root, stdio: ["ignore", "pipe", "inherit"] },
);
const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
const { NODE_OPTIONS: _, ...env } = process.env;

function paste(line: string): { code: number | null; stdout: string; stderr: string } {
  const PATH = [dirname(process.execPath), env["PATH"] ?? ""].join(delimiter);
  const options = { cwd: root, env: { ...env, PATH }, encoding: "utf8", timeout: 30_000 } as const;
  const { status, stdout, stderr } = spawnSync("bash", ["-c", line], options);
  return { code: status, stdout, stderr };
}

try {
  for await (const text of createInterface({ input: child.stdout })) {
    const event = JSON.parse(text) as { event: string; official?: string; service?: string };
    if (event.event !== "next") continue;
    const ran = {
      official: paste(event.official ?? ""),
      service: paste(event.service ?? "exit 9"),
    };
    process.stdout.write(`${JSON.stringify(ran)}\n`);
    break;
  }
} finally {
  child.kill("SIGINT");
  await ended;
  rmSync(folder, { recursive: true, force: true });
}
