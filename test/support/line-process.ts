import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";

/** A child process that prints one JSON object a line, and a way to wait for the one a test is after. */
export class LineProcess {
  readonly lines: Record<string, unknown>[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Set<() => void>();
  #stderr = "";
  #ended: number | null | undefined;

  constructor(command: string, args: readonly string[], env: Record<string, string>) {
    this.#child = spawn(command, [...args], { env: { ...process.env, ...env } });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      this.lines.push(parseLine(line));
      for (const wake of this.#waiting) wake();
    });
    this.#child.stderr.setEncoding("utf8");
    this.#child.stderr.on("data", (text: string) => {
      this.#stderr += text;
    });
    this.#child.on("close", (code) => {
      this.#ended = code;
      for (const wake of this.#waiting) wake();
    });
  }

  tell(command: object): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** The first line, old or new, that `wanted` accepts. */
  async line(
    what: string,
    wanted: (line: Record<string, unknown>) => boolean,
    timeoutMs = 15_000,
  ): Promise<Record<string, unknown>> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = this.lines.find(wanted);
      if (found !== undefined) return found;
      const leftMs = deadline - performance.now();
      if (this.#ended !== undefined || leftMs <= 0) {
        throw new Error(
          `no line: ${what}\nseen: ${JSON.stringify(this.lines)}\nstderr: ${this.#stderr}`,
        );
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, leftMs);
        this.#waiting.add(wake);
      });
    }
  }

  async ended(): Promise<number | null> {
    while (this.#ended === undefined) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          resolve();
        };
        this.#waiting.add(wake);
      });
    }
    return this.#ended;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

function parseLine(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { text: line };
  }
}
