import { group } from "./entry.ts";

/** What goes wrong between a device client and the handlers of its application, and in reports. */
export const deviceCallErrors = group({
  // Direct methods. All but the last are also in the body of the answer: `{"code":…,"message":…}`.
  "device.method_unknown": {
    retryable: false,
    summary: "A direct method was called that this device does not have (answered 404).",
    remedy: "Check the name, upper and lower case included; register it with onMethod.",
  },
  "device.method_bad_payload": {
    retryable: false,
    summary: "A direct method was called with a payload it cannot take (answered 400 or 413).",
    remedy: "Read the message; send JSON of the shape the method expects, at most 128 KB.",
  },
  "device.method_busy": {
    retryable: true,
    summary: "As many direct methods run on the device as it allows (answered 429).",
    remedy:
      "Call again later; on the device raise methodsConcurrentMax, or let handlers end sooner.",
  },
  "device.method_failed": {
    retryable: false,
    summary: "The handler of a direct method threw (answered 500).",
    remedy: "Read the cause, which the device gives to onError and never sends.",
  },
  "device.method_bad_response": {
    retryable: false,
    summary: "The handler of a direct method returned what cannot be sent (answered 500).",
    remedy: "Return { status, payload }: status a 32-bit integer, payload JSON of at most 128 KB.",
  },
  "device.method_timeout": {
    retryable: true,
    summary: "The handler of a direct method did not finish in its time (answered 504).",
    remedy:
      "Let the handler watch request.signal; answer 202 at once and report the outcome when work takes long; or raise timeoutMs.",
  },

  // Cloud-to-device messages.
  "device.message_handler_timeout": {
    retryable: true,
    summary: "The handler of a cloud-to-device message did not finish within messageTimeoutMs.",
    remedy:
      "Let the handler watch its signal, or raise messageTimeoutMs. The message stays in the hub's queue and comes again.",
  },

  // Reported properties.
  "device.twin_conflict": {
    retryable: false,
    summary: "The reported properties are no longer at the version the patch was made for.",
    remedy: "Read the twin, make the patch anew and report it with the version just read.",
  },
});
