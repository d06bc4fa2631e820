import { group } from "./entry.ts";

/** What a device client tells its caller. What the hub says about a refused CONNECT is only a number, so remedies list the causes. */
export const deviceErrors = group({
  // CONNACK with a refusal, as a device owner has to read it.
  "device.refused_not_authorized": {
    retryable: false,
    summary:
      "The hub refused the connection: not authorized (CONNACK 5). IoT Hub gives no further reason.",
    remedy:
      "Check in this order: the device exists in this hub and is enabled; hostName is this hub's; the key or certificate is the registered one and of the registered kind; the device's clock is right to within five minutes; the token's resource and expiry.",
  },
  "device.refused_credentials": {
    retryable: false,
    summary: "The hub refused the connection: bad user name or password (CONNACK 4).",
    remedy:
      "Leave username and password out so that they are computed, or check their form against the message.",
  },
  "device.refused_identifier": {
    retryable: false,
    summary: "The hub refused the client id (CONNACK 2).",
    remedy:
      "Leave clientId out, or set it to the device id (for a module deviceId/moduleId) in the registered upper and lower case.",
  },
  "device.refused_protocol_version": {
    retryable: false,
    summary: "The server does not speak MQTT 3.1.1 (CONNACK 1).",
    remedy: "Check that hostName and port belong to an IoT Hub.",
  },
  "device.refused_unavailable": {
    retryable: true,
    summary: "The hub is busy, throttling new connections or starting (CONNACK 3).",
    remedy: "Nothing: the client tries again with back-off. If it lasts, check the hub's quota.",
  },
  "device.refused_unknown": {
    retryable: false,
    summary:
      "The server refused the connection with a return code that MQTT 3.1.1 does not define.",
    remedy: "Check that hostName and port belong to an IoT Hub.",
  },

  // The connection.
  "device.connect_timeout": {
    retryable: true,
    summary: "connect() did not reach the hub before connectTimeoutMs.",
    remedy:
      "Read the cause; raise connectTimeoutMs, or pass waitForConnection: false to start while offline.",
  },
  "device.attempt_timeout": {
    retryable: true,
    summary: "One attempt to connect took longer than attemptTimeoutMs.",
    remedy:
      "Nothing: the client tries again. If it lasts, check that port 8883 is open on the way to the hub.",
  },
  "device.connection_lost": {
    retryable: true,
    summary: "The connection ended without a word from the hub.",
    remedy:
      "Nothing: the client reconnects. If it happens right after each connect, look for a second client with the same device id, or for a topic the hub does not serve in its tier.",
  },
  "device.kicked_out": {
    retryable: true,
    summary:
      "Again and again the hub closed a fresh connection without a word: as it seems, another client connects with the same device id.",
    remedy:
      "Find the second client: a second process, a copied image, a test with a real connection string. A hub lets one connection per identity live, so give each its own id. If there is none, look for a publish the hub does not take in its tier, or a spent daily quota: the hub closes without a word for these too.",
  },
  "device.gave_up": {
    retryable: false,
    summary: "The client stopped trying to connect, as the option retry told it to.",
    remedy:
      "Read the cause; make a new client, or raise retry.budgetMs, retry.attemptsMax or what retry.shouldRetry allows. Without them a client tries for ever.",
  },
  "device.ack_timeout": {
    retryable: true,
    summary:
      "The hub left a QoS 1 message or a subscription unanswered for retryIntervalMs; the connection was taken for dead.",
    remedy:
      "Nothing: the client reconnects and sends again. On slow or throttled links raise retryIntervalMs.",
  },

  // Credentials.
  "device.token_unavailable": {
    retryable: true,
    summary: "The sign or refresh function failed, so there is no token to connect with.",
    remedy:
      "Read the cause: it is what the function threw. The client asks it again with back-off.",
  },
  "device.token_expired": {
    retryable: false,
    summary: "The ready-made token is past its expiry and there is no refresh function.",
    remedy:
      "Pass credentials.refresh, or a key instead of a token; check the device's clock if the token is new.",
  },

  // Calls.
  "device.queue_full": {
    retryable: true,
    summary: "More messages or requests wait to be sent than the client's bounds allow.",
    remedy:
      "Await sendTelemetry before sending more, slow down while status() is not connected, or raise queueMessagesMax and queueBytesMax.",
  },
  "device.budget_spent": {
    retryable: true,
    summary: "Today's budget of messages (dailyMessagesMax, or that of the tier) is spent.",
    remedy:
      'Try again after 00:00 UTC; stats().limits.budget says when. Raise dailyMessagesMax, send fewer and larger messages (a message counts once per started 4 KB), or pass whenSpent: "wait" to hold messages until then.',
  },
  "device.message_too_large": {
    retryable: false,
    summary: "A telemetry message is over IoT Hub's limit of 256 KB (body and properties).",
    remedy: "Split it, compress it, or upload it as a file and send a reference.",
    http: { status: 413, code: 413001, name: "MessageTooLarge" },
  },
  "device.subscription_refused": {
    retryable: false,
    summary: "The hub did not grant a subscription this feature needs.",
    remedy:
      "Check the hub's tier: Basic has no cloud-to-device messages, methods and twins; check the api-version.",
  },

  // Twin answers.
  "device.twin_refused": {
    retryable: false,
    summary: "The hub refused a twin request (status 4xx).",
    remedy: "Read the message, which is the hub's; check the patch against the twin limits.",
  },
  "device.twin_throttled": {
    retryable: true,
    summary: "The hub throttled a twin request (status 429).",
    remedy: "Try again after ten seconds or more; report less often.",
  },
  "device.twin_unavailable": {
    retryable: true,
    summary: "The hub failed while serving a twin request (status 5xx).",
    remedy:
      "Try again with back-off; if it lasts, look at the hub: a local one says why in its log and under /readyz, Azure on its status page.",
  },
});
