import type { CredentialMark } from "../credential-marks.ts";
import type { LiveConnection } from "../services.ts";

/** A listener's connection as the registry handles it. */
export interface DeviceLink extends LiveConnection {
  /** What let it in: it may stay while one of these is kept. */
  readonly credentials: readonly CredentialMark[];
  /** Unix ms of the last message either way. */
  readonly lastActivityAtMs: number;
}
