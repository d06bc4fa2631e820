import { group } from "./entry.ts";

/** What the command and service-side callers run into. */
export const serviceErrors = group({
  "cli.no_hub": {
    retryable: false,
    summary: "The command does not know which hub to talk to.",
    remedy:
      "Start one here with `hubwire hub start`, or pass --connection-string, or set IOTHUB_CONNECTION_STRING.",
  },
  "cli.hub_not_running": {
    retryable: true,
    summary: "There is a hub's data in the directory, and the hub is not running.",
    remedy: "Start it with `hubwire hub start` (with the same --data) and leave it running.",
  },
  "cli.usage": {
    retryable: false,
    summary: "The command's words or options are off.",
    remedy: "See `hubwire --help`, or --help after the command.",
  },
  "service.unreachable": {
    retryable: true,
    summary: "The hub's HTTPS endpoint did not answer.",
    remedy:
      "Check that the hub runs (its /healthz answers without a token), the host and port, and that its CA is passed with --ca.",
  },
  "service.refused": {
    retryable: false,
    summary: "The hub answered a service call with an error.",
    remedy:
      "Act on the hub's own words in the message; the error reference explains each of its codes.",
  },
  "service.unauthorized": {
    retryable: false,
    summary: "The hub did not accept the policy's token.",
    remedy:
      "Check the policy's name, its key and its permissions, and this machine's clock; keys may have been renewed.",
  },
  "service.unavailable": {
    retryable: true,
    summary: "The hub answered that it cannot serve at the moment.",
    remedy: "Try again with back-off; if it lasts, look at the hub's health.",
  },
  "service.bad_answer": {
    retryable: false,
    summary: "What answered is not an IoT Hub, or its answer cannot be read.",
    remedy:
      "Check the host and port in the connection string, and whether a proxy stands in between.",
  },
  "service.message_rejected": {
    retryable: false,
    summary: "The hub settled a message with something other than accepted.",
    remedy: "Act on the condition in the message; the message was not queued.",
  },
  "service.lock_lost": {
    retryable: false,
    summary: "A feedback batch was settled after its lock had ended.",
    remedy: "Settle batches sooner after receiving them; this one comes again.",
  },
  "service.link_closed": {
    retryable: true,
    summary: "The hub closed an AMQP link or connection, or it was lost.",
    remedy:
      "Nothing to do for readers, which come back by themselves; send the message again otherwise.",
  },
  "service.link_stolen": {
    retryable: false,
    summary: "Another reader with a higher or equal epoch took over this partition.",
    remedy:
      "Let one reader own a partition in a consumer group, or read in a consumer group of your own.",
  },
  "service.unknown_address": {
    retryable: false,
    summary: "The hub has no such partition, consumer group or event stream.",
    remedy: "Check the EntityPath, the consumer group's name and the partition id.",
  },
});
