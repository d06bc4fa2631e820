import { isIP } from "node:net";
import { createSecureContext, connect } from "node:tls";
import type { SecureContext, SecureVersion, TLSSocket } from "node:tls";
import { IotError } from "@hubwire/protocol";
import { formatAddress } from "./address.ts";
import { SocketStream } from "./socket-stream.ts";
import type { SocketStreamOptions } from "./socket-stream.ts";
import type { ByteStream, OpenStream } from "./stream.ts";
import { connectError, connectTimeout } from "./tls-errors.ts";
import type { Attempt } from "./tls-errors.ts";
import { trustedAuthorities } from "./tls-trust.ts";

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
 * connector, which halves what a reconnect costs.
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
    phase: "resolving the name",
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
    socket.once("lookup", () => (attempt.phase = "connecting"));
    socket.once("connect", () => (attempt.phase = "the TLS handshake"));
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

function presentedBy(socket: TLSSocket): Attempt["presented"] {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const oneLine = (name: string): string => name.split("\n").join(", ");
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    names: certificate.subjectAltName,
    validFrom: certificate.validFrom,
    validTo: certificate.validTo,
  };
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
  const { cert, key, passphrase } = options;
  if ((cert === undefined) !== (key === undefined)) {
    const given =
      cert === undefined ? "a key without a certificate" : "a certificate without a key";
    throw new IotError(
      "transport.tls_credentials",
      `${given} was given; both or neither are needed`,
    );
  }
  const ca = trustedAuthorities(listOf(options.ca));
  const maxVersion: SecureVersion | undefined = options.maxVersion;
  try {
    return createSecureContext({
      minVersion: options.minVersion ?? "TLSv1.2",
      ...(maxVersion && { maxVersion }),
      ...(ca && { ca }),
      ...(cert !== undefined && { cert: [cert, ...listOf(options.chain)].join("\n") }),
      ...(key !== undefined && { key }),
      ...(passphrase !== undefined && { passphrase }),
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new IotError("transport.tls_credentials", `the TLS credentials cannot be used: ${why}`, {
      cause,
    });
  }
}

function listOf(pem: string | readonly string[] | undefined): readonly string[] {
  if (pem === undefined) return [];
  return typeof pem === "string" ? [pem] : pem;
}
