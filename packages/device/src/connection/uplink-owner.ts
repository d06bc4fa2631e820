import type { ClientEffect } from "@hubwire/protocol";
import type { DeviceStatus } from "./status.ts";

/** What the features of a device hear from its connection, in this order. */
export interface UplinkOwner {
  connected(nowMs: number): void;
  /** A message, an acknowledgement, a SUBACK. */
  effect(effect: ClientEffect, nowMs: number): void;
  /** After every batch of effects, and when publishing becomes possible: hand over what waits. */
  turn(nowMs: number): void;
  disconnected(nowMs: number): void;
  /** Provisioning gave the device another id: topics of the old one are of no use. Comes while not connected. */
  renamed(): void;
  /** A request or handler finished. */
  quieter(): void;
  statusChanged(status: DeviceStatus): void;
  /** Requests and handlers under way whose answers belong to the connection in use. */
  readonly requestsOpen: boolean;
}
