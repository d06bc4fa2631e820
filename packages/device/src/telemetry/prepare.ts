import { IotError, telemetryBytesMax } from "@hubwire/protocol";
import type { Qos } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";
import type { Endpoint } from "../connection/endpoint.ts";
import { encodeBody, isJsonBody } from "./body.ts";
import { MessageIds } from "./message-ids.ts";
import { Outgoing } from "./outgoing.ts";
import { checkPriority, normal } from "./priority.ts";
import type { TelemetryBody, TelemetryOptions } from "./telemetry-options.ts";
import { TopicCache } from "./topic-cache.ts";

const tenYearsMs = 3_650 * 86_400_000;
const idBytes = 36;
const topicBytesMax = 65_535;

/** Makes messages of what callers pass: checked, encoded, sized, and with an id where they shall have one. */
export class Preparation {
  readonly #settings: Settings;
  readonly #ids: MessageIds | undefined;
  #endpoint: Endpoint;
  #topics: TopicCache;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#endpoint = settings.endpoint;
    this.#topics = new TopicCache(settings.endpoint.identity);
    this.#ids = settings.messageIds === "auto" ? new MessageIds(settings.idRandom) : undefined;
  }

  /** What topics of the device as it is called now begin with. */
  get prefix(): string {
    const { endpoint } = this.#settings;
    if (endpoint !== this.#endpoint) {
      this.#endpoint = endpoint;
      this.#topics = new TopicCache(endpoint.identity);
    }
    return this.#topics.prefix;
  }

  /** @throws IotError `argument.invalid`, `topic.*`, `device.message_too_large` */
  message(body: TelemetryBody, options: TelemetryOptions | undefined): Outgoing {
    const payload = encodeBody(body);
    const { prefix } = this;
    const found = this.#topics.topicFor(options, isJsonBody(body));
    let { topic, propertyBytes } = found;
    let qos: Qos = this.#settings.qos;
    let priority = normal;
    let ttlMs = 0;
    let messageId: string | undefined;
    if (options !== undefined) {
      if (options.qos !== undefined) qos = checkQos(options.qos);
      if (options.priority !== undefined) priority = checkPriority(options.priority);
      if (options.ttlMs !== undefined) ttlMs = checkTtl(options.ttlMs);
      messageId = options.messageId;
    }
    if (messageId === undefined && this.#ids !== undefined) {
      messageId = this.#ids.next(this.#settings.clock.wallMs());
      // System properties come first and `mid` is the first of them, as `formatD2cProperties` has it.
      const { bag } = found;
      topic = `${prefix}%24.mid=${messageId}${bag === "" ? "" : `&${bag}`}`;
      propertyBytes += idBytes;
      if (topic.length > topicBytesMax) throw new IotError("topic.too_long", tooLong(topic.length));
    }
    const sizeBytes = payload.length + propertyBytes;
    if (sizeBytes > telemetryBytesMax) throw tooLarge(payload.length, propertyBytes);
    const message = new Outgoing(prefix, topic, payload, qos, priority, sizeBytes);
    message.messageId = messageId;
    message.ttlMs = ttlMs;
    return message;
  }
}

const tooLong = (bytes: number): string =>
  `The topic has ${bytes} bytes with the message id; at most ${topicBytesMax} fit`;

function tooLarge(bodyBytes: number, propertyBytes: number): IotError {
  const size = `${bodyBytes} bytes of body and ${propertyBytes} of properties`;
  return new IotError(
    "device.message_too_large",
    `The message has ${size}, more than ${telemetryBytesMax} in all`,
  );
}

function checkQos(qos: unknown): Qos {
  checkNumber("qos", qos, 0, 1, "IoT Hub has no QoS 2");
  return qos as Qos;
}

function checkTtl(ttlMs: unknown): number {
  if (typeof ttlMs === "number" && ttlMs > 0 && ttlMs <= tenYearsMs) return ttlMs;
  throw invalid(`ttlMs is more than 0 and at most ${tenYearsMs} ms, not ${String(ttlMs)}`);
}

/** @throws IotError `argument.invalid` */
export function checkTimeout(timeoutMs: unknown): number {
  checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
  return timeoutMs;
}
