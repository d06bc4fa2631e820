export type LogRecord = {
  partition: number;
  /** From 0, without gap or repeat within the partition. */
  sequenceNumber: number;
  /** Logical byte position in the partition since the log was created. */
  offset: number;
  /** Unix ms; never smaller than that of an earlier record. */
  enqueuedTimeMs: number;
  bytes: Uint8Array;
};

/** Where to begin: at the first record that is not before it. */
export type ReadFrom =
  | { sequenceNumber: number }
  | { offset: number }
  | { enqueuedTimeMs: number }
  | "first"
  | "end";

/** A read ends at whichever comes first; one record is returned even if it alone is past `bytesMax`. */
export type ReadLimits = { recordsMax: number; bytesMax: number };
