import { IotError } from "@hubwire/protocol";
import { requestCredit } from "../cbs-link.ts";
import { statusOf, toAmqpError } from "../conditions.ts";
import type { LinkHost, LinkService } from "../link.ts";
import type { AmqpParts } from "../parts.ts";
import { rhea } from "../rhea.ts";
import type { RheaMessage, RheaReceiver } from "../rhea.ts";

const stringTypecode = 0xa1;

const needOf = (host: LinkHost) =>
  ({ kind: "entity", path: [host.parts.entity, "$management"] }) as const;

/** Where answers go out. */
export function managementAnswers(host: LinkHost): LinkService {
  const need = needOf(host);
  host.grants.require(need);
  return { need };
}

/** `$management`: READ of the hub's or a partition's runtime information (observed in @azure/event-hubs 6). */
export function managementRequests(host: LinkHost, link: RheaReceiver): LinkService {
  const need = needOf(host);
  host.grants.require(need);
  link.add_credit(requestCredit);
  return {
    need,
    onMessage(message, delivery, isOversize) {
      delivery.accept();
      link.add_credit(1);
      if (isOversize) return;
      const answer = host.replyLink(link, "$management", message.reply_to);
      if (answer === undefined) return;
      host.outgoing(answer).send(answer, answerTo(host.parts, message));
    },
  };
}

function answerTo(parts: AmqpParts, message: RheaMessage): Buffer {
  const face = (status: number, description: string, condition?: string) => ({
    correlation_id: message.message_id,
    application_properties: {
      "status-code": rhea.types.wrap_int(status),
      "status-description": description,
      ...(condition !== undefined && { "error-condition": condition }),
    },
  });
  try {
    return rhea.message.encode({ ...face(200, "OK"), body: read(parts, message) });
  } catch (error) {
    const { condition, description } = toAmqpError(error);
    return rhea.message.encode({ ...face(statusOf(error), description, condition), body: null });
  }
}

function read(parts: AmqpParts, message: RheaMessage): Record<string, unknown> {
  const { operation, type, name, partition } = message.application_properties ?? {};
  if (String(operation).toUpperCase() !== "READ") {
    throw new IotError(
      "argument.invalid",
      `$management has no operation ${JSON.stringify(operation)}`,
    );
  }
  if (String(name).toLowerCase() !== parts.entity.toLowerCase()) {
    throw new IotError("amqp.address_unknown", `There is no entity ${JSON.stringify(name)}`);
  }
  const { types } = rhea;
  if (type === "com.microsoft:eventhub") {
    const ids = Array.from({ length: parts.log.partitionCount }, (_, index) => String(index));
    return {
      name: parts.entity,
      type,
      created_at: types.wrap_timestamp(parts.createdAtMs),
      partition_count: types.wrap_int(ids.length),
      partition_ids: types.wrap_array(ids, stringTypecode, undefined),
      georeplication_factor: types.wrap_int(1),
    };
  }
  if (type !== "com.microsoft:partition") {
    throw new IotError("argument.invalid", `$management reads no ${JSON.stringify(type)}`);
  }
  const index =
    typeof partition === "string" && /^\d{1,4}$/.test(partition) ? Number(partition) : NaN;
  if (!(index < parts.log.partitionCount)) {
    throw new IotError(
      "amqp.out_of_range",
      `The partitions are 0 to ${parts.log.partitionCount - 1}`,
    );
  }
  const info = parts.log.partition(index);
  return {
    name: parts.entity,
    type,
    partition: String(index),
    begin_sequence_number: types.wrap_long(info.firstSequenceNumber),
    last_enqueued_sequence_number: types.wrap_long(info.nextSequenceNumber - 1),
    last_enqueued_offset: String(info.lastOffset),
    last_enqueued_time_utc: types.wrap_timestamp(info.lastEnqueuedTimeMs),
    is_partition_empty: info.nextSequenceNumber === info.firstSequenceNumber,
  };
}
