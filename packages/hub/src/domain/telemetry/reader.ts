import { parseD2cProperties } from "@hubwire/protocol";
import type { MessageProperties } from "@hubwire/protocol";
import type { TelemetryRecord } from "../ports.ts";
import type { TelemetryEvent, TelemetryReader } from "../services.ts";
import type { pacedLog } from "./paced-commits.ts";
import { decodeRecord, startsWith } from "./record.ts";
import type { DecodedRecord, RecordHead } from "./record.ts";

/** Application properties the hub adds (Azure IoT Hub docs, MQTT: retained messages, wills). */
const retainProperty = "mqtt-retain";
const messageTypeProperty = "iothub-MessageType";

/** What a reader needs of the log. */
export type ReaderLog = ReturnType<typeof pacedLog>;

/** The log as back ends read it. */
export const createTelemetryReader = (store: ReaderLog): TelemetryReader => ({
  partitionCount: store.partitionCount,
  async read(partition, from, limits) {
    const records = await store.read(partition, from, limits);
    const events: TelemetryEvent[] = [];
    let decoded: DecodedRecord | undefined;
    let properties: MessageProperties | undefined;
    for (const record of records) {
      const { bytes } = record;
      if (decoded === undefined || !startsWith(bytes, decoded.headBytes)) {
        decoded = decodeRecord(bytes);
        properties = propertiesOf(decoded.head);
      }
      events.push(toEvent(record, decoded, properties as MessageProperties));
    }
    return events;
  },
  partition: (index) => store.partition(index),
  onCommit: (listener) => store.onCommit(listener),
});

/** Frozen, because all events in a run of the same head share them. */
function propertiesOf(head: RecordHead): MessageProperties {
  const { system, application } = eventProperties(head);
  return Object.freeze({ system: Object.freeze(system), application: Object.freeze(application) });
}

/** What the device said beside the body, and what the hub adds to it. */
export function eventProperties(head: RecordHead): MessageProperties {
  const properties = parseD2cProperties(head.bag);
  if (head.retain) properties.application[retainProperty] = "true";
  if (head.will) properties.application[messageTypeProperty] = "Will";
  return properties;
}

function toEvent(
  record: TelemetryRecord,
  { head, headBytes }: DecodedRecord,
  properties: MessageProperties,
): TelemetryEvent {
  return {
    partition: record.partition,
    sequenceNumber: record.sequenceNumber,
    offset: String(record.offset),
    enqueuedTimeMs: record.enqueuedTimeMs,
    deviceId: head.deviceId,
    moduleId: head.moduleId,
    generationId: head.generationId,
    authMethod: head.authMethod,
    messageSource: head.messageSource,
    modelId: head.modelId,
    properties,
    body: record.bytes.subarray(headBytes.length),
  };
}
