import { emptyApplicationProperties, parseC2dProperties } from "@hubwire/protocol";
import type { MessageProperties, SystemProperties } from "@hubwire/protocol";

/**
 * A cloud-to-device message. It stays in the hub's queue until `complete()`; over MQTT it can be neither rejected nor
 * abandoned, only left alone, and then comes again after the hub's lock time-out or the next connect.
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
  /** Whether the hub delivered this message before, perhaps to an earlier run of this program. */
  readonly duplicate: boolean;
  readonly #complete: () => Promise<void>;

  constructor(
    body: Uint8Array,
    parsed: MessageProperties,
    duplicate: boolean,
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
    this.duplicate = duplicate;
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
   * Takes the message out of the hub's queue: sends PUBACK, or answers its repetition when the connection is down.
   * Repeating it is harmless.
   */
  complete(): Promise<void> {
    return this.#complete();
  }
}

/**
 * Takes one message. When it returns, or its promise is fulfilled, the message is completed; when it throws, the message is
 * left in the hub's queue and comes again.
 */
export type C2dHandler = (message: C2dMessage) => void | Promise<void>;

/** A bag the hub should never send must not cost the body: the message then has no properties. */
export function readableProperties(bag: string): MessageProperties {
  try {
    return parseC2dProperties(bag);
  } catch {
    return { system: {}, application: emptyApplicationProperties() };
  }
}
