import type { DeviceIdentity } from "@hubwire/protocol";
import type { Clock, OpenStream } from "@hubwire/transport";
import type { PasswordSource } from "../credentials/credentials.ts";

/** The options after checking: everything filled in, nothing contradictory. */
export type Settings = {
  identity: DeviceIdentity;
  hostName: string;
  clientId: string;
  username: string;
  passwords: PasswordSource;
  openStream: OpenStream;
  clock: Clock;
  random: () => number;
  keepAliveS: number;
  cleanSession: boolean;
  reconnectDelay: { minMs: number; maxMs: number };
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
  onError: (error: unknown, where: string) => void;
};
