import type { ByteStream, OpenStream } from "./stream.ts";
import { tlsConnector } from "./tls-connector.ts";
import type { TlsConnectorOptions } from "./tls-connector.ts";

/** The client's side of a TLS handshake: PEM texts, or a key that stays in hardware behind an OpenSSL engine. */
export type TlsIdentity = {
  cert: string;
  key?: string;
  chain?: string;
  passphrase?: string;
  /** Name or file of an OpenSSL engine, with `privateKeyIdentifier`, instead of `key`. */
  privateKeyEngine?: string;
  privateKeyIdentifier?: string;
};

/** What one attempt to connect dials. */
export type DialTarget = {
  host: string;
  port: number;
  /** The same object while it is the same certificate: contexts are kept by it. */
  identity: TlsIdentity | undefined;
};

/**
 * Opens a client stream to any target. Rejects with an `IotError` that tells DNS, refusal, time-out and each kind of
 * certificate trouble apart.
 */
export type Dial = (target: DialTarget, signal: AbortSignal) => Promise<ByteStream>;

/** A dialler that can look at an identity before it is used. */
export type TlsDial = Dial & {
  /** @throws IotError `transport.tls_credentials` */
  check(identity: TlsIdentity): void;
};

export type TlsDialerOptions = Omit<
  TlsConnectorOptions,
  "host" | "port" | "cert" | "key" | "chain" | "passphrase"
>;

/**
 * Dials TLS. Contexts and session tickets are kept for the latest target.
 * @throws IotError `transport.tls_credentials` at once, when a CA cannot be used
 */
export function tlsDialer(options: TlsDialerOptions): TlsDial {
  const connectorFor = ({ host, port, identity }: DialTarget): OpenStream =>
    tlsConnector({ ...options, host, port, ...identity });
  let latest: { target: DialTarget; open: OpenStream } | undefined;
  const dial: Dial = async (target, signal) => {
    if (latest === undefined || !isSame(latest.target, target)) {
      latest = { target, open: connectorFor(target) };
    }
    return latest.open(signal);
  };
  connectorFor({ host: "localhost", port: 1, identity: undefined });
  return Object.assign(dial, {
    check: (identity: TlsIdentity): void => {
      connectorFor({ host: "localhost", port: 1, identity });
    },
  });
}

const isSame = (a: DialTarget, b: DialTarget): boolean =>
  a.host === b.host && a.port === b.port && a.identity === b.identity;
