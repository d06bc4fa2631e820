/**
 * What becomes of every call when the hub misbehaves: the expectation of `faults.test.ts`, and the source of the page
 * `docs/faults.md`. Data only.
 */

/** The public calls that wait for something, in the order of `Fault.outcomes`. */
export const callNames = [
  "connect",
  "sendTelemetry, QoS 1",
  "sendTelemetry, QoS 0",
  "sendTelemetryBatch",
  "sendAll",
  "enqueue",
  "getTwin",
  "followTwin",
  "reportProperties",
  "desiredProperties, first",
  "messages, first",
  "rotateCredentials",
  "close",
] as const;
export type CallName = (typeof callNames)[number];

/** "value", or the code a call rejects with. */
type Outcomes = readonly string[];

/** Shorthands for rows, in the order of `callNames`. */
const offline = (connect: string, rotate = "call.timeout"): Outcomes => [
  connect,
  ...Array<string>(4).fill("call.timeout"),
  // Accepted, and sent when the hub is well again.
  "value",
  ...Array<string>(3).fill("call.timeout"),
  "call.aborted",
  "call.aborted",
  rotate,
  "value",
];
const telemetry = (failing: string, qos0: string): Outcomes => [failing, qos0, failing, failing];
const fine: Outcomes = Array<string>(4).fill("value");
/** getTwin, followTwin, reportProperties, desiredProperties. */
type TwinOutcomes = readonly [string, string, string, string];
const twinFine: TwinOutcomes = ["value", "value", "value", "value"];
const twinLate: TwinOutcomes = ["call.timeout", "call.timeout", "call.timeout", "call.aborted"];
const connected = (sends: Outcomes, twin: TwinOutcomes, messages = "call.aborted"): Outcomes => [
  "value",
  ...sends,
  "value",
  ...twin,
  messages,
  "value",
  "value",
];

