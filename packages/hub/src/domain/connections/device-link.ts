import type { LiveConnection } from "../services.ts";

/** A listener's connection as the registry handles it. */
export interface DeviceLink extends LiveConnection {
  /** Unix ms of the last message either way. */
  readonly lastActivityAtMs: number;
}
