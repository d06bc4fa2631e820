import { IotError } from "@hubwire/protocol";

/** Exit codes of every command; also in `hubwire --help`. */
export const ExitCode = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

export type Output = {
  json: boolean;
  /** One line for people, or one JSON line for programs; never both. */
  line(text: string, data: object): void;
  /** Lines only people need. */
  note(text: string): void;
};

/** A reader that went away (`| head`) ends output quietly instead of failing the command. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(ExitCode.ok);
});

export function createOutput(json: boolean): Output {
  return {
    json,
    line(text, data) {
      process.stdout.write(json ? `${JSON.stringify(data)}\n` : `${text}\n`);
    },
    note(text) {
      if (!json) process.stderr.write(`${text}\n`);
    },
  };
}

/** Says what went wrong and what to do, once. */
export function printError(error: unknown, json: boolean): void {
  if (error instanceof IotError) {
    const { code, message, remedy } = error;
    process.stderr.write(
      json
        ? `${JSON.stringify({ error: { code, message, remedy } })}\n`
        : `${message}\n  what to do: ${remedy}\n  code: ${code}\n`,
    );
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(json ? `${JSON.stringify({ error: { message } })}\n` : `${message}\n`);
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    }
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Ends a command that runs until it is told to stop: the first Ctrl-C aborts, the second leaves at once. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  let asked = 0;
  const onSignal = (): void => {
    asked += 1;
    if (asked > 1) process.exit(ExitCode.interrupted);
    controller.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return controller.signal;
}
