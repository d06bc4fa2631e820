import { channel } from "node:diagnostics_channel";
import type { IotError } from "@hubwire/protocol";
import type { GatedOperation } from "../limits/send-gate.ts";
import type { DeviceStats, DropReason } from "./stats.ts";

/** Which device an event is about. */
export type DeviceRef = { hostName: string; deviceId: string; moduleId?: string | undefined };

/**
 * Events on `node:diagnostics_channel`, one channel per name: `hubwire:device:{name}`. Publishers make an event only while
 * somebody is subscribed. No event holds a message body, a property value, a key, a token or a certificate.
 *
 *     import { subscribe } from "node:diagnostics_channel";
 *     subscribe("hubwire:device:disconnected", (event) => console.warn(event.device.deviceId, event.cause?.code));
 *
 * Subscribers are called inside the client's own work: be quick, and do not throw (Node reports what they throw as an
 * uncaught exception).
 */
export type DeviceEvents = {
  /** A client was made. `stats` gives its counters, also after `closed`. */
  opened: { device: DeviceRef; stats: () => DeviceStats };
  /** A client was closed, or `connect()` gave up (then with the reason). */
  closed: {
    device: DeviceRef;
    cause: IotError | undefined;
    /** The same function as in `opened`. */
    stats: () => DeviceStats;
  };
  connected: { device: DeviceRef; sessionPresent: boolean; renewed: boolean };
  /** An established connection ended without being asked to. */
  disconnected: { device: DeviceRef; cause: IotError };
  /** One attempt to connect failed. */
  connectFailed: { device: DeviceRef; attempt: number; cause: IotError };
  /** A credential is being replaced: `connected` with `renewed` follows. */
  renewal: { device: DeviceRef; expiresAt: Date | undefined };
  /** Another client seems to use this identity. */
  kicked: { device: DeviceRef };
  /** A telemetry message was given to the connection. */
  sent: { device: DeviceRef; bytes: number; qos: 0 | 1; again: boolean };
  /** The hub acknowledged a telemetry message. */
  acknowledged: { device: DeviceRef; roundTripMs: number };
  /** Accepted telemetry was given up. */
  dropped: { device: DeviceRef; reason: DropReason; messageId: string | undefined };
  /** A cloud-to-device message arrived, or its handler finished (`failed`: it will come again). */
  c2d: {
    device: DeviceRef;
    what: "received" | "completed" | "failed";
    messageId: string | undefined;
    bytes: number;
    duplicate: boolean;
  };
  /** A direct method was answered. */
  method: { device: DeviceRef; name: string; status: number; tookMs: number };
  /** A twin request was settled, or desired properties changed. */
  twin: {
    device: DeviceRef;
    what: "get" | "report" | "desired" | "repair";
    /** The hub's status; 0 when there was no answer in time or the news came by itself. */
    status: number;
    tookMs: number;
  };
  /** The hub said it was throttling; the client slows down. */
  throttled: { device: DeviceRef; what: GatedOperation | "connect" };
  /**
   * A failure nobody waits for: what a handler of the application threw (as it is), a subscription that was refused, a renewal
   * that has to be tried again.
   */
  error: { device: DeviceRef; where: string; error: unknown };
};
export type DeviceEventName = keyof DeviceEvents;

/** The publisher's side: ask `hasSubscribers` before making an event. */
export interface EventChannel<Event> {
  readonly hasSubscribers: boolean;
  publish(event: Event): void;
}

export const channelName = (name: DeviceEventName): string => `hubwire:device:${name}`;

const named = <Name extends DeviceEventName>(name: Name): EventChannel<DeviceEvents[Name]> =>
  channel(channelName(name));

/** Held here, because Node forgets a channel that nobody holds. */
export const channels: { readonly [Name in DeviceEventName]: EventChannel<DeviceEvents[Name]> } = {
  opened: named("opened"),
  closed: named("closed"),
  connected: named("connected"),
  disconnected: named("disconnected"),
  connectFailed: named("connectFailed"),
  renewal: named("renewal"),
  kicked: named("kicked"),
  sent: named("sent"),
  acknowledged: named("acknowledged"),
  dropped: named("dropped"),
  c2d: named("c2d"),
  method: named("method"),
  twin: named("twin"),
  throttled: named("throttled"),
  error: named("error"),
};
