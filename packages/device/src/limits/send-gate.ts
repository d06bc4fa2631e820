/** What the hub meters, each with its own rate. */
export type GatedOperation = "telemetry" | "twinGet" | "twinReport" | "c2dComplete" | "method";

/** Asked before something is sent. */
export interface SendGate {
  /**
   * @param bytes what the hub counts: body and properties
   * @returns 0 when it may go now, and then it is counted; otherwise the monotonic time in milliseconds when asking again is
   *   worth while
   */
  admit(kind: GatedOperation, bytes: number, nowMs: number): number;
  /** The hub answered 429 (or refused for the same reason): go slower for a while. */
  throttled(kind: GatedOperation, nowMs: number): void;
}

/** No limit. */
export const openGate: SendGate = { admit: () => 0, throttled: () => undefined };
