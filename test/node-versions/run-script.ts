import { spawn } from "node:child_process";

export type ScriptResult = { code: number | null; output: string };

/** Runs a program to its end, without what the test runner's own process was told about Node. */
export function runScript(
  command: string,
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string>; timeoutMs?: number },
): Promise<ScriptResult> {
  const env: NodeJS.ProcessEnv = { ...process.env, ...options.env };
  for (const name of ["NODE_OPTIONS", "NODE_COMPILE_CACHE", "NODE_PATH"]) delete env[name];
  const child = spawn(command, [...args], { cwd: options.cwd, env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? 120_000);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}
