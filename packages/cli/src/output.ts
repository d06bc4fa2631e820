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

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const control = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]/gu;

/** Text of a device's choosing, for a terminal: it moves no cursor, changes no colour and starts no line. */
export const shown = (text: string): string =>
  text.replaceAll(control, (unit) => {
    if (unit === "\n") return String.raw`\n`;
    return String.raw`\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
