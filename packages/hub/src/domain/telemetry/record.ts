import { IotError } from "@hubwire/protocol";
import { authMethods } from "../auth/auth-method.ts";

/**
 * A telemetry record at rest: a head that names who sent it and under which topic, then the payload, byte for byte.
 *
 *     version:u8  flags:u8  headBytes:u32  authMethod:u8 (place in `authMethods`)
 *     deviceId:u8+text  moduleId:u8+text  generationId:u8+text  modelId:u16+text  bag:u16+text  payload …
 *
 * The property bag is kept as the device wrote it: taking a message in must not cost what only a reader needs.
 * Numbers are big-endian, text is UTF-8. Flags: 1 retain, 2 will; the upper four bits are the place in `messageSources`.
 */
export type RecordHead = {
  deviceId: string;
  moduleId: string | undefined;
  generationId: string;
  authMethod: string;
  modelId: string | undefined;
  /** Raw text behind `messages/events/`. */
  bag: string;
  retain: boolean;
  will: boolean;
  /** `iothub-message-source`. */
  messageSource: MessageSource;
};

/**
 * What an event is about (Azure IoT Hub docs, "Non-telemetry events"). Records refer to it by position: entries are only
 * ever added at the end, and there is room for sixteen.
 */
export const messageSources = [
  "Telemetry",
  "deviceConnectionStateEvents",
  "deviceLifecycleEvents",
  "twinChangeEvents",
] as const;
export type MessageSource = (typeof messageSources)[number];

const formatVersion = 1;
const RETAIN = 1;
const WILL = 2;
const sourceShift = 4;
const fixedBytes = 7;

export function encodeRecordHead(head: RecordHead): Uint8Array {
  const ids = [head.deviceId, head.moduleId ?? "", head.generationId].map((id) => Buffer.from(id));
  const texts = [head.modelId ?? "", head.bag].map((text) => Buffer.from(text));
  const authMethod = authMethods.findIndex((method) => method === head.authMethod);
  if (authMethod < 0) {
    throw new IotError("argument.invalid", "The authentication method is not one the log knows");
  }
  let length = fixedBytes;
  for (const id of ids) length += 1 + id.length;
  for (const text of texts) length += 2 + text.length;
  if (ids.some((id) => id.length > 0xff) || texts.some((text) => text.length > 0xffff)) {
    throw new IotError("topic.too_long", `Ids, model id and property bag have ${length} bytes`);
  }
  const bytes = Buffer.allocUnsafeSlow(length);
  bytes[0] = formatVersion;
  const source = messageSources.indexOf(head.messageSource) << sourceShift;
  bytes[1] = (head.retain ? RETAIN : 0) | (head.will ? WILL : 0) | source;
  bytes.writeUInt32BE(length, 2);
  bytes[6] = authMethod;
  let at = fixedBytes;
  for (const id of ids) {
    bytes[at] = id.length;
    at += 1 + id.copy(bytes, at + 1);
  }
  for (const text of texts) {
    bytes.writeUInt16BE(text.length, at);
    at += 2 + text.copy(bytes, at + 2);
  }
  return bytes;
}

export type DecodedRecord = { head: RecordHead; body: Uint8Array; headBytes: Uint8Array };

/** @throws IotError `hub.data_newer_format`, `hub.data_corrupt` */
export function decodeRecord(record: Uint8Array): DecodedRecord {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
  if (bytes.length < fixedBytes) throw corrupt("is too short");
  if (bytes[0] !== formatVersion) {
    throw new IotError(
      "hub.data_newer_format",
      `A telemetry record has format version ${bytes[0]}; this hub knows ${formatVersion}`,
    );
  }
  const headBytes = bytes.readUInt32BE(2);
  const authMethod = authMethods[bytes[6]!];
  if (headBytes > bytes.length || authMethod === undefined) throw corrupt("has a bad head");
  let at = fixedBytes;
  const text = (lengthBytes: 1 | 2): string => {
    const length = at + lengthBytes > headBytes ? Infinity : bytes.readUIntBE(at, lengthBytes);
    const start = at + lengthBytes;
    if (start + length > headBytes) throw corrupt("has a text past its head");
    at = start + length;
    return bytes.toString("utf8", start, at);
  };
  const [deviceId, moduleId, generationId, modelId, bag] = [
    text(1),
    text(1),
    text(1),
    text(2),
    text(2),
  ];
  const flags = bytes[1]!;
  const messageSource = messageSources[flags >> sourceShift];
  if (messageSource === undefined) throw corrupt("is of an unknown source");
  return {
    head: {
      deviceId,
      moduleId: moduleId === "" ? undefined : moduleId,
      generationId,
      authMethod,
      modelId: modelId === "" ? undefined : modelId,
      bag,
      retain: (flags & RETAIN) !== 0,
      will: (flags & WILL) !== 0,
      messageSource,
    },
    body: record.subarray(headBytes),
    headBytes: record.subarray(0, headBytes),
  };
}

/**
 * Whether a record has this very head, and so need not be decoded: a device's records come in runs. The head holds its own
 * length, so equal bytes are an equal head.
 */
export function startsWith(record: Uint8Array, head: Uint8Array): boolean {
  const { length } = head;
  if (record.length < length) return false;
  for (let i = 0; i < length; i++) {
    if (record[i] !== head[i]) return false;
  }
  return true;
}

const corrupt = (what: string): IotError =>
  new IotError("hub.data_corrupt", `A telemetry record ${what}`);
