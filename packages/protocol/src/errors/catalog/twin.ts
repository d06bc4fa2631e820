import { group } from "./entry.ts";

const argumentInvalid = { status: 400, code: 400004, name: "ArgumentInvalid" } as const;
const tooLarge = { status: 413, code: 413001, name: "MessageTooLarge" } as const;

/** Twin documents and the JSON they arrive in. */
export const twinErrors = group({
  "json.bad_utf8": {
    retryable: false,
    summary: "A JSON document is not UTF-8 text.",
    remedy: "Encode the text as UTF-8 before sending it.",
    http: argumentInvalid,
  },
  "json.malformed": {
    retryable: false,
    summary: "A document is not valid JSON.",
    remedy: "Send one JSON value: double quotes, no trailing commas, no comments.",
    http: argumentInvalid,
  },
  "json.too_deep": {
    retryable: false,
    summary: "A JSON document is nested more deeply than is accepted.",
    remedy:
      "Flatten it: no more than 10 objects deep in a twin, 128 levels in a method's payload or answer.",
    http: argumentInvalid,
  },
  "json.too_large": {
    retryable: false,
    summary: "A JSON document is longer than is accepted.",
    remedy:
      "Send less: tags take 8 KB, desired and reported properties 32 KB each; leave out what has not changed.",
    http: tooLarge,
  },
  "twin.not_object": {
    retryable: false,
    summary: "Tags, desired and reported properties must be JSON objects.",
    remedy: 'Send an object such as {"temperature": 21}.',
    http: argumentInvalid,
  },
  "twin.bad_key": {
    retryable: false,
    summary: "A key in a twin is empty, over 1 KB or has a character that twins do not allow.",
    remedy: "Use keys without control characters, dots, dollar signs and spaces.",
    http: argumentInvalid,
  },
  "twin.bad_value": {
    retryable: false,
    summary:
      "A value in a twin is not JSON: only booleans, numbers, strings, objects and arrays can be stored.",
    remedy: "Convert the value to one of these types, for instance a date to a string.",
    http: argumentInvalid,
  },
  "twin.string_too_long": {
    retryable: false,
    summary: "A string in a twin is longer than 4 KB of UTF-8.",
    remedy: "Shorten it, or keep the data elsewhere and put a reference into the twin.",
    http: argumentInvalid,
  },
  "twin.integer_out_of_range": {
    retryable: false,
    summary: "An integer in a twin is outside -4503599627370496 to 4503599627370495.",
    remedy: "Send large integers as strings.",
    http: argumentInvalid,
  },
  "twin.too_deep": {
    retryable: false,
    summary: "A twin section is nested more than 10 objects deep.",
    remedy: "Flatten it, or store a deep structure as one string of JSON (at most 4 KB).",
    http: argumentInvalid,
  },
  "twin.too_large": {
    retryable: false,
    summary:
      "A twin section would grow beyond its limit (tags 8 KB, desired and reported 32 KB each).",
    remedy: "Remove properties by setting them to null, or keep large data elsewhere.",
    http: tooLarge,
  },
  "twin.version_mismatch": {
    retryable: false,
    summary: "The twin changed: its version is not the one the patch was made for.",
    remedy: "Read the twin again and make the patch for its new $version.",
    http: { status: 412, code: 412001, name: "PreconditionFailed" },
  },
  "twin.bad_answer": {
    retryable: true,
    summary: "The hub's answer to a twin request is not a twin document.",
    remedy: "Try again; if it stays, look at what answers on the hub's host name.",
  },
});
