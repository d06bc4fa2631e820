import { spawn } from "node:child_process";
import { join } from "node:path";

const bin = join(import.meta.dirname, "..", "..", "bin", "hubwire.js");

const LIFETIME_MS = 25_000;

export type Child = {
  stdout: string;
  stderr: string;
  /** Waits for a line on standard output (or error) that `wanted` matches; throws when the process ends first. */
  printed(wanted: RegExp, where?: "stdout" | "stderr"): Promise<string>;
  signal(name: "SIGINT" | "SIGTERM"): void;
  /** Closes this end of the pipe, as `head` does. */
  stopReading(): void;
  /** Exit code, or the signal that killed it. */
  ended: Promise<number | string>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** The command as a process of its own, run from its sources. */
export function spawnHubwire(...args: string[]): Child {
  const child = spawn(
    process.execPath,
    ["--conditions=@hubwire/source", "--disable-warning=ExperimentalWarning", bin, ...args],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  // Before the test's own time-out, which would leave the process behind.
  const timer = setTimeout(() => child.kill("SIGKILL"), LIFETIME_MS);
  const watchers = new Set<() => void>();
  const tell = (): void => {
    for (const watcher of watchers) watcher();
  };
  let isOver = false;
  const ended = new Promise<number | string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      isOver = true;
      clearTimeout(timer);
      tell();
      resolve(code ?? signal ?? "");
    });
  });
  const self: Child = {
    stdout: "",
    stderr: "",
    ended,
    async printed(wanted, where = "stdout") {
      for (;;) {
        const found = self[where].split("\n").find((line) => wanted.test(line));
        if (found !== undefined) return found;
        if (isOver) throw new Error(`it ended without ${wanted}:\n${self.stdout}${self.stderr}`);
        await new Promise<void>((resolve) => {
          const watcher = (): void => {
            watchers.delete(watcher);
            resolve();
          };
          watchers.add(watcher);
        });
      }
    },
    signal: (name) => child.kill(name),
    stopReading: () => child.stdout.destroy(),
    async [Symbol.asyncDispose]() {
      if (!isOver) child.kill("SIGKILL");
      await ended;
    },
  };
  for (const where of ["stdout", "stderr"] as const) {
    child[where].setEncoding("utf8").on("data", (text: string) => {
      self[where] += text;
      tell();
    });
  }
  return self;
}
