/// <reference lib="esnext.disposable" preserve="true" />
import type { MessagePropertiesInput } from "@hubwire/protocol";
import type { ConsumerGroups } from "./domain/telemetry/consumer-groups/index.ts";
import type {
  Authentication,
  Feedback,
  Identities,
  Identity,
  Methods,
  Query,
  ServiceC2d,
  ServiceTwins,
  TelemetryReader,
} from "./domain/services.ts";

export type NewDevice = {
  deviceId: string;
  /** Makes a module of an existing device. */
  moduleId?: string;
  /** Default: two new random keys. */
  authentication?: Authentication;
  status?: "enabled" | "disabled";
  statusReason?: string;
};

export type SendOptions = {
  properties?: MessagePropertiesInput;
  ack?: "none" | "positive" | "negative" | "full";
  /** Unix ms; default an hour ahead. */
  expiresAtMs?: number;
};

export type InvokeOptions = {
  moduleId?: string;
  /** How long the device may take, seconds, 5 to 300. Default 30. */
  responseTimeoutS?: number;
  /** How long to wait for a device that is not there, seconds, up to 300. Default 0: it must be connected. */
  connectTimeoutS?: number;
  signal?: AbortSignal;
};

/**
 * A running hub. Beside the wire it can be used in process, which is how tests play the back end.
 * Calls throw `IotError` as their REST counterparts answer.
 */
export interface Hub extends AsyncDisposable {
  /** The name in connection strings; no port. */
  readonly hostName: string;
  /** What is dialled instead, when the hub's name cannot be. */
  readonly gatewayHostName: string | undefined;
  readonly mqttPort: number;
  readonly httpsPort: number;
  /** AMQP over TLS; undefined when it is off. */
  readonly amqpPort: number | undefined;
  /** AMQP without TLS, on loopback; undefined when it is off. */
  readonly amqpPlainPort: number | undefined;
  /** PEM of the CA that clients of this hub add to those they trust. */
  readonly caPem: string;
  /** The same as a file; undefined without a data directory. */
  readonly caFile: string | undefined;

  /** What a back end needs, for a shared access policy; default `iothubowner`. It holds a key. */
  connectionString(policyName?: string): string;
  /**
   * What an Event Hubs reader needs, for a policy with ServiceConnect; default `service`. With `plain` it is for AMQP
   * without TLS (`UseDevelopmentEmulator=true`). It holds a key.
   */
  eventHubsConnectionString(options?: { policyName?: string; plain?: boolean }): string;
  /** The port is in it when it is not 8883. It holds the device's key, or says `x509=true`. */
  deviceConnectionString(deviceId: string, moduleId?: string): Promise<string>;
  createDevice(device: NewDevice): Promise<{ identity: Identity; connectionString: string }>;
  /** Queues a cloud-to-device message; text is sent as UTF-8. */
  sendToDevice(
    deviceId: string,
    body: string | Uint8Array,
    options?: SendOptions,
  ): Promise<{ messageId: string; sequence: number }>;
  /** Calls a direct method. `payload` is any JSON value. */
  invokeMethod(
    deviceId: string,
    methodName: string,
    payload?: unknown,
    options?: InvokeOptions,
  ): Promise<{ status: number; payload: unknown }>;

  readonly identities: Identities;
  readonly twins: ServiceTwins;
  /** Queries over the twins of devices and modules, a page at a time. */
  readonly query: Query;
  readonly methods: Pick<Methods, "invoke">;
  readonly c2d: ServiceC2d;
  readonly telemetry: TelemetryReader;
  readonly feedback: Feedback;
  readonly consumerGroups: ConsumerGroups;

  /** Admitted device connections. */
  readonly connections: number;
  /** Why nothing can be stored at the moment, in words; undefined when all is well. */
  readonly unreadyReason: string | undefined;
  /** Prometheus text format. */
  metricsText(): Promise<string>;

  /**
   * Takes nothing new, finishes what was accepted (for at most `timeoutMs`, default 5 s), then closes everything.
   * Calling it again waits for the same stop.
   */
  stop(options?: { timeoutMs?: number }): Promise<void>;
}
