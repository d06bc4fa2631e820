import type { ErrorCode } from "../../errors/iot-error.ts";

/** A rule the peer broke. Returned, never thrown: a peer's mistake is not the caller's. */
export class Violation {
  readonly code: ErrorCode;
  /** One sentence with the offending values; no user data longer than a number. */
  readonly reason: string;

  constructor(code: ErrorCode, reason: string) {
    this.code = code;
    this.reason = reason;
  }
}
