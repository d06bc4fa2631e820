import { IotError } from "../../errors/iot-error.ts";
import type { ConnectRequest, SubackCode, TopicFilter } from "../types.ts";
import type { OutputBuffer } from "./output-buffer.ts";
import { PacketType } from "./packet-type.ts";
import { checkTopicFilter, checkTopicName } from "./topic-rules.ts";
import { utf8Length, writeUtf8 } from "./utf8.ts";

const REMAINING_BYTES_MAX = 268_435_455;

/** Reserves a whole packet, writes its fixed header and returns where the body begins. */
export function beginPacket(out: OutputBuffer, header: number, remaining: number): number {
  if (remaining > REMAINING_BYTES_MAX) {
    throw new IotError("argument.invalid", `an MQTT packet cannot carry ${remaining} bytes`);
  }
  const prefix = remaining < 128 ? 2 : remaining < 16_384 ? 3 : remaining < 2_097_152 ? 4 : 5;
  let at = out.reserve(prefix + remaining);
  const bytes = out.bytes;
  bytes[at++] = header;
  let rest = remaining;
  while (rest > 127) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** UTF-8 length of a field, checked. @throws IotError `argument.invalid` */
function fieldBytes(field: string, text: string): number {
  const length = utf8Length(text);
  if (length < 0) {
    throw new IotError("argument.invalid", `${field} holds U+0000 or a lone surrogate`);
  }
  return checkFieldBytes(field, length);
}

function checkFieldBytes(field: string, length: number): number {
  if (length > 65_535) {
    throw new IotError("argument.invalid", `${field} is ${length} bytes long, MQTT carries 65535`);
  }
  return length;
}

function writeUint16(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >> 8;
  bytes[at + 1] = value & 0xff;
  return at + 2;
}

function writeString(bytes: Uint8Array, at: number, text: string): number {
  const end = writeUtf8(bytes, at + 2, text);
  writeUint16(bytes, at, end - at - 2);
  return end;
}

function writeBinary(bytes: Uint8Array, at: number, value: Uint8Array): number {
  bytes.set(value, writeUint16(bytes, at, value.length));
  return at + 2 + value.length;
}

/** @throws IotError `argument.invalid` for fields MQTT cannot carry */
export function encodeConnect(out: OutputBuffer, request: ConnectRequest): void {
  const { clientId, username, password, will } = request;
  if (password !== undefined && username === undefined) {
    throw new IotError(
      "argument.invalid",
      "MQTT carries a password only with a user name [MQTT-3.1.2-22]",
    );
  }
  if (
    !Number.isInteger(request.keepAliveS) ||
    request.keepAliveS < 0 ||
    request.keepAliveS > 65_535
  ) {
    throw new IotError(
      "argument.invalid",
      `keep alive ${request.keepAliveS} is not 0 to 65535 seconds`,
    );
  }
  let remaining = 10 + 2 + fieldBytes("the client id", clientId);
  let flags = request.cleanSession ? 2 : 0;
  if (will !== undefined) {
    const bad = checkTopicName(will.topic);
    if (bad !== undefined) throw new IotError("argument.invalid", `will topic: ${bad.reason}`);
    remaining += 2 + fieldBytes("the will topic", will.topic);
    remaining += 2 + checkFieldBytes("the will message", will.payload.length);
    flags |= 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0);
  }
  if (username !== undefined) {
    remaining += 2 + fieldBytes("the user name", username);
    flags |= 0x80;
  }
  if (password !== undefined) {
    remaining += 2 + checkFieldBytes("the password", password.length);
    flags |= 0x40;
  }
  let at = beginPacket(out, PacketType.connect << 4, remaining);
  const bytes = out.bytes;
  at = writeString(bytes, at, "MQTT");
  bytes[at++] = 4;
  bytes[at++] = flags;
  at = writeUint16(bytes, at, request.keepAliveS);
  at = writeString(bytes, at, clientId);
  if (will !== undefined) at = writeBinary(bytes, writeString(bytes, at, will.topic), will.payload);
  if (username !== undefined) at = writeString(bytes, at, username);
  if (password !== undefined) writeBinary(bytes, at, password);
}

export function encodeConnack(
  out: OutputBuffer,
  sessionPresent: boolean,
  returnCode: number,
): void {
  const at = beginPacket(out, PacketType.connack << 4, 2);
  out.bytes[at] = sessionPresent ? 1 : 0;
  out.bytes[at + 1] = returnCode;
}

/** PUBACK and UNSUBACK: a packet identifier and nothing else. */
export function encodePacketId(out: OutputBuffer, type: number, packetId: number): void {
  const at = out.reserve(4);
  const bytes = out.bytes;
  bytes[at] = type << 4;
  bytes[at + 1] = 2;
  bytes[at + 2] = packetId >> 8;
  bytes[at + 3] = packetId & 0xff;
}

/** PINGREQ, PINGRESP and DISCONNECT: no body. */
export function encodeEmpty(out: OutputBuffer, type: number): void {
  beginPacket(out, type << 4, 0);
}

/** @throws IotError `argument.invalid` for filters MQTT cannot carry, or none */
export function encodeSubscribe(
  out: OutputBuffer,
  packetId: number,
  filters: readonly TopicFilter[],
): void {
  let remaining = 2;
  for (const { filter } of filters) remaining += 2 + filterBytes(filter) + 1;
  if (filters.length === 0) throw new IotError("argument.invalid", "SUBSCRIBE needs a filter");
  let at = beginPacket(out, (PacketType.subscribe << 4) | 2, remaining);
  const bytes = out.bytes;
  at = writeUint16(bytes, at, packetId);
  for (const { filter, qos } of filters) {
    at = writeString(bytes, at, filter);
    bytes[at++] = qos;
  }
}

export function encodeSuback(
  out: OutputBuffer,
  packetId: number,
  codes: readonly SubackCode[],
): void {
  let at = beginPacket(out, PacketType.suback << 4, 2 + codes.length);
  const bytes = out.bytes;
  at = writeUint16(bytes, at, packetId);
  for (const code of codes) bytes[at++] = code;
}

/** @throws IotError `argument.invalid` for filters MQTT cannot carry, or none */
export function encodeUnsubscribe(
  out: OutputBuffer,
  packetId: number,
  filters: readonly string[],
): void {
  let remaining = 2;
  for (const filter of filters) remaining += 2 + filterBytes(filter);
  if (filters.length === 0) throw new IotError("argument.invalid", "UNSUBSCRIBE needs a filter");
  let at = beginPacket(out, (PacketType.unsubscribe << 4) | 2, remaining);
  at = writeUint16(out.bytes, at, packetId);
  for (const filter of filters) at = writeString(out.bytes, at, filter);
}

function filterBytes(filter: string): number {
  const bad = checkTopicFilter(filter);
  if (bad !== undefined) throw new IotError("argument.invalid", bad.reason);
  return fieldBytes("a topic filter", filter);
}
