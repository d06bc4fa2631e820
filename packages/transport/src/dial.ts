import type { Clock } from "./clock.ts";
import type { PinOptions } from "./tls-pins.ts";
import type { ProxyOption } from "./proxy/proxy-address.ts";
import type { SocketStreamOptions } from "./socket-stream.ts";
import type { ByteStream } from "./stream.ts";

/**
 * What this side proves its identity with in the TLS handshake; PEM texts. Either `key`, or `privateKeyEngine` with
 * `privateKeyIdentifier` for a key that stays in hardware.
 */
export type TlsIdentity = {
  /** The leaf; its intermediates may follow in the same text or in `chain`. */
  cert: string;
  key?: string;
  chain?: string;
  /** Of an encrypted `key`. */
  passphrase?: string;
  /** Name or file of an OpenSSL engine, such as libp11's `pkcs11`. */
  privateKeyEngine?: string;
  /** What the engine knows the key by, such as a `pkcs11:` URI. May hold a PIN: never logged, never in an error. */
  privateKeyIdentifier?: string;
};

/** Where one attempt to connect goes. */
export type DialTarget = {
  /** Name or address; also what is asked for by SNI and looked for in the certificate. */
  host: string;
  /** For TLS; a WebSocket has a port of its own. */
  port: number;
  /** The same object while it is the same certificate: contexts are kept by it. */
  identity: TlsIdentity | undefined;
};

/**
 * Opens a stream to a target; one `Dial` serves all attempts of a client and keeps between them what makes the next one
 * cheaper. Rejects with an `IotError` that tells name resolution, refusal, time-out, proxy and each kind of certificate trouble apart.
 */
export type Dial = (target: DialTarget, signal: AbortSignal) => Promise<ByteStream>;

/** A dialler that can look at an identity before it is used. */
export type TlsDial = Dial & {
  /** @throws IotError `transport.tls_credentials` */
  readonly check: (identity: TlsIdentity) => void;
};

/** What every kind of transport takes. */
export type DialerOptions = {
  /** PEM of certificate authorities to trust **in addition** to the default ones. */
  ca?: string | readonly string[];
  /** Public keys of which the server's validated chain must hold one. */
  pins?: PinOptions;
  /** HTTP CONNECT (`http:`, `https:`) or SOCKS5 (`socks5:`) proxy to go through. */
  proxy?: ProxyOption;
  /** Instead of the target's. */
  port?: number;
  /** For everything up to the open stream together; default 30 s. */
  timeoutMs?: number;
  /** Told the time in an HTTP server's answer, Unix milliseconds in steps of a second; TLS alone has none. */
  onServerTime?: (unixMs: number) => void;
  /** For simulation: what decides when the other of two ways is tried. */
  clock?: Clock;
};

export type TlsDialerOptions = SocketStreamOptions &
  DialerOptions & {
    /** The name to ask for (SNI) and to find in the certificate, when it is not the target's host. */
    servername?: string;
    /** Default TLSv1.2; nothing older can be asked for. */
    minVersion?: "TLSv1.2" | "TLSv1.3";
    maxVersion?: "TLSv1.2" | "TLSv1.3";
    alpnProtocols?: readonly string[];
  };

/** A way to carry MQTT that is more than TLS; made by another package, such as `webSocket()` of `@hubwire/websocket`. */
export type Transport = {
  readonly kind: "websocket" | "auto";
  /** @throws IotError `argument.invalid`, `transport.tls_credentials` */
  dialer(options: DialerOptions): TlsDial;
};
