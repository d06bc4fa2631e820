import { checkTopicName } from "./topic-rules.ts";
import { decodeUtf8 } from "./utf8.ts";
import type { Violation } from "./violation.ts";

/** Longer topics are decoded every time, which bounds what a connection can make us keep: 4 × 512 bytes. */
const TOPIC_BYTES_MAX = 512;
const SLOTS = 4;

type Slot = { bytes: Uint8Array; topic: string };

/**
 * Topic bytes to topic string, for one connection. A device repeats a few topics; comparing bytes is cheaper than
 * decoding and checking them, and gives consumers the same string object again.
 */
export class TopicCache {
  readonly #slots: (Slot | undefined)[] = [];

  read(bytes: Uint8Array, start: number, end: number): string | Violation {
    const length = end - start;
    const slot = this.#slots[length & (SLOTS - 1)];
    if (slot !== undefined && same(slot.bytes, bytes, start, length)) return slot.topic;
    const topic = decodeUtf8(bytes, start, end);
    if (typeof topic !== "string") return topic;
    const bad = checkTopicName(topic);
    if (bad !== undefined) return bad;
    if (length <= TOPIC_BYTES_MAX) {
      this.#slots[length & (SLOTS - 1)] = { bytes: bytes.slice(start, end), topic };
    }
    return topic;
  }
}

/** From the end: topics of one device differ there, if anywhere. */
function same(known: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (known.length !== length) return false;
  for (let i = length - 1; i >= 0; i--) {
    if (known[i] !== bytes[start + i]) return false;
  }
  return true;
}
