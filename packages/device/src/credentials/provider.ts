import type { TlsIdentity } from "@hubwire/transport";

/** Whom a credential is for. */
export type CredentialScope = {
  hostName: string;
  deviceId: string;
  moduleId?: string | undefined;
};

/** What one attempt to connect presents, and until when it is good. */
export type Credential = {
  /** The MQTT password; undefined with X.509. */
  password: Uint8Array | undefined;
  /** The client certificate of the TLS handshake; undefined with SAS. The same object while it is the same certificate. */
  tls: TlsIdentity | undefined;
  /** Unix milliseconds by the device's clock; `Infinity` when it does not expire or its end is unknown. */
  expiresAtMs: number;
  /** Whether asking again gives a later one, so that a reconnect before the end is worth while. */
  renewable: boolean;
};

export type CredentialRequest = {
  /** The device's wall clock, Unix milliseconds. */
  wallMs: number;
  /** Whether the last one must not be used again: it is about to end, or the hub refused it. */
  fresh: boolean;
  /** Aborted when the attempt is over. */
  signal: AbortSignal;
};

/**
 * The one seam between the client and whatever holds a secret: a key in memory, a token from elsewhere, PEM files, a hardware
 * module. It says what to present now, until when, and that something new is there.
 */
export interface CredentialProvider {
  /**
   * Asked once for every attempt to connect.
   * @throws IotError `device.token_unavailable`, `device.token_expired`; anything else becomes the former
   */
  next(scope: CredentialScope, request: CredentialRequest): Promise<Credential>;
  /**
   * Tells that `next` gives something new: the client changes over as at the end of a token, losing nothing.
   * @param listener gets why, for status and logs
   * @returns stops telling
   */
  onChange?(listener: (why: string) => void): () => void;
  /** The attempt that presented this credential ended: with CONNACK 0, or with the refusal or failure given. */
  outcome?(credential: Credential, failure: Error | undefined): void;
  /** The client was closed for good. */
  close?(): void;
}
