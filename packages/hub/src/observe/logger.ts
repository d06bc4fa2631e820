import { pino, destination } from "pino";
import type { Logger } from "../domain/observe.ts";
import { prettyLine } from "./pretty.ts";
import { cleanText, loggableFacts } from "./redact.ts";

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ["json", "pretty"] as const;
export type LogFormat = (typeof logFormats)[number];

/** Takes finished lines, each with its line feed. */
type LogSink = { write(line: string): void };

export type LoggerOptions = {
  level: LogLevel;
  format: LogFormat;
  /** Default: standard error, so that standard output stays the program's own. */
  sink?: LogSink;
};

/**
 * Structured logs on pino. JSON: `{"level":"warn","time":"2026-01-01T00:00:00.000Z","event":"connect_refused",…,"msg":"…"}`,
 * one object a line; pretty: the same for people. Every fact passes through `loggableFacts`.
 */
export function createLogger({ level, format, sink }: LoggerOptions): Logger {
  const out: LogSink = sink ?? destination({ dest: 2, sync: true });
  const to: LogSink =
    format === "json" ? out : { write: (line) => out.write(prettyLine(JSON.parse(line))) };
  const log = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      // Errors are made plain before pino sees them.
      serializers: { err: (value: unknown) => value },
      formatters: { level: (label) => ({ level: label }) },
    },
    to,
  );
  const write =
    (name: "debug" | "info" | "warn" | "error") =>
    (facts: object, message: string): void => {
      // Cleaning costs more than the level check: lines nobody will see are not cleaned.
      if (log.isLevelEnabled(name)) log[name](loggableFacts(facts), cleanText(message));
    };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
  };
}
