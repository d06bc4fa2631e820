import type { PartitionInfo } from "../../../domain/ports.ts";
import { long, section, string, symbol, timestamp } from "./amqp-values.ts";

const names = {
  sequenceNumber: symbol("last_enqueued_sequence_number"),
  offset: symbol("last_enqueued_offset"),
  enqueuedTime: symbol("last_enqueued_time_utc"),
  retrievedAt: symbol("runtime_info_retrieval_time_utc"),
};

/** Delivery annotations for readers that asked for `enable-receiver-runtime-metric`: how far behind they are. */
export const runtimeMetrics = (info: PartitionInfo, nowMs: number): Buffer =>
  section(0x71, 0xd1, [
    names.sequenceNumber,
    long(Math.max(0, info.nextSequenceNumber - 1)),
    names.offset,
    string(String(info.lastOffset)),
    names.enqueuedTime,
    timestamp(info.lastEnqueuedTimeMs),
    names.retrievedAt,
    timestamp(nowMs),
  ]);
