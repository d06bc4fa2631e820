/**
 * What the caller of one message waits for: the hub's acknowledgement, or that the message is kept safely (in the queue, or
 * on disk). "nothing" once it was told.
 */
export type CallWaits = "acknowledged" | "accepted" | "nothing";
