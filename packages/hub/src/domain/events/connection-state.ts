import type { Clock, Timer } from "@hubwire/transport";
import { identityKey } from "../services.ts";
import type { Connections, IdentityRef, LiveConnection } from "../services.ts";
import type { HubEvents } from "./events.ts";

/** Azure IoT Hub docs, "device connection state events": a snapshot every minute, so that quick changes collapse. */
const snapshotMs = 60_000;

type Seen = {
  ref: IdentityRef;
  generationId: string;
  isConnected: boolean;
  /** What was told last; undefined before the first time. */
  told: boolean | undefined;
  /** It changed since then, also when it is again what it was. */
  hasChanged: boolean;
};

/**
 * Who is connected, told once a minute. A connection counts from its first message or subscription on; who was told to be
 * connected and is again tells that it was away in between, by a new sequence number.
 */
export function watchConnectionState(options: {
  connections: Pick<Connections, "onSubscribed" | "onClosed" | "find"> & {
    connectedKeys(): Iterable<string>;
  };
  events: Pick<HubEvents, "connectionState">;
  clock: Clock;
}): { stop(): void } {
  const { connections, events, clock } = options;
  const seen = new Map<string, Seen>();
  let count = 0;
  let timer: Timer | undefined;

  const note = ({ ref, generationId }: LiveConnection, isConnected: boolean): void => {
    const key = identityKey(ref);
    const known = seen.get(key);
    if (known === undefined && !isConnected) return;
    const told = known?.generationId === generationId ? known.told : undefined;
    const hasChanged = known?.hasChanged === true || known?.isConnected !== isConnected;
    seen.set(key, { ref, generationId, isConnected, told, hasChanged });
  };
  const refOf = (key: string): IdentityRef => {
    const [deviceId = "", moduleId] = key.split("/");
    return { deviceId, moduleId };
  };
  /** Starts of the hub, then events: comparable as text. */
  const startedAt = BigInt(Math.trunc(clock.wallMs()));
  const nextSequenceNumber = (): string =>
    ((startedAt << 64n) | BigInt(++count)).toString(16).toUpperCase().padStart(64, "0");

  const snapshot = (): void => {
    // Those that only send have no subscription to be noticed by.
    for (const key of connections.connectedKeys()) {
      const connection = connections.find(refOf(key));
      if (connection !== undefined && seen.get(key)?.isConnected !== true) note(connection, true);
    }
    for (const [key, state] of seen) {
      if (!state.hasChanged) continue;
      const { ref, generationId, isConnected, told } = state;
      if (isConnected || told !== undefined) {
        events.connectionState(ref, generationId, isConnected, nextSequenceNumber());
      }
      if (isConnected) seen.set(key, { ...state, told: true, hasChanged: false });
      else seen.delete(key);
    }
    arm();
  };
  const arm = (): void => {
    timer = clock.at(clock.nowMs() + snapshotMs, snapshot);
  };
  const unsubscribe = [
    connections.onSubscribed((connection) => note(connection, true)),
    connections.onClosed((connection) => note(connection, false)),
  ];
  arm();
  return {
    stop() {
      timer?.cancel();
      for (const end of unsubscribe) end();
    },
  };
}
