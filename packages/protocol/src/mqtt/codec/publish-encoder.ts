import { IotError } from "../../errors/iot-error.ts";
import { beginPacket } from "./encode.ts";
import type { OutputBuffer } from "./output-buffer.ts";
import { PacketType } from "./packet-type.ts";
import { checkTopicName } from "./topic-rules.ts";
import { utf8Length, writeUtf8 } from "./utf8.ts";

/** Longer topics are encoded every time, which bounds what an idle connection holds. */
const TOPIC_BYTES_MAX = 512;

/** Writes PUBLISH packets. The last topic's bytes are kept, because a device repeats its topic. */
export class PublishEncoder {
  #topic: string | undefined;
  #topicBytes = new Uint8Array(0);

  /**
   * @param packetId 0 sends QoS 0, anything else QoS 1
   * @throws IotError `argument.invalid` for a topic or payload that MQTT cannot carry
   */
  encode(
    out: OutputBuffer,
    topic: string,
    payload: Uint8Array,
    packetId: number,
    dup: boolean,
  ): void {
    const topicBytes = topic === this.#topic ? this.#topicBytes : this.#remember(topic);
    const topicLength = topicBytes.length;
    const idLength = packetId === 0 ? 0 : 2;
    const flags = packetId === 0 ? 0 : dup ? 0x0a : 0x02;
    const remaining = 2 + topicLength + idLength + payload.length;
    let at = beginPacket(out, (PacketType.publish << 4) | flags, remaining);
    const bytes = out.bytes;
    bytes[at++] = topicLength >> 8;
    bytes[at++] = topicLength & 0xff;
    bytes.set(topicBytes, at);
    at += topicLength;
    if (packetId !== 0) {
      bytes[at++] = packetId >> 8;
      bytes[at++] = packetId & 0xff;
    }
    bytes.set(payload, at);
  }

  #remember(topic: string): Uint8Array {
    const bad = checkTopicName(topic);
    if (bad !== undefined) throw new IotError("argument.invalid", bad.reason);
    const length = utf8Length(topic);
    if (length < 0 || length > 65_535) {
      const what = length < 0 ? "holds U+0000 or a lone surrogate" : `is ${length} bytes long`;
      throw new IotError("argument.invalid", `a topic name ${what}`);
    }
    const bytes = new Uint8Array(length);
    writeUtf8(bytes, 0, topic);
    if (length <= TOPIC_BYTES_MAX) {
      this.#topic = topic;
      this.#topicBytes = bytes;
    }
    return bytes;
  }
}
