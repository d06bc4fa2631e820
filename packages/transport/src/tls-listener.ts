import type { Server, TLSSocket } from "node:tls";
import type { Socket } from "node:net";
import { IotError } from "@hubwire/protocol";
import { tls } from "./builtins.ts";
import { formatAddress } from "./address.ts";
import { ChainMemory } from "./chain-memory.ts";
import { Handshakes } from "./handshakes.ts";
import { listen } from "./listen.ts";
import { peerCertificateOf } from "./peer-certificate.ts";
import { credentialsError, identityOptions } from "./tls-credentials.ts";
import { SocketStream } from "./socket-stream.ts";
import type { SocketStreamOptions } from "./socket-stream.ts";
import type { ByteStream, PeerInfo } from "./stream.ts";

export type ServerCredentials = {
  /** PEM. */
  key: string;
  /** PEM of the server certificate, followed by its intermediates. */
  cert: string;
  passphrase?: string;
};

/** A connection that never became a stream. */
export type RefusedConnection = {
  /** "accept_failed": the system could not hand the connection over; its address is "unknown". */
  reason: "handshake_failed" | "handshake_timeout" | "too_many_connections" | "accept_failed";
  address: string;
  error: Error | undefined;
};

export type TlsListenOptions = ServerCredentials &
  SocketStreamOptions & {
    host: string;
    /** 0 for a free one. */
    port: number;
    /** From the first byte to the end of the handshake; default 10 s. */
    handshakeTimeoutMs?: number;
    /** Connections at a time, handshaking ones included; more are closed at once. Default 100,000. */
    connectionsMax?: number;
    /** Connections the system keeps waiting for `accept`; default 511. */
    backlog?: number;
    minVersion?: "TLSv1.2" | "TLSv1.3";
    maxVersion?: "TLSv1.2" | "TLSv1.3";
    alpnProtocols?: readonly string[];
    /** A connection whose handshake is done. The certificate, if any, is only extracted: whether it may come in is for the caller. */
    onStream: (stream: ByteStream) => void;
    onRefused?: (refused: RefusedConnection) => void;
  };

export type Listener = {
  readonly host: string;
  readonly port: number;
  /** Stops listening and cuts handshakes short; streams already handed over live on. */
  close(): Promise<void>;
};

export type TlsListener = Listener & {
  /** For new connections, e.g. after the certificate was renewed. */
  updateSecureContext(credentials: ServerCredentials): void;
};

/**
 * A TLS server. Every client is asked for a certificate in the first handshake, and none is turned away for having
 * none or an unknown one.
 */
export async function listenTls(options: TlsListenOptions): Promise<TlsListener> {
  const handshakes = new Handshakes(options.onRefused);
  const chains = new ChainMemory();
  const server = createTlsServer(options);
  server.maxConnections = options.connectionsMax ?? 100_000;
  server.on("connection", (socket: Socket) => handshakes.begin(socket));
  server.on("secureConnection", (socket: TLSSocket) => {
    const address = formatAddress(socket.remoteAddress, socket.remotePort);
    if (!handshakes.done(address)) return void socket.destroy();
    options.onStream(new SocketStream(socket, peerOf(socket, address, chains), options));
  });
  server.on("tlsClientError", (error, socket) => handshakes.failed(socket, error));
  server.on("drop", (dropped) => {
    const address = formatAddress(dropped?.remoteAddress, dropped?.remotePort);
    options.onRefused?.({ reason: "too_many_connections", address, error: undefined });
  });
  server.on("error", (error) => {
    if (server.listening)
      options.onRefused?.({ reason: "accept_failed", address: "unknown", error });
  });
  const bound = await listen(server, options.host, options.port, options.backlog ?? 511);
  return {
    host: bound.address,
    port: bound.port,
    close: async () => {
      server.close();
      handshakes.close();
    },
    updateSecureContext: (credentials) =>
      withCredentialErrors(() => server.setSecureContext(contextOptions(options, credentials))),
  };
}

/** What is told about the peers of TLS sockets that another server accepted (HTTPS, whose WebSockets become streams). */
export function tlsPeers(): (socket: TLSSocket) => PeerInfo {
  const chains = new ChainMemory();
  return (socket) => peerOf(socket, formatAddress(socket.remoteAddress, socket.remotePort), chains);
}

function peerOf(socket: TLSSocket, address: string, chains: ChainMemory): ByteStream["peer"] {
  const servername = (socket as { servername?: string | false }).servername;
  return {
    address,
    certificate: peerCertificateOf(socket, chains),
    tlsVersion: socket.getProtocol() ?? undefined,
    serverName: typeof servername === "string" ? servername : undefined,
  };
}

function createTlsServer(options: TlsListenOptions): Server {
  return withCredentialErrors(() =>
    tls().createServer({
      ...contextOptions(options, options),
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: options.handshakeTimeoutMs ?? 10_000,
      noDelay: true,
      ...(options.alpnProtocols && { ALPNProtocols: [...options.alpnProtocols] }),
    }),
  );
}

function withCredentialErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof IotError ? cause : credentialsError(cause);
  }
}

function contextOptions(options: TlsListenOptions, { key, cert, passphrase }: ServerCredentials) {
  return {
    ...identityOptions({ key, cert, passphrase }),
    minVersion: options.minVersion ?? ("TLSv1.2" as const),
    ...(options.maxVersion && { maxVersion: options.maxVersion }),
  };
}
