import type { Clock, OpenStream, PinOptions, ProxyOption, Transport } from "@hubwire/transport";
import type { C2dHandler } from "../c2d/c2d-message.ts";
import type { RetryOptions } from "../connection/retry.ts";
import type { DeviceStatus } from "../connection/status.ts";
import type { ClientCertificate, Credentials, Pem } from "../credentials/credentials.ts";
import type { RateLimit } from "../limits/rate-limit.ts";
import type { Secret } from "../credentials/secret.ts";
import type { OutboxOptions } from "../outbox/outbox-options.ts";
import type { MethodHandler } from "../methods/method.ts";
import type { ProvisioningOptions } from "../provisioning/provisioning-options.ts";

/** Who connects and how it proves that: a connection string, credentials, or the connection guide's own parameters. */
export type Identification =
  | {
      /**
       * `HostName=…;DeviceId=…;SharedAccessKey=…`, or with `SharedAccessSignature=…`, or with `x509=true`; or where it is, read
       * once.
       */
      connectionString: Secret;
      /** Needed beside `x509=true`. */
      certificate?: ClientCertificate;
      credentials?: never;
      hostName?: never;
      provisioning?: never;
    }
  | {
      /** Hub, device and one proof, each by itself; the way to everything but a key, a token and PEM text. */
      credentials: Credentials;
      connectionString?: never;
      certificate?: never;
      hostName?: never;
      provisioning?: never;
    }
  | {
      /** The Device Provisioning Service says which hub, and as which device. */
      provisioning: ProvisioningOptions;
      connectionString?: never;
      certificate?: never;
      credentials?: never;
      hostName?: never;
    }
  | {
      /** The guide's `hostname`. */
      hostName: string;
      /** The guide's `client_id`: the device id, or `deviceId/moduleId`. */
      clientId: string;
      /** Instead of `password` for X.509. */
      certificate?: ClientCertificate;
      connectionString?: never;
      credentials?: never;
      provisioning?: never;
    };

/**
 * Everything that may be set; all optional. The names in quotes are the connection guide's.
 *
 * Numbers carry their unit at the end of their name.
 */
