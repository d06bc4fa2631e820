import type { IotError } from "@hubwire/protocol";
import type { Clock, TlsIdentity } from "@hubwire/transport";

/** Whom a credential is for. */
export type CredentialScope = {
  hostName: string;
  deviceId: string;
  moduleId?: string | undefined;
  /** What a token is signed for when that is not the device at its hub: a registration with the provisioning service. */
  resource?: string | undefined;
  /** The token's `skn` when the scope asks for one. */
  policyName?: string | undefined;
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
  /**
   * True while the hub has yet to show that it takes this one: then the connection in use is given up only at CONNACK 0, and
   * goes on when the hub refuses.
   */
  trial?: boolean;
};

export type CredentialRequest = {
  /** The device's wall clock, Unix milliseconds. */
  wallMs: number;
  /** Whether the last one must not be used again: it is about to end, or the hub refused it. */
  fresh: boolean;
  /** Aborted when the attempt is over. */
  signal: AbortSignal;
};

/** What a provider gets from the client that uses it. */
export type CredentialContext = {
  clock: Clock;
  /** Tells the application what is wrong although nothing has failed yet: a certificate that ends soon. */
  notice(news: IotError): void;
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
  /** Called once, before anything else, by the client that uses it. */
  attach?(context: CredentialContext): void;
  /**
   * The attempt that presented this credential ended: with CONNACK 0, or with the refusal or failure given (of the dialler,
   * the handshake, the CONNECT). Gets the very object that `next` gave. An attempt that was called off tells nothing.
   */
  outcome?(credential: Credential, failure: Error | undefined): void;
  /**
   * Asked after `outcome` with a failure: whether `next` now gives another credential than the one that failed. Then a
   * refusal is not final and the next attempt need not wait.
   */
  readonly standby?: boolean;
  /** The client was closed for good. */
  close?(): void;
}
