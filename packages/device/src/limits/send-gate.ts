import type { IotError } from "@hubwire/protocol";

/** What the hub meters, each with its own rate. */
export type GatedOperation = "telemetry" | "twinGet" | "twinReport" | "c2dComplete" | "method";

/** Asked before something is sent. */
export interface SendGate {
  /**
   * Cloud-to-device messages and methods are counted and never held back: somebody waits for their answer.
   * @param bytes what the hub counts: body and properties
   * @returns 0 when it may go now, and then it is counted; otherwise the monotonic time in milliseconds when asking again is
   *   worth while
   */
  admit(kind: GatedOperation, bytes: number, nowMs: number): number;
  /**
   * Asked when a call comes in, before it is accepted. `bytes` may be left at 0 where they are not known yet.
   * @returns `device.budget_spent` when the option `whenSpent` says that such a call is refused rather than kept waiting
   */
  refusal(kind: GatedOperation, bytes: number): IotError | undefined;
  /** The hub answered 429: counts it, tells the channel, and goes slower for a while. */
  throttled(kind: GatedOperation, nowMs: number): void;
}
