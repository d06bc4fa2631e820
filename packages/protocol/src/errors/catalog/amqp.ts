import { group } from "./entry.ts";

/** What goes wrong on an AMQP connection of the hub. The peer sees the AMQP condition, the log sees these. */
export const amqpErrors = group({
  "amqp.bad_frame": {
    retryable: false,
    summary: "An AMQP frame is larger than announced, too small, or cannot be read.",
    remedy: "Keep to the max-frame-size of the hub's open, and speak AMQP 1.0 on this port.",
  },
  "amqp.limit": {
    retryable: true,
    summary:
      "An AMQP peer wants more sessions, links, tokens or open deliveries than there may be.",
    remedy: "Close what is no longer used, and settle what was delivered.",
    http: { status: 403, code: 403005, name: "IotHubMaxCbsTokenExceeded" },
  },
  "amqp.address_unknown": {
    retryable: false,
    summary: "A link was attached to an address this hub does not have.",
    remedy:
      "Check the address, the Event Hubs entity (EntityPath), the consumer group and the partition.",
    http: { status: 404, code: 404006, name: "AmqpAddressNotFound" },
  },
  "amqp.idle": {
    retryable: true,
    summary: "An AMQP peer was silent for too long, or sent no good token in time.",
    remedy: "Send empty frames within half the announced idle time-out; put a token after opening.",
  },
  "amqp.receiver_stolen": {
    retryable: false,
    summary: "Another reader with the same or a higher owner level took the partition.",
    remedy: "Let one reader own a partition, or raise its ownerLevel.",
    http: { status: 409, code: 409002, name: "LinkCreationConflict" },
  },
  "amqp.out_of_range": {
    retryable: false,
    summary: "A reader named a partition that is not there, or a position behind the newest event.",
    remedy:
      "Forget the stored position: after a hub was made anew, offsets and sequence numbers begin anew.",
    http: { status: 400, code: 400004, name: "ArgumentInvalid" },
  },
  "events.consumer_group_unknown": {
    retryable: false,
    summary: "There is no consumer group of this name.",
    remedy: "Create the consumer group first; $Default always exists.",
    http: { status: 404, code: 404000, name: "GenericNotFound" },
  },
  "events.consumer_groups_full": {
    retryable: false,
    summary: "The hub has as many consumer groups as it may have.",
    remedy: "Delete one that is no longer read; there may be 20 beside $Default.",
    http: { status: 403, code: 403000, name: "GenericForbidden" },
  },
});
