import { parseD2cProperties } from "@hubwire/protocol";
import type { TelemetryRecord, TelemetryStore } from "../ports.ts";
import type { TelemetryEvent, TelemetryReader } from "../services.ts";
import { decodeRecord } from "./record.ts";
import type { DecodedRecord } from "./record.ts";

/** Application properties the hub adds (Azure IoT Hub docs, MQTT: retained messages, wills). */
const retainProperty = "mqtt-retain";
const messageTypeProperty = "iothub-MessageType";

/** The log as back ends read it. */
export const createTelemetryReader = (store: TelemetryStore): TelemetryReader => ({
  partitionCount: store.partitionCount,
  async read(partition, from, limits) {
    const records = await store.read(partition, from, limits);
    let previous: DecodedRecord | undefined;
    return records.map((record) => {
      previous = decodeRecord(record.bytes, previous);
      return toEvent(record, previous);
    });
  },
  partition: (index) => store.partition(index),
  onCommit: (listener) => store.onCommit(() => listener()),
});

function toEvent(record: TelemetryRecord, { head, body }: DecodedRecord): TelemetryEvent {
  const properties = parseD2cProperties(head.bag);
  if (head.retain) properties.application[retainProperty] = "true";
  if (head.will) properties.application[messageTypeProperty] = "Will";
  return {
    partition: record.partition,
    sequenceNumber: record.sequenceNumber,
    offset: String(record.offset),
    enqueuedTimeMs: record.enqueuedTimeMs,
    deviceId: head.deviceId,
    moduleId: head.moduleId,
    generationId: head.generationId,
    authMethod: head.authMethod,
    messageSource: "Telemetry",
    modelId: head.modelId,
    properties,
    body,
  };
}
