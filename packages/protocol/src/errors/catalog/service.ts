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
});
