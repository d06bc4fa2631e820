import type { Clock, Dial } from "@hubwire/transport";
import type { ClockSkew } from "../connection/clock-skew.ts";
import type { Endpoint } from "../connection/endpoint.ts";
import type { Provisioner } from "../connection/provisioner.ts";
import type { RetryPolicy } from "../connection/retry.ts";
import type { CredentialProvider } from "../credentials/provider.ts";
import type { Rotate } from "../credentials/rotate.ts";
import type { SendGate } from "../limits/send-gate.ts";
import type { Counters } from "../observe/stats.ts";
import type { OutboxSettings } from "../outbox/outbox-settings.ts";

/** The options after checking: everything filled in, nothing contradictory. */
export type Settings = {
  /** Replaced as a whole when the device is assigned to another hub, between two connections. */
  endpoint: Endpoint;
  credentials: CredentialProvider;
  /** Offers another credential. */
  rotate: Rotate;
  /** Says which endpoint; only with the option `provisioning`. */
  provisioner: Provisioner | undefined;
  dial: Dial;
  clock: Clock;
  random: () => number;
  keepAliveS: number;
  cleanSession: boolean;
  retry: RetryPolicy;
  /** Whoever sees a time the server gave tells it. */
  skew: ClockSkew;
  /** Names the network addresses of this computer; undefined where there is nothing to look at. */
  networkSignature: (() => string) | undefined;
  maxInflight: number;
  retryIntervalMs: number;
  qos: 0 | 1;
  tokenRenewBeforeS: number | undefined;
  waitForConnection: boolean;
  failFast: boolean;
  connectTimeoutMs: number;
  attemptTimeoutMs: number;
  callTimeoutMs: number;
  queueMessagesMax: number;
  queueBytesMax: number;
  receiveMax: number;
  outbox: OutboxSettings;
  /** Messages per second; Infinity for no limit. */
  drainRate: number;
  messageIds: "auto" | "given";
  /** Numbers in [0, 1) for message ids, in simulation; undefined: the system's source for secrets. */
  idRandom: (() => number) | undefined;
  methodsConcurrentMax: number;
  methodTimeoutMs: number;
  /** undefined: handlers may take as long as they like. */
  messageTimeoutMs: number | undefined;
  confirmDesired: boolean;
  onError: (error: unknown, where: string) => void;
  /** Everyone counts what they do. */
  stats: Counters;
  /** Asked before anything is sent that the hub meters. */
  gate: SendGate;
};