export const faultGroups = [
  {
    title: "Making a connection",
    faults: [
      {
        name: "no stream opens",
        client: "Gives an attempt up after `attemptTimeoutMs`, and tries again with back-off.",
        outcomes: offline("device.connect_timeout"),
        status: ["device.attempt_timeout"],
      },
      {
        name: "the stream is refused",
        client: "Tries again with back-off.",
        outcomes: offline("device.connect_timeout"),
        status: ["transport.refused"],
      },
      {
        name: "accepts and says nothing",
        client: "Gives an attempt up after `attemptTimeoutMs`, and tries again with back-off.",
        outcomes: offline("device.connect_timeout"),
        status: ["device.attempt_timeout"],
      },
      {
        name: "closes at CONNECT",
        client: "Tries again with back-off.",
        outcomes: offline("device.connect_timeout"),
        status: ["device.connection_lost"],
      },
      {
        name: "closes after CONNACK",
        client:
          "Tries again with back-off, which grows because no connection lasts; the fourth time in a row it names a second client, and slows down.",
        outcomes: connected(telemetry("call.timeout", "value"), twinLate),
        status: ["device.connection_lost", "device.kicked_out"],
      },
      {
        name: "CONNACK 1",
        client:
          "First connection: `connect()` fails at once. Later: tries again, slowly, up to `retry.refusalsMax` times.",
        outcomes: offline("device.refused_protocol_version"),
        status: ["device.refused_protocol_version"],
      },
      {
        name: "CONNACK 2",
        client: "As CONNACK 1.",
        outcomes: offline("device.refused_identifier", "device.rotation_refused"),
        status: ["device.refused_identifier"],
      },
      {
        name: "CONNACK 3",
        client: "Takes it for throttling: tries again at the slow pace.",
        outcomes: offline("device.connect_timeout"),
        status: ["device.refused_unavailable"],
      },
      {
        name: "CONNACK 4",
        client: "As CONNACK 1.",
        outcomes: offline("device.refused_credentials", "device.rotation_refused"),
        status: ["device.refused_credentials"],
      },
      {
        name: "CONNACK 5",
        client:
          "As CONNACK 1, with a fresh token each time; other credentials and the provisioning service are tried if there are any.",
        outcomes: offline("device.refused_not_authorized", "device.rotation_refused"),
        status: ["device.refused_not_authorized"],
      },
      {
        name: "CONNACK 200",
        client: "As CONNACK 1.",
        outcomes: offline("device.refused_unknown"),
        status: ["device.refused_unknown"],
      },
      {
        name: "answers CONNECT with PINGRESP",
        client: "Closes, and tries again with back-off.",
        outcomes: offline("device.connect_timeout"),
        status: ["mqtt.connack_expected"],
      },
      {
        name: "answers CONNECT with HTTP",
        client:
          "Closes. First connection: `connect()` fails at once, because this is no MQTT server.",
        outcomes: offline("mqtt.flags_reserved"),
        status: ["mqtt.flags_reserved"],
      },
    ],
  },
  {
    title: "Broken MQTT",
    faults: [
      {
        name: "256 MB length prefix for CONNACK",
        client: "Closes at the length prefix; nothing is reserved for it.",
        outcomes: offline("mqtt.packet_too_large"),
        status: ["mqtt.packet_too_large"],
      },
      {
        name: "256 MB length prefix",
        client: "Closes at the length prefix; nothing is reserved for it.",
        outcomes: connected(telemetry("call.timeout", "device.connection_lost"), twinLate),
        status: ["mqtt.packet_too_large"],
      },
      {
        name: "a length of five bytes",
        client: "Closes, and connects again.",
        outcomes: connected(telemetry("call.timeout", "device.connection_lost"), twinLate),
        status: ["mqtt.remaining_length_malformed"],
      },
      {
        name: "a packet only clients send",
        client: "Closes, and connects again.",
        outcomes: connected(telemetry("call.timeout", "device.connection_lost"), twinLate),
        status: ["mqtt.packet_wrong_direction"],
      },
      {
        name: "PUBLISH with QoS 2",
        client: "Closes, and connects again: IoT Hub has no QoS 2.",
        outcomes: connected(telemetry("call.timeout", "device.connection_lost"), twinLate),
        status: ["mqtt.qos2"],
      },
      {
        name: "a topic that is no UTF-8",
        client: "Closes, and connects again.",
        outcomes: connected(telemetry("call.timeout", "device.connection_lost"), twinLate),
        status: ["mqtt.string_not_utf8"],
      },
    ],
  },
  {
    title: "Acknowledgements",
    faults: [
      {
        name: "never acknowledges a message",
        client:
          "After `retryIntervalMs` takes the connection for dead, connects again and sends again.",
        outcomes: connected(telemetry("call.timeout", "value"), twinFine),
        status: ["device.ack_timeout"],
      },
      {
        name: "acknowledges what was not sent",
        client: "Ignores it.",
        outcomes: connected(fine, twinFine),
        status: [],
      },
      {
        name: "acknowledges twice",
        client: "Ignores the second.",
        outcomes: connected(fine, twinFine),
        status: [],
      },
      {
        name: "throttles telemetry: acknowledges late, then closes",
        client: "Connects again and sends again.",
        outcomes: connected(telemetry("call.timeout", "value"), twinFine),
        status: ["device.connection_lost"],
      },
      {
        name: "closes at PUBLISH",
        client: "Connects again and sends again; the fourth time in a row it slows down.",
        outcomes: connected(telemetry("call.timeout", "value"), twinLate),
        status: ["device.connection_lost", "device.kicked_out"],
      },
    ],
  },
  {
    title: "Subscriptions",
    faults: [
      {
        name: "never answers SUBSCRIBE",
        client:
          "After `retryIntervalMs` takes the connection for dead and connects again; telemetry does not depend on it.",
        outcomes: connected(fine, twinLate),
        status: ["device.ack_timeout"],
      },
      {
        name: "refuses every SUBSCRIBE",
        client:
          "Rejects what needs it; asks again when somebody needs it again, and after the next connect.",
        outcomes: connected(
          fine,
          [
            "device.subscription_refused",
            "device.subscription_refused",
            "device.subscription_refused",
            "device.subscription_refused",
          ],
          "device.subscription_refused",
        ),
        status: ["device.subscription_refused"],
      },
      {
        name: "SUBACK with too many codes",
        client: "Closes, and connects again.",
        outcomes: connected(fine, twinLate),
        status: ["mqtt.suback_malformed"],
      },
      {
        name: "closes at SUBSCRIBE",
        client: "Connects again and asks again.",
        outcomes: connected(fine, twinLate),
        status: ["device.connection_lost", "device.kicked_out"],
      },
    ],
  },
  {
    title: "Device twin",
    faults: [
      {
        name: "never answers a twin request",
        client: "Waits until the call's deadline.",
        outcomes: connected(fine, twinLate),
        status: [],
      },
      {
        name: "answers twin requests after a minute",
        client: "Ignores what comes after the call's deadline.",
        outcomes: connected(fine, twinLate),
        status: [],
      },
      {
        name: "answers twin requests twice",
        client: "Ignores the second.",
        outcomes: connected(fine, twinFine),
        status: [],
      },
      {
        name: "answers twin requests out of order",
        client: "Matches them by request id.",
        outcomes: connected(fine, twinFine),
        status: [],
      },
      {
        name: "answers twin requests with garbage",
        client: "Rejects the call; what follows the twin by itself asks again later.",
        outcomes: connected(fine, [
          "twin.bad_answer",
          "call.timeout",
          "twin.bad_answer",
          "call.aborted",
        ]),
        status: [],
      },
      {
        name: "answers twin requests nobody made",
        client: "Ignores them.",
        outcomes: connected(fine, twinLate),
        status: [],
      },
      {
        name: "answers twin requests with 400",
        client: "Rejects the call with the hub's words.",
        outcomes: connected(fine, [
          "device.twin_refused",
          "device.twin_refused",
          "device.twin_refused",
          "device.twin_refused",
        ]),
        status: [],
      },
      {
        name: "throttles twin requests (429)",
        client:
          "Sends fewer for a while. `getTwin` rejects; what can be repeated is repeated until its deadline.",
        outcomes: connected(fine, [
          "device.twin_throttled",
          "call.timeout",
          "call.timeout",
          "call.aborted",
        ]),
        status: [],
      },
      {
        name: "fails twin requests (500)",
        client: "Rejects the call; what follows the twin by itself asks again later.",
        outcomes: connected(fine, [
          "device.twin_unavailable",
          "call.timeout",
          "device.twin_unavailable",
          "call.aborted",
        ]),
        status: [],
      },
    ],
  },
  {
    title: "News nobody asked for",
    faults: [
      {
        name: "messages before SUBACK",
        client: "Takes them: a hub that kept the session delivers at once.",
        outcomes: connected(fine, twinFine, "value"),
        status: [],
      },
      {
        name: "topics nobody asked for",
        client: "Ignores them.",
        outcomes: connected(fine, twinFine),
        status: [],
      },
      {
        name: "desired properties that are no JSON",
        client: "Ignores them, and reads the twin.",
        outcomes: connected(fine, twinFine),
        status: [],
      },
      {
        name: "a method call that is no JSON",
        client: "Answers 400.",
        outcomes: connected(fine, twinFine),
        status: [],
      },
    ],
  },
] as const satisfies readonly {
  title: string;
  faults: readonly {
    /** What the hub does. */
    name: string;
    /** What the client does about it. */
    client: string;
    outcomes: Outcomes;
    /** The codes `status()` names while it lasts, in the order they come. */
    status: readonly string[];
  }[];
}[];

export type FaultName = (typeof faultGroups)[number]["faults"][number]["name"];
