import type { ConnectRequest, ServerEffect } from "@hubwire/protocol";
import type { FakeHub, HubConnection } from "./fake-hub.ts";

/** Where a test makes the fake hub behave differently. */
export type HubScript = {
  /** Before a stream opens; may reject, or never settle. @param number 1 for the first stream */
  onOpen?: (number: number, signal: AbortSignal) => void | Promise<void>;
  /** CONNACK code to refuse with. @param number 1 for the first CONNECT that may be accepted */
  refuse?: (number: number, request: ConnectRequest) => 1 | 2 | 3 | 4 | 5 | undefined;
  /** How long the hub waits for the device to say something; default as in MQTT. */
  keepAliveTimeoutMs?: number;
  /** "taken": the hub does nothing with it. */
  onEffect?: (effect: ServerEffect, connection: HubConnection, hub: FakeHub) => "taken" | void;
};
