import type { FrameReader } from "./frame-reader.ts";
import { TopicCache } from "./topic-cache.ts";
import { Violation } from "./violation.ts";

/** Reads PUBLISH bodies by offsets, without an object per packet: the fields are valid until the next `decode`. */
export class PublishDecoder {
  topic = "";
  /** 0 for QoS 0. */
  packetId = 0;
  payloadStart = 0;
  readonly #topics = new TopicCache();

  /** @param frame a reader standing on a PUBLISH frame */
  decode(frame: FrameReader): Violation | undefined {
    const { bytes, header, bodyStart, bodyEnd } = frame;
    if (bodyStart + 2 > bodyEnd) return truncated("topic name");
    const topicStart = bodyStart + 2;
    const topicEnd = topicStart + ((bytes[bodyStart]! << 8) | bytes[bodyStart + 1]!);
    if (topicEnd > bodyEnd) return truncated("topic name");
    const qos = (header >> 1) & 3;
    if (qos === 0) {
      if ((header & 8) !== 0) return new Violation("mqtt.dup_qos0", "PUBLISH with DUP and QoS 0");
      this.packetId = 0;
      this.payloadStart = topicEnd;
    } else {
      if (qos === 2) return new Violation("mqtt.qos2", "PUBLISH with QoS 2");
      if (topicEnd + 2 > bodyEnd) return truncated("packet identifier");
      const packetId = (bytes[topicEnd]! << 8) | bytes[topicEnd + 1]!;
      if (packetId === 0) {
        return new Violation("mqtt.packet_id_zero", "PUBLISH with packet identifier 0");
      }
      this.packetId = packetId;
      this.payloadStart = topicEnd + 2;
    }
    const topic = this.#topics.read(bytes, topicStart, topicEnd);
    if (typeof topic !== "string") return new Violation(topic.code, `PUBLISH: ${topic.reason}`);
    this.topic = topic;
    return undefined;
  }
}

const truncated = (field: string): Violation =>
  new Violation("mqtt.packet_truncated", `PUBLISH: ${field} runs past the end of the packet`);
