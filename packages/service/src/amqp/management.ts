import { randomUUID } from "node:crypto";
import type { EventContext } from "rhea";
import { IotError } from "@hubwire/protocol";
import type { Deadline } from "../waiting.ts";
import { audienceOf, eventHubsToken } from "./event-hubs.ts";
import type { EventHubsAddress } from "./event-hubs.ts";
import type { AmqpConnection } from "./connection.ts";

export type PartitionProperties = {
  partitionId: string;
  beginningSequenceNumber: number;
  /** -1 when there never was one. */
  lastEnqueuedSequenceNumber: number;
  lastEnqueuedOffset: string;
  lastEnqueuedTime: Date | undefined;
  isEmpty: boolean;
};

/** Reads what the `$management` node says of an event hub. */
export class Management {
  readonly #connection: AmqpConnection;
  readonly #address: EventHubsAddress;

  constructor(connection: AmqpConnection, address: EventHubsAddress) {
    this.#connection = connection;
    this.#address = address;
  }

  async partitionIds(deadline: Deadline): Promise<string[]> {
    const body = await this.#read({ type: "com.microsoft:eventhub" }, deadline);
    const ids: unknown = body["partition_ids"];
    if (Array.isArray(ids)) return ids.map(String);
    throw new IotError("service.bad_answer", "The hub names no partitions");
  }

  async partition(partitionId: string, deadline: Deadline): Promise<PartitionProperties> {
    const asked = { type: "com.microsoft:partition", partition: partitionId };
    const body = await this.#read(asked, deadline);
    const time: unknown = body["last_enqueued_time_utc"];
    return {
      partitionId,
      beginningSequenceNumber: Number(body["begin_sequence_number"]),
      lastEnqueuedSequenceNumber: Number(body["last_enqueued_sequence_number"]),
      lastEnqueuedOffset: String(body["last_enqueued_offset"]),
      lastEnqueuedTime: time instanceof Date ? time : undefined,
      isEmpty: body["is_partition_empty"] === true,
    };
  }

  async #read(asked: Record<string, string>, deadline: Deadline): Promise<Record<string, unknown>> {
    const { entity } = this.#address;
    const audience = audienceOf(this.#address, "$management");
    const tokenFor = (): Promise<string> => eventHubsToken(this.#address, audience);
    await this.#connection.tokens.put(audience, tokenFor, deadline);
    const replyTo = randomUUID();
    const [receiver, sender] = await Promise.all([
      this.#connection.openReceiver(
        { source: { address: "$management" }, target: { address: replyTo } },
        deadline,
      ),
      this.#connection.openSender({ target: { address: "$management" } }, deadline),
    ]);
    let forget = (): void => {};
    try {
      const whole = audience.replace(/\/\$management$/u, "");
      const token = await eventHubsToken(this.#address, whole);
      const answered = new Promise<EventContext>((resolve, reject) => {
        forget = this.#connection.onLost(reject);
        receiver.once("message", resolve);
      });
      sender.send({
        message_id: randomUUID(),
        reply_to: replyTo,
        application_properties: {
          operation: "READ",
          name: entity,
          security_token: token,
          ...asked,
        },
        body: Buffer.from("[]"),
      });
      const { message } = await deadline.race(answered);
      const facts = (message?.application_properties ?? {}) as Record<string, unknown>;
      const status = Number(facts["status-code"] ?? facts["statusCode"]);
      if (status >= 200 && status < 300) return (message?.body ?? {}) as Record<string, unknown>;
      const description: unknown = facts["status-description"];
      const why = typeof description === "string" ? description : "";
      throw new IotError(
        status === 401 ? "service.unauthorized" : "service.unknown_address",
        `The hub does not describe ${entity}: ${status} ${why}`,
      );
    } finally {
      forget();
      sender.close();
      receiver.close();
    }
  }
}