export type DeviceOptions = {
  /**
   * "client_id". Computed from the credentials: the device id, for a module `deviceId/moduleId`. IoT Hub refuses any other,
   * so a different one is an error here already.
   */
  clientId?: string;
  /** "port", 8883; 443 with a WebSocket. */
  port?: number;
  /** "protocol": only MQTT 3.1.1 (level 4) exists on IoT Hub. */
  protocol?: "3.1.1" | 4;
  /**
   * "keepalive", 60 seconds, 1 to 1177. IoT Hub waits one and a half times as long, at most 1767 s; 0 would mean that a
   * dead connection is never noticed.
   */
  keepAliveS?: number;
  /**
   * "clean_session", false. The guide recommends true, but then IoT Hub delivers only cloud-to-device messages sent while
   * the device is connected and subscribed, and may delete queued ones; every official SDK uses false.
   */
  cleanSession?: boolean;
  /** "username". Computed: `{hostName}/{deviceId}/?api-version=…`. */
  username?: string;
  /** "password". Computed from the credentials; a given one is used as it is and never renewed. */
  password?: string;
  /**
   * "reconnect_delay": waits are random between `minMs` 1000 and a bound that doubles up to `maxMs` 30000. Another name for
   * two fields of `retry`; pass one of the two.
   */
  reconnectDelay?: { minMs?: number; maxMs?: number };
  /**
   * How the client comes back after a connection ended or could not be made: for ever, with back-off and full jitter from 1
   * to 30 seconds, unless told otherwise here. It tries at once, whatever the wait, when a new credential is there, when
   * `reconnectNow()` is called, and (within a second) when the computer's network addresses changed or its clock jumped.
   */
  retry?: RetryOptions;
  /**
   * "max_inflight_messages", 20, 1 to 1000: QoS 1 messages sent and not yet acknowledged. The guide recommends 10 to 20; more
   * is faster over a long way, and is more to send again after a cut.
   */
  maxInflight?: number;
  /**
   * "retry_interval", 30000, 1000 to 600000. MQTT 3.1.1 sends again only after a reconnect [MQTT-4.4.0-1], so a connection
   * whose oldest message is unacknowledged for this long is taken for dead; the client reconnects and sends again.
   */
  retryIntervalMs?: number;
  /**
   * "qos", 1: for messages that do not choose their own. The guide's default is 0, which loses whatever is on the way when a
   * connection breaks.
   */
  qos?: 0 | 1;

  /** The `api-version` in the user name, 2021-04-12 as in the guide. Only what is in preview needs another. */
  apiVersion?: string;
  /** The device's model (DTMI) for IoT Plug and Play, none; announced in the user name. */
  modelId?: string;
  /**
   * How long tokens made from a key are good, 3600 seconds, at least 10. A token that was stolen works until its end; each
   * new one costs one reconnect, in which nothing is lost.
   */
  tokenLifetimeS?: number;
  /**
   * How long before its end a token is replaced; a seventh of its lifetime, so that there is time for more than one attempt
   * while the old one is still good.
   */
  tokenRenewBeforeS?: number;

  /**
   * How MQTT reaches the hub, "tls": port 8883. `webSocket()` of the package `@hubwire/websocket` is for networks that let
   * only 443 out; "auto" (or `auto()` of that package, which also has to be installed) tries 8883 first, WebSocket where
   * that does not get through, and remembers which worked. A certificate that is refused is never a reason to change over.
   */
  transport?: "tls" | "auto" | Transport;
  /**
   * A proxy to go through, none: `http://` or `https://` (CONNECT, with Basic authentication) or `socks5://`, each with user
   * name and password in the URL, percent-encoded, or beside it. The proxy resolves the hub's name; what passes through it is
   * TLS between device and hub all the same. Environment variables such as HTTPS_PROXY are not read: a device says what it uses.
   */
  proxy?: ProxyOption;
  /** Certificate authorities to trust besides the system's (those of the runtime, and of NODE_EXTRA_CA_CERTS). */
  ca?: Pem | readonly Pem[];
  /**
   * Public keys of authorities, roots or intermediates, one of which must be in the hub's chain; none, and then any trusted
   * authority will do. On top of validation, never instead. Microsoft advises against pinning leaves and intermediates: pin
   * several roots, with `mode: "report"` first.
   */
  pins?: PinOptions;
  /**
   * Whether `connect()` waits for the first connection, true. False gives a client at once that connects in the background by
   * the rules of `retry` and takes calls meanwhile; `connectTimeoutMs` and `failFast` have no effect then.
   */
  waitForConnection?: boolean;
  /** How long `connect()` tries in all, 60000: time for three attempts that get no answer. */
  connectTimeoutMs?: number;
  /**
   * How long one attempt may take from the first byte to CONNACK, 20000: a TLS handshake over a slow radio link takes seconds,
   * a server that accepts and says nothing would take for ever.
   */
  attemptTimeoutMs?: number;
  /**
   * Whether `connect()` rejects at the first failure that does not heal by itself (wrong key, unknown host name, untrusted
   * certificate), true. False keeps trying until `connectTimeoutMs`, for a device whose registration or clock may still be put
   * right. No effect with `waitForConnection: false`, and none once connected: then `retry` decides. What another credential
   * or the provisioning service may heal is tried before it counts as a failure.
   */
  failFast?: boolean;
  /** How long calls wait that bring no `timeoutMs` of their own, 60000: time for a reconnect in between. */
  callTimeoutMs?: number;
  /**
   * Telemetry that may wait to be sent from memory, in messages, 10000: a long outage must not fill the memory. What happens
   * beyond it is `outbox.whenFull`.
   */
  queueMessagesMax?: number;
  /** The same in bytes of body and topic, 32 MiB; whichever is reached first counts. */
  queueBytesMax?: number;
  /**
   * Where telemetry waits that cannot be sent yet: in memory (default), or on disk, where it survives a restart, a crash and a
   * power loss. Also what happens when it is full.
   */
  outbox?: OutboxOptions;
  /**
   * Messages per second, 1 to 1,000,000, at which leaves what was accepted while there was no connection; by default 1000 with
   * a durable outbox, without limit in memory. At most one second's worth leaves at once. It keeps devices that come back
   * together from spending the hub's quota on the past.
   */
  drainRate?: number;
  /**
   * "auto": messages without an id are given one (UUID version 7), so that receivers recognise those that come twice; costs 44
   * bytes a message. "given": only what the caller gives. Default: "auto" with a durable outbox, else "given".
   */
  messageIds?: "auto" | "given";
  /**
   * Cloud-to-device messages held and not yet completed, 128. Above it reading from the connection stops, acknowledgements
   * included, until some are completed; IoT Hub queues at most 50 per device, so that only a broken hub gets there.
   */
  receiveMax?: number;

  /**
   * "off". How fast this device may send, so that it keeps within what its hub lets through: the name of the hub's tier, or
   * rates per second. IoT Hub throttles whole hubs and tells devices little of it: telemetry is acknowledged late and then
   * cut off, twin requests are answered 429. What is over the rate waits in the queue. Whatever this option says, the client
   * slows down for a while after a 429.
   */
  rateLimit?: RateLimit;
  /**
   * Messages this device may send per day, in units of 4 KB (0.5 KB with `rateLimit: "F1"`) as IoT Hub bills them; the day
   * ends at 00:00 UTC by the device's clock. No limit; with a tier in `rateLimit` that tier's, divided by `devices`.
   * Telemetry, reported patches, twin reads, method answers and cloud-to-device messages count. Kept in memory: a restarted
   * program begins with a whole budget.
   */
  dailyMessagesMax?: number;
  /**
   * What happens when the day's budget is spent: "wait" (default) keeps telemetry and twin requests until midnight, or until
   * their `timeoutMs`; "refuse" rejects new ones at once with `device.budget_spent`.
   */
  whenSpent?: "wait" | "refuse";

  /**
   * Takes every cloud-to-device message; it is completed when the handler returns, and left to be delivered again when it
   * throws. Registered before CONNECT, because a resumed session delivers at once.
   */
  onMessage?: C2dHandler;
  /**
   * How long a handler of messages may take, in milliseconds, 1 to 86400000; no limit. Afterwards its signal is aborted,
   * `onError` is told, and the message counts as not handled: it comes again. Without a limit a handler that never ends keeps
   * its message from being delivered again to this client.
   */
  messageTimeoutMs?: number;
  /** Direct methods by name, registered before CONNECT; more with `onMethod`. */
  methods?: Readonly<Record<string, MethodHandler>>;
  /** Answers methods without a handler of their own; without it they are answered 404. */
  unknownMethod?: MethodHandler;
  /** Method handlers running at a time, 100, 1 to 10000; a call above it is answered 429 at once, never queued. */
  methodsConcurrentMax?: number;
  /**
   * How long a method handler may take, in milliseconds, 300000, 1 to 86400000; afterwards the call is answered 504 and the
   * handler's signal aborted. The default is the longest that a caller of IoT Hub can wait; a method may have its own.
   */
  methodTimeoutMs?: number;
  /**
   * Whether the twin is read again, two to five seconds later, after a notification of desired properties that may have been
   * a replacement, true. IoT Hub tells a device of a replacement (PUT) in the form of a patch, so that removed properties
   * would be kept until the next reconnect; reading again costs one message exchange.
   */
  confirmDesired?: boolean;
  /** Called with every change of `status()`; also before `connect()` returns. */
  onStatus?: (status: DeviceStatus) => void;
  /**
   * Called with what a handler threw and where ("onMessage", "method reboot"). Without it the error is printed as a process
   * warning. The client goes on either way.
   */
  onError?: (error: unknown, where: string) => void;
  /** Ends `connect()`; no effect later. */
  signal?: AbortSignal;

  /** For simulation: time. */
  clock?: Clock;
  /** For simulation: opens the stream, whatever `transport`, `proxy`, `ca` and `pins` say. */
  openStream?: OpenStream;
  /** For simulation: numbers in [0, 1). */
  random?: () => number;
  /**
   * For simulation, and where the list of network interfaces says nothing: names the network this computer is on, empty for
   * none. Looked at every three seconds while waiting; a change makes the client try at once. The addresses in
   * `os.networkInterfaces()`; nothing when `clock` is given.
   */
  networkSignature?: () => string;
};

/** What `connect` takes. */
export type ConnectOptions = Identification & DeviceOptions;
