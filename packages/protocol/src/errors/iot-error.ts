import type { CatalogEntry } from "./catalog/entry.ts";
import { catalog } from "./catalog/index.ts";

export type ErrorCode = keyof typeof catalog;

/** The one error callers see: branch on `code`; show `message` and `remedy` to people. */
export class IotError extends Error {
  override readonly name = "IotError";
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    const entry = describe(code);
    this.remedy = entry.remedy;
    this.retryable = entry.retryable;
  }
}

/** What the catalogue says about a code: its summary, its remedy and its faces on the wires. */
export function describe(code: ErrorCode): CatalogEntry {
  return catalog[code];
}
