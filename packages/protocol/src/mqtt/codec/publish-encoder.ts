import { IotError } from "../../errors/iot-error.ts";
import { beginPacket } from "./encode.ts";
import type { OutputBuffer } from "./output-buffer.ts";
import { PacketType } from "./packet-type.ts";
import { checkTopicName } from "./topic-rules.ts";
import { utf8Length, writeUtf8 } from "./utf8.ts";

/** Longer topics are not kept, which bounds what an idle connection holds. */
const TOPIC_BYTES_MAX = 512;

/** ASCII that a topic name may hold: all but U+0000, # and +. By code unit. */
const plain = Uint8Array.from({ length: 128 }, (_, unit) =>
  unit === 0 || unit === 0x23 || unit === 0x2b ? 0 : 1,
);

/**
 * Writes PUBLISH packets. A topic of ASCII is checked and written in one pass; a topic sent twice in a row, as devices
 * do, is kept as bytes.
 */
export class PublishEncoder {
  #topic: string | undefined;
  #topicBytes: Uint8Array | undefined;

  /**
   * @param packetId 0 sends QoS 0, anything else QoS 1
   * @throws IotError `argument.invalid` for a topic or payload that MQTT cannot carry; nothing is written then
   */
  encode(
    out: OutputBuffer,
    topic: string,
    payload: Uint8Array,
    packetId: number,
    dup: boolean,
  ): void {
    const flags = packetId === 0 ? 0 : dup ? 0x0a : 0x02;
    if (topic !== this.#topic) {
      this.#topic = topic.length <= TOPIC_BYTES_MAX ? topic : undefined;
      this.#topicBytes = undefined;
      if (writePlain(out, flags, topic, payload, packetId)) return;
    }
    const topicBytes = this.#topicBytes ?? encodeTopic(topic);
    if (topic === this.#topic) this.#topicBytes = topicBytes;
    const length = topicBytes.length;
    let at = begin(out, flags, length, payload, packetId);
    out.bytes.set(topicBytes, at);
    at += length;
    finish(out.bytes, at, payload, packetId);
  }
}

/** Reserves the packet and writes what stands before the topic; returns where the topic goes. */
function begin(
  out: OutputBuffer,
  flags: number,
  topicLength: number,
  payload: Uint8Array,
  packetId: number,
): number {
  const remaining = 2 + topicLength + (packetId === 0 ? 0 : 2) + payload.length;
  const at = beginPacket(out, (PacketType.publish << 4) | flags, remaining);
  out.bytes[at] = topicLength >> 8;
  out.bytes[at + 1] = topicLength & 0xff;
  return at + 2;
}

function finish(
  bytes: Uint8Array,
  behindTopic: number,
  payload: Uint8Array,
  packetId: number,
): void {
  let at = behindTopic;
  if (packetId !== 0) {
    bytes[at++] = packetId >> 8;
    bytes[at++] = packetId & 0xff;
  }
  bytes.set(payload, at);
}

/** Returns false, with nothing written, if the topic is not plain. */
function writePlain(
  out: OutputBuffer,
  flags: number,
  topic: string,
  payload: Uint8Array,
  packetId: number,
): boolean {
  const length = topic.length;
  if (length === 0 || length > 65_535) return false;
  const before = out.length;
  const at = begin(out, flags, length, payload, packetId);
  const bytes = out.bytes;
  for (let i = 0; i < length; i++) {
    const unit = topic.charCodeAt(i);
    if (unit > 127 || plain[unit] === 0) {
      out.length = before;
      return false;
    }
    bytes[at + i] = unit;
  }
  finish(bytes, at + length, payload, packetId);
  return true;
}

function encodeTopic(topic: string): Uint8Array {
  const bad = checkTopicName(topic);
  if (bad !== undefined) throw new IotError("argument.invalid", bad.reason);
  const length = utf8Length(topic);
  if (length < 0 || length > 65_535) {
    const what = length < 0 ? "holds U+0000 or a lone surrogate" : `is ${length} bytes long`;
    throw new IotError("argument.invalid", `a topic name ${what}`);
  }
  const bytes = new Uint8Array(length);
  writeUtf8(bytes, 0, topic);
  return bytes;
}
