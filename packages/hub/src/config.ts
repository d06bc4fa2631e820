import type { Clock } from "@hubwire/transport";
import type { EventSwitches } from "./domain/events/index.ts";
import type { Logger } from "./domain/observe.ts";
import type { Stores } from "./domain/ports.ts";
import type { TelemetryLimits } from "./domain/telemetry/index.ts";
import type { AmqpLimits } from "./listeners/amqp/index.ts";
import type { MqttLimits } from "./listeners/mqtt/index.ts";
import type { RestLimits } from "./listeners/rest/index.ts";
import type { LogFormat, LogLevel } from "./observe/index.ts";

export type RetentionConfig = {
  /** On disk: telemetry older than this is deleted. Default a day, which is what a new IoT Hub has. */
  hours?: number;
  /** Disk space (or memory, without a data directory) that telemetry may take. Default 4 GiB (64 MiB). */
  bytes?: number;
};

/** Every bound the hub keeps; each has a default that a test or a laptop never meets. */
export type HubLimits = {
  mqtt?: Partial<MqttLimits>;
  rest?: Partial<RestLimits>;
  amqp?: Partial<AmqpLimits>;
  telemetry?: Partial<TelemetryLimits>;
  /** From the first byte of a TLS connection to the end of its handshake. Default 10 s. */
  handshakeTimeoutMs?: number;
  /** Documents and C2D queues on disk; past it writes fail as on a full disk. Default 4 GiB. */
  documentsBytesMax?: number;
  /** Size of the first telemetry file; each next one is twice as large, up to 64 MiB. Default 4 MiB, at least 512 KiB. */
  telemetrySegmentBytes?: number;
};

/** Everything `createHub` takes; all of it is optional. */
export type HubConfig = {
  /** Address to listen on. Default 127.0.0.1: nobody else on the network gets in unless you say so. */
  host?: string;
  /** MQTT over TLS. Default 8883, which official SDKs hard-code; 0 takes a free one. */
  mqttPort?: number;
  /** HTTPS. Default 443, which official SDKs hard-code, else 8443, else a free one; a port given here is taken or refused. */
  httpsPort?: number;
  /** AMQP over TLS. Default 5671, which official SDKs dial, else a free one; a port given here is taken or refused; false: none. */
  amqpPort?: number | false;
  /** AMQP without TLS, on 127.0.0.1 whatever `host` says, for `UseDevelopmentEmulator=true`. Default 5672, else a free one; false: none. */
  amqpPlainPort?: number | false;
  /** Where everything is kept (made if missing, mode 0700). Without it everything is in memory. */
  dataDirectory?: string;
  /** The name in connection strings. Default localhost. */
  hostName?: string;
  /**
   * A name that can be dialled when `hostName` cannot, such as localhost for a hub called `contoso.azure-devices.net`: devices get
   * it as GatewayHostName beside the hub's name, service and event connection strings get it as their host.
   */
  gatewayHostName?: string;
  /** More names the hub answers to; they go into its certificate. localhost, loopback addresses and the machine's name always are. */
  hostNames?: readonly string[];
  /** PEM texts of CAs whose certificates name devices by their CN. */
  deviceCas?: readonly string[];
  /** Partitions of the telemetry log, fixed when it is made. Default 4. */
  partitions?: number;
  /** How far a token's expiry may lie in the past at CONNECT, seconds. Default 300. */
  clockToleranceS?: number;
  /** How long a session outlives its token, seconds, at most 600. Default 300. */
  expiryGraceS?: number;
  /** Refuse a CONNECT without user name even with a valid certificate, as Azure does. Default false. */
  strictUserName?: boolean;
  /** What happens to topics the hub does not serve: the connection ends, as on Azure (`strict`, the default), or they are ignored. */
  mode?: "strict" | "lenient";
  /** Which events beside telemetry back ends read; all off by default, as on Azure without routes for them. */
  events?: EventSwitches;
  retention?: RetentionConfig;
  limits?: HubLimits;
  /** Default `info`. */
  logLevel?: LogLevel;
  /** Default `json`. */
  logFormat?: LogFormat;
  /** Takes the log lines, without secrets, instead of standard error; `logLevel` and `logFormat` are then its own affair. */
  logger?: Logger;
  /** For tests: virtual time. Timers of TLS and HTTP stay real. */
  clock?: Clock;
  /** For tests: stores that fail or lag. The hub closes them when it stops. Not together with `dataDirectory`. */
  stores?: Stores;
};
