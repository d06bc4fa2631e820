import { emptyApplicationProperties, parseC2dProperties } from "@hubwire/protocol";
import type { MessageProperties, SystemProperties } from "@hubwire/protocol";

/** What the client knows about earlier deliveries of a message. */
export type DeliveryHint = {
  /** At least 1, this one included. */
  count: number;
  /** The hub said so (DUP), or this client had it before. */
  redelivered: boolean;
  /** This client completed a message with this id before. */
  duplicate: boolean;
};

/**
 * A cloud-to-device message. It stays in the hub's queue until `complete()`. MQTT has no negative answer: a message can be
 * neither rejected nor abandoned, only left alone, and then comes again after the hub's lock time-out or the next connect,
 * until its time to live is over. The hub's delivery count does not grow by that.
 */
export class C2dMessage {
  /** The body's bytes. */
  readonly body: Uint8Array;
  /** Application properties, without prototype. */
  readonly properties: Readonly<Record<string, string>>;
  readonly messageId: string | undefined;
  readonly correlationId: string | undefined;
  readonly userId: string | undefined;
  readonly to: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** ISO 8601; set when the sender limited the message's life. */
  readonly absoluteExpiryTime: string | undefined;
  /** Which feedback the sender wants: none, positive, negative or full. */
  readonly ack: string | undefined;
  /** Whether it was delivered before: the hub said so, perhaps about an earlier run of this program, or this client knows. */
  readonly redelivered: boolean;
  /**
   * Whether this client completed a message with this `messageId` before: the work is done, and only the acknowledgement was
   * lost. Remembered for the last thousand ids of this run of the program; never true without `messageId`.
   */
  readonly duplicate: boolean;
  /**
   * How often it was delivered as far as this client knows, this time included: 1 for the first. MQTT does not carry the
   * hub's own count, so this is a lower bound.
   */
  readonly deliveryCount: number;
  readonly #complete: () => Promise<void>;

  constructor(
    body: Uint8Array,
    parsed: MessageProperties,
    hint: DeliveryHint,
    complete: () => Promise<void>,
  ) {
    const system: SystemProperties = parsed.system;
    this.body = body;
    this.properties = parsed.application;
    this.messageId = system.messageId;
    this.correlationId = system.correlationId;
    this.userId = system.userId;
    this.to = system.to;
    this.contentType = system.contentType;
    this.contentEncoding = system.contentEncoding;
    this.absoluteExpiryTime = system.absoluteExpiryTime;
    this.ack = system.ack;
    this.redelivered = hint.redelivered;
    this.duplicate = hint.duplicate;
    this.deliveryCount = hint.count;
    this.#complete = complete;
  }

  /** The body as UTF-8 text; what is not UTF-8 becomes U+FFFD. */
  text(): string {
    return Buffer.from(this.body.buffer, this.body.byteOffset, this.body.byteLength).toString(
      "utf8",
    );
  }

  /** The body as JSON. @throws SyntaxError when it is none */
  json(): unknown {
    return JSON.parse(this.text()) as unknown;
  }

  /**
   * Takes the message out of the hub's queue: sends PUBACK for its latest delivery, or answers its repetition when the
   * connection is down. Repeating it is harmless.
   */
  complete(): Promise<void> {
    return this.#complete();
  }
}

/** A message to an input of a module, sent by a gateway that routes it there. */
export class InputMessage extends C2dMessage {
  readonly inputName: string;
  /** Who sent it, as the gateway says. */
  readonly connectionDeviceId: string | undefined;
  readonly connectionModuleId: string | undefined;

  constructor(
    inputName: string,
    body: Uint8Array,
    parsed: MessageProperties,
    hint: DeliveryHint,
    complete: () => Promise<void>,
  ) {
    super(body, parsed, hint, complete);
    this.inputName = inputName;
    this.connectionDeviceId = parsed.system.connectionDeviceId;
    this.connectionModuleId = parsed.system.connectionModuleId;
  }
}

/** What a handler of messages gets beside the message. */
export type HandlerContext = {
  /** Aborted when the handler's time (`messageTimeoutMs`) is over or the client is closed. */
  readonly signal: AbortSignal;
};

/**
 * Takes one message. When it returns, or its promise is fulfilled, the message is completed; when it throws, the message is
 * left in the hub's queue and comes again: MQTT has no negative answer. While it runs, the message is not handed over again,
 * whatever the hub repeats.
 */
export type C2dHandler<Message extends C2dMessage = C2dMessage> = (
  message: Message,
  context: HandlerContext,
) => void | Promise<void>;

/** A bag the hub should never send must not cost the body: the message then has no properties. */
export function readableProperties(bag: string): MessageProperties {
  try {
    return parseC2dProperties(bag);
  } catch {
    return { system: {}, application: emptyApplicationProperties() };
  }
}
