import type { Counters } from "./counters.ts";
import type { ReadFrom } from "./record.ts";

/** The one question in three currencies. */
export type Order = {
  /** Nothing wanted comes before a frame boundary like this. */
  isBefore(counters: Counters, timeMs: number): boolean;
  isWanted(sequenceNumber: number, offset: number, timeMs: number): boolean;
  /** The wanted place is behind everything committed. */
  isBehind(counters: Counters): boolean;
};

export function orderOf(p: number, from: Exclude<ReadFrom, string>): Order {
  if ("sequenceNumber" in from) {
    const { sequenceNumber: wanted } = from;
    return {
      isBefore: ({ sequenceNumber }) => (sequenceNumber[p] ?? 0) <= wanted,
      isWanted: (sequenceNumber) => sequenceNumber >= wanted,
      isBehind: ({ sequenceNumber }) => (sequenceNumber[p] ?? 0) <= wanted,
    };
  }
  if ("offset" in from) {
    const { offset: wanted } = from;
    return {
      isBefore: ({ offset }) => (offset[p] ?? 0) <= wanted,
      isWanted: (_, offset) => offset >= wanted,
      isBehind: ({ offset }) => (offset[p] ?? 0) <= wanted,
    };
  }
  const { enqueuedTimeMs: wanted } = from;
  return {
    isBefore: (_, timeMs) => timeMs < wanted,
    isWanted: (_sequenceNumber, _offset, timeMs) => timeMs >= wanted,
    isBehind: ({ timeMs }) => (timeMs[p] ?? 0) < wanted,
  };
}
