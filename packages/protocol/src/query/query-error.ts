import { IotError } from "../errors/iot-error.ts";
import type { ErrorCode } from "../errors/iot-error.ts";

/** What is wrong with a query, and where. */
export class QueryError extends IotError {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;

  constructor(code: ErrorCode, text: string, offset: number, what: string) {
    const before = text.slice(0, offset);
    const line = before.split("\n").length;
    const column = offset - before.lastIndexOf("\n");
    super(code, `${line === 1 ? "Column" : `Line ${line}, column`} ${column}: ${what}`);
    this.line = line;
    this.column = column;
  }
}
