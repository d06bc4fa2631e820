import { randomUUID } from "node:crypto";
import type { EventContext, Receiver, Sender } from "rhea";
import { IotError } from "@hubwire/protocol";
import { startDeadline } from "../waiting.ts";
import type { Deadline } from "../waiting.ts";
import type { AmqpConnection } from "./connection.ts";

/** Makes a current token for an audience. */
export type TokenFor = () => Promise<string>;

type Pair = { sender: Sender; receiver: Receiver };
type Answer = { status: number; description: string };

/** Tokens live an hour; they are put again well before. */
const renewAfterMs = 45 * 60_000;
const renewTimeoutMs = 60_000;

/**
 * Claims-based security: puts tokens on the `$cbs` node of a connection, and puts them again before they end.
 * @see Azure IoT Hub docs; observed in azure-iothub 1.16 and @azure/event-hubs 6.0
 */
export class TokenDesk {
  readonly #connection: AmqpConnection;
  readonly #standing = new Map<string, TokenFor>();
  readonly #open = new Map<string, (answer: Answer) => void>();
  #pair: Promise<Pair> | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(connection: AmqpConnection) {
    this.#connection = connection;
  }

  /** @throws IotError `service.unauthorized` */
  async put(audience: string, tokenFor: TokenFor, deadline: Deadline): Promise<void> {
    await this.#put(audience, await tokenFor(), deadline);
    this.#standing.set(audience, tokenFor);
    this.#timer ??= setInterval(() => void this.#renew(), renewAfterMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#standing.clear();
  }

  async #put(audience: string, token: string, deadline: Deadline): Promise<void> {
    const { sender } = await (this.#pair ??= this.#attach(deadline));
    const id = randomUUID();
    let forget = (): void => {};
    const answered = new Promise<Answer>((resolve, reject) => {
      forget = this.#connection.onLost(reject);
      this.#open.set(id, resolve);
    });
    sender.send({
      message_id: id,
      to: "$cbs",
      reply_to: "cbs",
      application_properties: {
        operation: "put-token",
        type: token.startsWith("Bearer ") ? "bearer" : "servicebus.windows.net:sastoken",
        name: audience,
      },
      body: token,
    });
    try {
      const { status, description } = await deadline.race(answered);
      if (status >= 200 && status < 300) return;
      throw new IotError(
        status === 404 ? "service.unknown_address" : "service.unauthorized",
        `The hub did not take the token for ${audience}: ${status} ${description}`,
      );
    } finally {
      forget();
      this.#open.delete(id);
    }
  }

  async #attach(deadline: Deadline): Promise<Pair> {
    const [receiver, sender] = await Promise.all([
      this.#connection.openReceiver({ source: "$cbs" }, deadline),
      this.#connection.openSender({ target: "$cbs" }, deadline),
    ]);
    receiver.on("message", ({ message }: EventContext) => {
      const facts = message?.application_properties ?? {};
      const status = Number(facts["status-code"] ?? facts["statusCode"]);
      const description = String(facts["status-description"] ?? "");
      this.#open.get(String(message?.correlation_id))?.({ status, description });
    });
    return { sender, receiver };
  }

  /** A token that cannot be renewed ends at the hub's time, and the connection with it: then everybody starts anew. */
  async #renew(): Promise<void> {
    for (const [audience, tokenFor] of this.#standing) {
      const deadline = startDeadline("Renewing a token", renewTimeoutMs, undefined);
      try {
        // oxlint-disable-next-line no-await-in-loop -- one at a time is soon enough
        await this.#put(audience, await tokenFor(), deadline);
      } catch {
        return;
      } finally {
        deadline.done();
      }
    }
  }
}
