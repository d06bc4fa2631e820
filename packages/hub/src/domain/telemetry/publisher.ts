import {
  IotError,
  parseD2cProperties,
  parseDeviceTopic,
  partitionForDevice,
  telemetryBytesMax,
  telemetryMessageSize,
} from "@hubwire/protocol";
import type { DeviceTopic, IncomingMessage } from "@hubwire/protocol";
import { encodeRecordHead } from "./record.ts";
import type { TelemetryIngest } from "./ingest.ts";
import type { Admission, IdentityRef } from "../services.ts";

/** The connection telemetry came from, as the ingest answers it. Both are called after a commit. */
export interface TelemetrySink {
  /** The message behind the receipt is durable; gather its PUBACK. */
  ack(receipt: number): void;
  /** Once per commit and connection: send what was gathered. */
  flush(): void;
  /** There is room again after `publish` had returned "full". */
  room(): void;
  /** Messages of this connection are lost, so that it must end and its device send again. */
  lost(): void;
}

/** What everything a connection publishes has in common. */
export type PublisherIdentity = Pick<Admission, "ref" | "generationId" | "authMethod" | "modelId">;

/** What one topic comes to: the record head, and how many bytes its properties count. */
type TopicHead = { bytes: Uint8Array; propertyBytes: number };

/** A topic that is not telemetry: somebody else's to handle. */
export type OtherTopic = Exclude<DeviceTopic, { type: "telemetry" }>;

/** Topics a connection takes turns with whose heads are kept; one that makes up a topic per message starts over. */
const headsMax = 16;

/**
 * The telemetry of one connection. A device repeats its topic, so parsing, checking and encoding happen once per topic
 * and a message costs one comparison of string objects.
 */
export class TelemetryPublisher {
  readonly partition: number;
  readonly sink: TelemetrySink;
  /** Appended and not yet durable; kept by the ingest. */
  bytesOpen = 0;
  /** Whether this commit already touched the connection; the ingest's own mark. */
  touched = false;
  readonly #ingest: TelemetryIngest;
  readonly #identity: PublisherIdentity;
  readonly #heads = new Map<string, TopicHead>();
  #lastTopic: string | undefined;
  #lastHead: TopicHead | undefined;

  constructor(ingest: TelemetryIngest, identity: PublisherIdentity, sink: TelemetrySink) {
    this.#ingest = ingest;
    this.#identity = identity;
    this.sink = sink;
    this.partition = partitionForDevice(identity.ref.deviceId, ingest.partitionCount);
  }

  get ref(): IdentityRef {
    return this.#identity.ref;
  }

  /**
   * Takes one message in. "full": nothing happened; stop reading and come again at `room()`.
   * @throws IotError `topic.bad_property_bag`, `topic.too_long`, `message.too_large`, `store.unavailable`
   */
  publish(message: IncomingMessage): "taken" | "full" | OtherTopic {
    let head = this.#lastHead;
    if (message.topic !== this.#lastTopic || head === undefined || message.retain) {
      const found = this.#lookUp(message.topic, message.retain);
      if ("type" in found) return found;
      head = found;
    }
    const payloadBytes = message.payloadEnd - message.payloadStart;
    if (payloadBytes + head.propertyBytes > telemetryBytesMax) {
      throw tooLarge(payloadBytes + head.propertyBytes);
    }
    return this.#ingest.append(this, head.bytes, message) ? "taken" : "full";
  }

  #lookUp(topic: string, retain: boolean): TopicHead | OtherTopic {
    const key = retain ? `retain ${topic}` : topic;
    let head = this.#heads.get(key);
    if (head === undefined) {
      const parsed = parseDeviceTopic(topic, this.#identity.ref);
      if (parsed.type !== "telemetry") return parsed;
      head = this.#makeHead(parsed.bag, retain, false);
      if (this.#heads.size >= headsMax) this.#heads.clear();
      this.#heads.set(key, head);
    }
    if (!retain) {
      this.#lastTopic = topic;
      this.#lastHead = head;
    }
    return head;
  }

  /**
   * Checks a will when it is handed in, and returns how to publish it should it come to that.
   * @throws IotError `topic.foreign_publish`, `topic.bad_property_bag`, `topic.too_long`, `message.too_large`
   */
  prepareWill(will: { topic: string; payload: Uint8Array; retain: boolean }): () => void {
    const parsed = parseDeviceTopic(will.topic, this.#identity.ref);
    if (parsed.type !== "telemetry") {
      throw new IotError(
        "topic.foreign_publish",
        "The will's topic is not the device's own messages/events/ topic",
      );
    }
    const { bytes, propertyBytes } = this.#makeHead(parsed.bag, will.retain, true);
    const size = will.payload.length + propertyBytes;
    if (size > telemetryBytesMax) throw tooLarge(size);
    const payload = will.payload.slice();
    return () => this.#ingest.appendWill(this, bytes, payload);
  }

  #makeHead(bag: string, retain: boolean, will: boolean): TopicHead {
    const propertyBytes = telemetryMessageSize(0, parseD2cProperties(bag));
    const { ref, generationId, authMethod, modelId } = this.#identity;
    const bytes = encodeRecordHead({
      deviceId: ref.deviceId,
      moduleId: ref.moduleId,
      generationId,
      authMethod,
      modelId,
      bag,
      retain,
      will,
      messageSource: "Telemetry",
    });
    return { bytes, propertyBytes };
  }
}

const tooLarge = (bytes: number): IotError =>
  new IotError(
    "message.too_large",
    `A message counts ${bytes} bytes with its properties; the limit is ${telemetryBytesMax}`,
  );
