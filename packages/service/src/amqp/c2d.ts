import { randomUUID } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import rhea from "rhea";
import type { Delivery, EventContext, Message, Sender } from "rhea";
import { IotError, percentEncode } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import { idsOf } from "../rest/paths.ts";
import type { Ref } from "../types.ts";
import type { Deadline } from "../waiting.ts";
import { conditionError } from "./conditions.ts";
import type { Condition } from "./conditions.ts";
import { errorOf } from "./connection.ts";
import type { AmqpConnection } from "./connection.ts";

export type C2dMessage = {
  /** Text is sent as UTF-8. */
  body: string | Uint8Array;
  /** Default a random one: feedback names messages by it. */
  messageId?: string;
  correlationId?: string;
  userId?: string;
  contentType?: string;
  contentEncoding?: string;
  /** When the hub gives up. Default the hub's own, an hour. */
  expiresAt?: Date;
  /** Which outcomes come back as feedback. Default none. */
  ack?: "none" | "positive" | "negative" | "full";
  /** Application properties. */
  properties?: Readonly<Record<string, string>>;
};

const known: Readonly<Record<string, ErrorCode>> = {
  "amqp:not-found": "device.not_found",
  "amqp:resource-limit-exceeded": "quota.queue_full",
};

type Settle = { resolve: () => void; reject: (error: IotError) => void };

/** The link that cloud-to-device messages leave by; one for a connection, for all devices. */
export class C2dSender {
  readonly #sender: Sender;
  readonly #connection: AmqpConnection;
  readonly #open = new Map<Delivery, Settle>();

  static async open(connection: AmqpConnection, deadline: Deadline): Promise<C2dSender> {
    const target = "/messages/devicebound";
    return new C2dSender(connection, await connection.openSender({ target }, deadline));
  }

  private constructor(connection: AmqpConnection, sender: Sender) {
    this.#connection = connection;
    this.#sender = sender;
    const settle = (context: EventContext, error?: IotError): void => {
      const { delivery } = context;
      const waiting = delivery && this.#open.get(delivery);
      if (delivery === undefined || waiting === undefined) return;
      this.#open.delete(delivery);
      if (error === undefined) waiting.resolve();
      else waiting.reject(error);
    };
    sender
      .on("accepted", settle)
      .on("rejected", (context: EventContext) => settle(context, rejection(context)))
      .on("released", (context: EventContext) => settle(context, notTaken("released")))
      .on("modified", (context: EventContext) => settle(context, notTaken("modified")));
    const end = (error: IotError): void => {
      for (const { reject } of this.#open.values()) reject(error);
      this.#open.clear();
    };
    const closed = (): void =>
      end(connection.refusal("The hub closed the link for messages", errorOf(sender)));
    sender.on("sender_error", closed).on("sender_close", closed);
    connection.onLost(end);
  }

  get isUsable(): boolean {
    return !this.#connection.isLost && !this.#sender.is_closed();
  }

  /** Resolves when the hub has accepted the message, which then is on its disk. */
  async send(ref: Ref, message: C2dMessage, deadline: Deadline): Promise<{ messageId: string }> {
    const messageId = message.messageId ?? randomUUID();
    const wire = wireOf(ref, message, messageId);
    while (!this.#sender.sendable() && this.isUsable) {
      // oxlint-disable-next-line no-await-in-loop -- until there is credit
      await deadline.race(this.#sendable());
    }
    if (!this.isUsable) {
      throw new IotError("service.link_closed", "The link for messages is closed");
    }
    const delivery = this.#sender.send(wire);
    const settled = new Promise<void>((resolve, reject) => {
      this.#open.set(delivery, { resolve, reject });
    });
    try {
      await deadline.race(settled);
    } finally {
      this.#open.delete(delivery);
    }
    return { messageId };
  }

  #sendable(): Promise<void> {
    return new Promise((resolve, reject) => {
      const forget = this.#connection.onLost(reject);
      const done = (): void => {
        forget();
        resolve(turn());
      };
      this.#sender.once("sendable", done);
      this.#sender.once("sender_close", done);
    });
  }
}

function wireOf(ref: Ref, message: C2dMessage, messageId: string): Message {
  const { body, correlationId, userId, contentType, contentEncoding, expiresAt, ack } = message;
  const bytes = typeof body === "string" ? Buffer.from(body) : Buffer.from(body);
  return {
    message_id: messageId,
    to: addressOf(ref),
    ...(correlationId === undefined ? {} : { correlation_id: correlationId }),
    // rhea's declaration says text; the wire says bytes.
    ...(userId === undefined ? {} : { user_id: Buffer.from(userId) as unknown as string }),
    ...(contentType === undefined ? {} : { content_type: contentType }),
    ...(contentEncoding === undefined ? {} : { content_encoding: contentEncoding }),
    ...(expiresAt === undefined ? {} : { absolute_expiry_time: expiresAt }),
    application_properties: {
      ...message.properties,
      ...(ack === undefined ? {} : { "iothub-ack": ack }),
    },
    body: rhea.message.data_section(bytes) as unknown,
  };
}

function addressOf(ref: Ref): string {
  const { deviceId, moduleId } = idsOf(ref);
  const device = encode(deviceId);
  const to = moduleId === undefined ? device : `${device}/modules/${encode(moduleId)}`;
  return `/devices/${to}/messages/devicebound`;
}

function encode(id: string): string {
  const encoded = typeof id === "string" && id !== "" ? percentEncode(id) : undefined;
  if (encoded === undefined) throw new IotError("identity.bad_id", "An id is missing");
  return encoded;
}

function rejection({ delivery }: EventContext): IotError {
  const state = delivery?.remote_state as { error?: Condition } | undefined;
  return conditionError("The hub did not take the message", state?.error, {
    known,
    otherwise: "service.message_rejected",
  });
}

const notTaken = (outcome: string): IotError =>
  new IotError("service.message_rejected", `The hub settled the message as ${outcome}`);
