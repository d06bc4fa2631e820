import type { DialerOptions, TlsDialerOptions, TlsIdentity } from "./dial.ts";
import type { OpenStream } from "./stream.ts";
import { identityOptions } from "./tls-credentials.ts";
import { tlsDialer } from "./tls-dialer.ts";

export type TlsConnectorOptions = Omit<TlsDialerOptions, keyof DialerOptions> &
  Pick<DialerOptions, "ca" | "timeoutMs"> & {
    host: string;
    port: number;
    /** PEM of the client certificate; the chain may follow in the same text or in `chain`. */
    cert?: string;
    /** PEM of its private key. */
    key?: string;
    /** PEM of the intermediates between the certificate and its root. */
    chain?: string | readonly string[];
    passphrase?: string;
  };

/**
 * Opens TLS streams to one server with one identity: a dialler that knows its target.
 * @throws IotError `transport.tls_credentials` at once, when certificate, key or CA cannot be used
 */
export function tlsConnector(options: TlsConnectorOptions): OpenStream {
  const { host, port, cert, key, chain, passphrase, ...rest } = options;
  const dial = tlsDialer(rest);
  identityOptions({ cert, key, chain, passphrase });
  const identity: TlsIdentity | undefined =
    cert === undefined || key === undefined
      ? undefined
      : {
          cert,
          key,
          ...(chain !== undefined && { chain: [chain].flat().join("\n") }),
          ...(passphrase !== undefined && { passphrase }),
        };
  if (identity !== undefined) dial.check(identity);
  return (signal) => dial({ host, port, identity }, signal);
}
