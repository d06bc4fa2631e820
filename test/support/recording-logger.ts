import type { Logger } from "@hubwire/hub";

export type LogLine = { level: string; message: string; event?: string; [fact: string]: unknown };

/** A logger that keeps its lines. */
export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = [];

  debug(facts: object, message: string): void {
    this.lines.push({ ...facts, level: "debug", message });
  }
  info(facts: object, message: string): void {
    this.lines.push({ ...facts, level: "info", message });
  }
  warn(facts: object, message: string): void {
    this.lines.push({ ...facts, level: "warn", message });
  }
  error(facts: object, message: string): void {
    this.lines.push({ ...facts, level: "error", message });
  }

  of(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** What was said about one connection. */
  about(address: string): LogLine[] {
    return this.lines.filter((line) => line["address"] === address);
  }
}
