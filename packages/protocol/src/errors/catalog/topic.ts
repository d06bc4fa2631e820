import { group } from "./entry.ts";

/** Topics, filters and the property bags inside them. */
export const topicErrors = group({
  "topic.bad_property_bag": {
    retryable: false,
    summary: "The property bag at the end of a topic cannot be read.",
    remedy: "Percent-encode names and values as UTF-8 and join them as name=value&name=value.",
    http: { status: 400, code: 400004, name: "ArgumentInvalid" },
  },
  "topic.reserved_property": {
    retryable: false,
    summary: "An application property has the name of a system property.",
    remedy:
      "Set the system property instead (messageId, contentType and so on), or choose another name.",
    http: { status: 400, code: 400004, name: "ArgumentInvalid" },
  },
  "topic.bad_property": {
    retryable: false,
    summary:
      "A property has an empty name, or a name or value that is not well-formed Unicode text.",
    remedy: "Give every property a name, and only strings as values; send binary data in the body.",
    http: { status: 400, code: 400004, name: "ArgumentInvalid" },
  },
  "topic.too_long": {
    retryable: false,
    summary: "A topic name would be longer than 65,535 bytes.",
    remedy: "Send fewer or shorter properties; put long values into the body.",
  },
  "topic.bad_part": {
    retryable: false,
    summary: "A request id, method name or status cannot stand in a topic.",
    remedy: "Use text without / + # & ? and control characters, and a 32-bit integer as status.",
  },
  "topic.foreign_publish": {
    retryable: false,
    summary: "A device published to a topic it may not publish to.",
    remedy:
      "Publish to devices/{deviceId}/messages/events/ or an $iothub/ request topic, with the id the connection authenticated as.",
  },
  "topic.foreign_filter": {
    retryable: false,
    summary: "A device subscribed to a topic filter the hub does not serve.",
    remedy:
      "Subscribe to devices/{deviceId}/messages/devicebound/#, $iothub/methods/POST/#, $iothub/twin/res/# or $iothub/twin/PATCH/properties/desired/#.",
  },
  "topic.too_many_filters": {
    retryable: false,
    summary: "A connection subscribed to more topic filters than the hub allows.",
    remedy: "Subscribe only to the documented filters; there are five of them.",
  },
});
