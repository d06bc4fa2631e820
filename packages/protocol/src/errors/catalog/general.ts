import { group } from "./entry.ts";

export const generalErrors = group({
  "call.aborted": {
    retryable: false,
    summary: "The caller's AbortSignal ended the call.",
    remedy: "Nothing to do if you aborted it on purpose; otherwise look at who holds the signal.",
  },
  "call.timeout": {
    retryable: true,
    summary: "The call did not finish before its deadline.",
    remedy:
      "Try again; if the connection is up (see status()), raise the timeout, otherwise look at why it is not.",
  },
  "argument.invalid": {
    retryable: false,
    summary: "An argument has the wrong type or is out of range.",
    remedy: "Correct what the message names; it says which values are taken.",
    http: { status: 400, code: 400004, name: "ArgumentInvalid" },
  },
  "client.closed": {
    retryable: false,
    summary: "The client, hub or store was already closed.",
    remedy: "Open a new one; a closed one does not come back.",
  },
});
