import { by, type Shown } from "./evidence.ts";

/** A point on which Azure's documentation is silent or contradicts itself: what Hubwire does, and how to change it. */
export type Choice = {
  point: string;
  choice: string;
  /** An option of `createHub`, with the command's name for it; undefined when there is none. */
  option: string | undefined;
  shown: readonly Shown[];
};

const { hub, vectors } = by;

export const choices: readonly Choice[] = [
  {
    point: "SUBSCRIBE to a filter the hub does not serve",
    choice:
      "The connection closes, as maintainers of Microsoft's middleware say; lenient: SUBACK 0x80.",
    option: '`mode: "lenient"`, `--lenient`',
    shown: hub.mqtt(
      "strict: filter %s closes the connection",
      "lenient: filter %s is refused with 0x80, the others are granted",
    ),
  },
  {
    point: "PUBLISH to a topic the hub does not serve",
    choice: "The connection closes; lenient: acknowledged and ignored, with one line in the log.",
    option: '`mode: "lenient"`, `--lenient`',
    shown: hub.mqtt("lenient: a foreign topic is acknowledged, ignored and told once"),
  },
  {
    point: "CONNACK code for each reason of refusal",
    choice:
      "5 for everything about who it is; 1 for another protocol level, 2 for an empty client id, 3 when the hub is busy, stopping or cannot store.",
    option: undefined,
    shown: hub.mqtt(
      "%s: CONNACK, close, and exactly one line",
      "a store that fails during CONNECT is CONNACK 3, and the next try succeeds",
    ),
  },
  {
    point: "Whether a new key or thumbprint closes a connection made with the other one",
    choice:
      "No: a connection lasts as long as the credential that let it in, and is closed at once with it; one let in by a policy, while the device is registered for keys.",
    option: undefined,
    shown: hub.mqtt(
      "a credential in use that is kept, %s: the connection goes on",
      "by a thumbprint, and %s: it goes on",
      "by a policy of the hub, and the device's keys are replaced: it goes on",
      "re-keying a device leaves its modules alone",
    ),
  },
  {
    point: "Whether CleanSession 1 deletes queued cloud-to-device messages",
    choice: "It does, as Microsoft's embedded guide says.",
    option: undefined,
    shown: hub.mqtt("clean=1 empties the queue at CONNECT"),
  },
  {
    point: "Whether messages are queued for a device that never connected",
    choice: "Always, as over AMQP and HTTPS.",
    option: undefined,
    shown: hub.mqtt("messages wait for a device that is away, in order"),
  },
  {
    point: "Delivery before SUBSCRIBE on a resumed session",
    choice: "Right after CONNACK.",
    option: undefined,
    shown: hub.mqtt(
      "what was not acknowledged comes again after a reconnect: same id, DUP, before any SUBSCRIBE",
    ),
  },
  {
    point: "How long a session outlives its token (5 or 10 minutes)",
    choice: "300 s.",
    option: "`expiryGraceS` 0 to 600, `--expiry-grace`",
    shown: hub.mqtt("the session is cut when the token and its grace are over"),
  },
  {
    point: "How far a token may be past its expiry at CONNECT",
    choice: "300 s, the documented clock difference.",
    option: "`clockToleranceS`, `--clock-tolerance`",
    shown: hub.auth("tolerance %d s, expiry %d s from now"),
  },
  {
    point: "MQTT when the daily quota is used up",
    choice: "There are no quotas.",
    option: undefined,
    shown: [],
  },
  {
    point: "413 or 400 for a twin that is too large",
    choice: "413001 for size, 400004 for keys, depth, strings and numbers.",
    option: undefined,
    shown: hub.rest("PATCH of a twin with %s"),
  },
  {
    point: "A method answer that is not JSON",
    choice: "The caller gets 502.",
    option: undefined,
    shown: hub.methods("an answer that is %s is a bad response"),
  },
  {
    point: "A method answer on a malformed topic",
    choice: "Ignored; acknowledged if it was QoS 1.",
    option: undefined,
    shown: hub.mqtt("a malformed method answer is ignored, and acknowledged if QoS 1"),
  },
  {
    point: "PUT of a twin with a section left out",
    choice: "That section stays as it is.",
    option: undefined,
    shown: by.protocol.twin("replacing one section leaves the other as it is"),
  },
  {
    point: "How soon `connectionState` follows",
    choice: "At once; Azure takes minutes.",
    option: undefined,
    shown: hub.mqtt("presence follows the connection"),
  },
  {
    point: "What the device is told when desired properties are replaced",
    choice: "The whole new section with `$version`.",
    option: undefined,
    shown: hub.twins("a replacement notifies the whole desired section"),
  },
  {
    point: "A report whose `$version` is not the current one",
    choice: "412.",
    option: undefined,
    shown: hub.twins(
      "a reported patch with %s is refused with a JSON body and changes nothing",
      "a reported patch with the right base version is applied",
    ),
  },
  {
    point: "A name twice in a property bag",
    choice: "The last one wins.",
    option: undefined,
    shown: vectors.bag("last of a repeat wins"),
  },
  {
    point: "TLS 1.3",
    choice: "Offered beside 1.2.",
    option: undefined,
    shown: by.tls("TLS 1.2 is spoken with who speaks nothing newer"),
  },
  {
    point: "The limit of five topic filters",
    choice: "The sixth closes the connection; lenient: 100, then SUBACK 0x80.",
    option: '`mode: "lenient"`, `--lenient`; `limits.mqtt.filtersMax`',
    shown: hub.mqtt(
      "strict: the sixth filter closes the connection, and repeating the first five does not",
      "lenient: filters are bounded all the same",
    ),
  },
  {
    point: "Event Hubs receivers with a lower epoch",
    choice: "Refused with `amqp:link:stolen`.",
    option: undefined,
    shown: hub.amqp(
      "the same or a higher level takes the partition; a lower one and none are refused",
    ),
  },
  {
    point: "Event Hubs receivers that start behind the newest event",
    choice: "Refused with `com.microsoft:argument-out-of-range`, naming the newest.",
    option: undefined,
    shown: hub.amqp("the position %s is refused"),
  },
  {
    point: "NOT of a test that has no meaning (a missing member, other types)",
    choice: "No meaning either, so it does not pass; AND and OR know three values.",
    option: undefined,
    shown: vectors.query("NOT of undefined", "undefined OR true", "NOT (undefined AND false)"),
  },
  {
    point: "The name of a query's column without AS",
    choice:
      "The last name of its path; `$1`, `$2` … for aggregates and functions. Two of one name are refused.",
    option: undefined,
    shown: vectors.query(
      "columns, named by the last part of the path",
      "an aggregate without alias",
      "two columns of one name",
    ),
  },
  {
    point: "Aggregates of members that are missing or of another type",
    choice:
      "They do not count; MIN and MAX look at strings where there are no numbers; without anything to look at the column is left out.",
    option: undefined,
    shown: vectors.query("numbers only", "the least of texts", "COUNT of none"),
  },
  {
    point: "GROUP BY of devices without the attribute",
    choice: "A group of their own, whose row has no such column.",
    option: undefined,
    shown: vectors.query("groups"),
  },
  {
    point: "Pages of a query beyond 100 items",
    choice: "Up to 1,000 when asked for; larger numbers are taken for 1,000.",
    option: undefined,
    shown: hub.query("the last page says nothing of another, also when it is full"),
  },
  {
    point: "Queries over `devices.jobs` while there are no jobs",
    choice: "An empty page of `DeviceJob`.",
    option: undefined,
    shown: hub.query("there are no jobs, and asking for them is no mistake"),
  },
  {
    point: "404010 or 404001 for a module that does not exist",
    choice: "Methods: 404010. Twins: 404001, as live hubs answer.",
    option: undefined,
    shown: [
      ...hub.rest("method calls to unknown devices and modules have codes of their own"),
      ...hub.twins("unknown devices and modules are both answered 404001"),
    ],
  },
  {
    point: "Time to CONNECT after the TLS handshake",
    choice: "30 s for the whole packet.",
    option: "`limits.mqtt.connectTimeoutMs`",
    shown: hub.mqtt("a client that sends nothing is closed after 30 s"),
  },
  {
    point: "A bulk operation some of whose elements failed",
    choice:
      "400 with the result as its body and BulkRegistryOperationFailure (400013) in the header; the others are carried out.",
    option: undefined,
    shown: hub.rest("%s of %s with etag %s is %s"),
  },
  {
    point: "A bulk operation that cannot be read, names a device twice or has over 100 elements",
    choice:
      "Refused as a whole: ArgumentInvalid, 400011 DeviceDefinedMultipleTimes, 413002 TooManyDevices. An element without `importMode` is to be created.",
    option: undefined,
    shown: hub.rest("a bulk with %s is refused as a whole"),
  },
  {
    point: "An `If-Match` that is no etag (a list, a lone quote)",
    choice: "412, like any that does not match.",
    option: undefined,
    shown: hub.rest("%s refuses an etag that is %s"),
  },
  {
    point: "Calls of features that this hub does not have",
    choice: "404 with FeatureNotSupported (404013), whoever asks.",
    option: undefined,
    shown: hub.rest("%s %s is answered that this hub has no %s"),
  },
];
