import { systemProperties } from "@hubwire/protocol";
import type { SystemPropertyEntry, SystemPropertyName } from "@hubwire/protocol";
import type { TelemetryRecord } from "../../../domain/ports.ts";
import { decodeRecord, eventProperties, startsWith } from "../../../domain/telemetry/index.ts";
import type { RecordHead } from "../../../domain/telemetry/index.ts";
import { binary, nothing, section, string, symbol, timestamp } from "./amqp-values.ts";

/** Record heads whose sections are kept; a log of more devices than that is encoded in runs. */
const headsMax = 4_096;
const dataHeadBytes = 8;

/** What an event says beside its numbers and its body: the same for all events with one record head. */
type Sections = {
  head: Uint8Array;
  /** Annotations, without the section's own head. */
  annotations: Buffer;
  annotationCount: number;
  /** Properties and application properties. */
  rest: Buffer;
};

const name = {
  sequenceNumber: symbol("x-opt-sequence-number"),
  offset: symbol("x-opt-offset"),
  enqueuedTime: symbol("x-opt-enqueued-time"),
  hubEnqueuedTime: symbol("iothub-enqueuedtime"),
};
/** Where a service sees what a device set. */
const systemPropertyPlaces = systemProperties.flatMap((entry: SystemPropertyEntry) =>
  entry.amqp === undefined || entry.hubOnly === true
    ? []
    : [
        {
          name: entry.name as SystemPropertyName,
          section: entry.amqp.section,
          key: entry.amqp.name,
        },
      ],
);

/** Annotations that differ from event to event. */
const ownAnnotations = 4;

/**
 * Telemetry records as AMQP messages. A device's records share their head, so everything it says is encoded once; an event
 * then is a few copies and numbers written into the buffer that goes to the socket.
 *
 *     [delivery annotations]  message annotations  properties  application properties  data
 */
export class EventEncoder {
  readonly #byHead = new Map<string, Sections>();
  #last: Sections | undefined;

  /** Bytes `write` needs at most. */
  bytesMax(record: TelemetryRecord): number {
    const { annotations, rest } = this.#sectionsOf(record.bytes);
    return annotations.length + rest.length + record.bytes.length + 200;
  }

  /** Writes the message at `at` and returns its end. */
  write(buffer: Buffer, at: number, record: TelemetryRecord): number {
    const { head, annotations, annotationCount, rest } = this.#sectionsOf(record.bytes);
    buffer[at] = 0x00;
    buffer[at + 1] = 0x53;
    buffer[at + 2] = 0x72;
    buffer[at + 3] = 0xd1;
    const sizeAt = at + 4;
    buffer.writeUInt32BE((annotationCount + ownAnnotations) * 2, at + 8);
    let to = at + 12;
    to += name.sequenceNumber.copy(buffer, to);
    to = writeLong(buffer, to, 0x81, record.sequenceNumber);
    to += name.offset.copy(buffer, to);
    const offset = String(record.offset);
    buffer[to] = 0xa1;
    buffer[to + 1] = offset.length;
    to += 2 + buffer.write(offset, to + 2, "latin1");
    to += name.enqueuedTime.copy(buffer, to);
    to = writeLong(buffer, to, 0x83, record.enqueuedTimeMs);
    to += name.hubEnqueuedTime.copy(buffer, to);
    to = writeLong(buffer, to, 0x83, record.enqueuedTimeMs);
    to += annotations.copy(buffer, to);
    buffer.writeUInt32BE(to - sizeAt - 4, sizeAt);
    to += rest.copy(buffer, to);
    const body = record.bytes.length - head.length;
    buffer[to] = 0x00;
    buffer[to + 1] = 0x53;
    buffer[to + 2] = 0x75;
    buffer[to + 3] = 0xb0;
    buffer.writeUInt32BE(body, to + 4);
    to += dataHeadBytes;
    buffer.set(
      body === record.bytes.length ? record.bytes : record.bytes.subarray(head.length),
      to,
    );
    return to + body;
  }

  #sectionsOf(bytes: Uint8Array): Sections {
    const last = this.#last;
    if (last !== undefined && startsWith(bytes, last.head)) return last;
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const key = view.toString("latin1", 0, Math.min(view.readUInt32BE(2), view.length));
    let found = this.#byHead.get(key);
    if (found === undefined) {
      const decoded = decodeRecord(bytes);
      found = makeSections(decoded.head, Buffer.from(decoded.headBytes));
      if (this.#byHead.size >= headsMax) this.#byHead.clear();
      this.#byHead.set(key, found);
    }
    this.#last = found;
    return found;
  }
}

/** Numbers here are counts and milliseconds: they never need the sign nor the top eleven bits. */
function writeLong(buffer: Buffer, at: number, code: number, value: number): number {
  buffer[at] = code;
  const high = Math.floor(value / 0x1_0000_0000);
  buffer.writeUInt32BE(high, at + 1);
  buffer.writeUInt32BE(value - high * 0x1_0000_0000, at + 5);
  return at + 9;
}

function makeSections(head: RecordHead, headBytes: Buffer): Sections {
  const { system, application } = eventProperties(head);
  const annotations: Buffer[] = [];
  const annotate = (key: string, value: string | undefined): void => {
    if (value !== undefined) annotations.push(symbol(key), string(value));
  };
  annotate("x-opt-partition-key", head.deviceId);
  annotate("iothub-connection-device-id", head.deviceId);
  annotate("iothub-connection-module-id", head.moduleId);
  if (head.messageSource === "Telemetry") {
    annotate("iothub-connection-auth-method", head.authMethod);
    annotate("iothub-connection-auth-generation-id", head.generationId);
  }
  annotate("iothub-message-source", head.messageSource);
  annotate("dt-dataschema", head.modelId);

  const values = new Map<string, string>();
  const applied: [string, string][] = Object.entries(application);
  for (const entry of systemPropertyPlaces) {
    const value = system[entry.name];
    if (value === undefined) continue;
    if (entry.section === "properties") values.set(entry.key, value);
    else if (entry.section === "annotations") annotate(entry.key, value);
    else applied.push([entry.key, value]);
  }
  const sections: Buffer[] = [];
  if (values.size > 0) sections.push(propertiesSection(values));
  if (applied.length > 0) {
    const items = applied.flatMap(([key, value]) => [string(key), string(value)]);
    sections.push(section(0x74, 0xd1, items));
  }
  return {
    head: headBytes,
    annotations: Buffer.concat(annotations),
    annotationCount: annotations.length / 2,
    rest: Buffer.concat(sections),
  };
}

/** AMQP 1.0 §3.2.4; a field left out at the end need not be written. */
function propertiesSection(values: ReadonlyMap<string, string>): Buffer {
  const text = (key: string): Buffer => optional(values.get(key), string);
  const name = (key: string): Buffer => optional(values.get(key), symbol);
  const expiryMs = Date.parse(values.get("absolute-expiry-time") ?? "");
  return section(0x73, 0xd0, [
    text("message-id"),
    optional(values.get("user-id"), (value) => binary(Buffer.from(value))),
    text("to"),
    nothing,
    nothing,
    text("correlation-id"),
    name("content-type"),
    name("content-encoding"),
    Number.isNaN(expiryMs) ? nothing : timestamp(expiryMs),
  ]);
}

const optional = (value: string | undefined, encode: (value: string) => Buffer): Buffer =>
  value === undefined ? nothing : encode(value);
