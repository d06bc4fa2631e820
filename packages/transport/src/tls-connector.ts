import { isIP } from "node:net";
import { connect } from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";
import { IotError } from "@hubwire/protocol";
import { formatAddress } from "./address.ts";
import { SocketStream } from "./socket-stream.ts";
import type { SocketStreamOptions } from "./socket-stream.ts";
import type { ByteStream, OpenStream } from "./stream.ts";
import { trustingContext } from "./tls-context.ts";
import { checkedAuthorities, identityOptions } from "./tls-credentials.ts";
import { connectError, connectTimeout } from "./tls-errors.ts";
import type { Attempt } from "./tls-errors.ts";

export type TlsConnectorOptions = SocketStreamOptions & {
  host: string;
  port: number;
  /** The name to ask for (SNI) and to find in the certificate, when it is not `host`. */
  servername?: string;
  /** PEM of certificate authorities to trust **in addition** to the default ones. */
  ca?: string | readonly string[];
  /** PEM of the client certificate; the chain may follow in the same text or in `chain`. */
  cert?: string;
  /** PEM of its private key. */
  key?: string;
  /** PEM of the intermediates between the certificate and its root. */
  chain?: string | readonly string[];
  passphrase?: string;
  /** Default TLSv1.2; nothing older can be asked for. */
  minVersion?: "TLSv1.2" | "TLSv1.3";
  maxVersion?: "TLSv1.2" | "TLSv1.3";
  /** For name, TCP and TLS together; default 30 s. */
  timeoutMs?: number;
  alpnProtocols?: readonly string[];
};

/**
 * Opens TLS streams to one server. Server certificates are always validated. Sessions are resumed between streams of one
 * connector, which halves what a reconnect costs; not with a client certificate, because servers lose its chain then.
 * @throws IotError `transport.tls_credentials` at once, when certificate, key or CA cannot be used
 */
export function tlsConnector(options: TlsConnectorOptions): OpenStream {
  const secureContext = clientContext(options);
  const tickets: TicketBox = { latest: undefined };
  return (signal) => openTls(options, secureContext, tickets, signal);
}

type TicketBox = { latest: Buffer | undefined };

function openTls(
  options: TlsConnectorOptions,
  secureContext: SecureContext,
  tickets: TicketBox,
  signal: AbortSignal,
): Promise<ByteStream> {
  const { host, port } = options;
  const timeoutMs = options.timeoutMs ?? 30_000;
  const serverName = options.servername ?? host;
  const attempt: Attempt = {
    host,
    port,
    serverName,
    phase: isIP(host) ? "the TCP connection" : "name resolution",
    presented: undefined,
  };
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted(signal, attempt));
    const socket = connect({
      host,
      port,
      secureContext,
      // Said explicitly, so that NODE_TLS_REJECT_UNAUTHORIZED=0 cannot switch it off.
      rejectUnauthorized: true,
      ...(isIP(serverName) ? {} : { servername: serverName }),
      ...(options.alpnProtocols && { ALPNProtocols: [...options.alpnProtocols] }),
      ...(tickets.latest && { session: tickets.latest }),
    });
    socket.setNoDelay(true);
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", onError);
    };
    const fail = (error: IotError): void => {
      settle();
      // What a destroyed socket still has to say interests nobody.
      socket.on("error", () => undefined);
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(aborted(signal, attempt));
    const onError = (error: Error): void => fail(connectError(error, attempt));
    const timer = setTimeout(() => fail(connectTimeout(timeoutMs, attempt)), timeoutMs);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onError);
    socket.once("lookup", () => (attempt.phase = "the TCP connection"));
    socket.once("connect", () => (attempt.phase = "the TLS handshake"));
    if (options.cert === undefined)
      socket.on("session", (ticket: Buffer) => (tickets.latest = ticket));
    // Before Node's own listener, which destroys the socket of a server that is not trusted: for the words of the error only.
    socket.prependOnceListener("secure", () => (attempt.presented = presentedBy(socket)));
    socket.once("secureConnect", () => {
      settle();
      resolve(new SocketStream(socket, peerOf(socket, serverName), options));
    });
  });
}

function aborted(signal: AbortSignal, attempt: Attempt): IotError {
  const message = `connecting to ${attempt.host}:${attempt.port} was aborted`;
  return new IotError("call.aborted", message, { cause: signal.reason });
}

/** Not by `getPeerX509Certificate`: in Node 24, `getPeerCertificate`, which Node calls next, then returns nothing. */
function presentedBy(socket: TLSSocket): Attempt["presented"] {
  const certificate = socket.getPeerCertificate();
  // Typed as always there; an anonymous peer has none.
  if ((certificate as Partial<typeof certificate> | null)?.raw === undefined) return undefined;
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    names: certificate.subjectaltname,
    validFrom: certificate.valid_from,
    validTo: certificate.valid_to,
  };
}

/** `CN=…, O=…`; Node gives repeated parts as a list. */
function nameOf(name: object): string {
  const parts = Object.entries(name) as [string, string | string[]][];
  return parts.map(([part, value]) => `${part}=${String(value)}`).join(", ");
}

function peerOf(socket: TLSSocket, serverName: string): ByteStream["peer"] {
  return {
    address: formatAddress(socket.remoteAddress, socket.remotePort),
    certificate: undefined,
    tlsVersion: socket.getProtocol() ?? undefined,
    serverName,
  };
}

function clientContext(options: TlsConnectorOptions): SecureContext {
  const context = {
    minVersion: options.minVersion ?? ("TLSv1.2" as const),
    ...(options.maxVersion && { maxVersion: options.maxVersion }),
    ...identityOptions(options),
  };
  return trustingContext(context, checkedAuthorities(options.ca));
}
