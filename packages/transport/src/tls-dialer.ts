import type { TLSSocket } from "node:tls";
import { formatAddress } from "./address.ts";
import { DialAttempt } from "./dial-attempt.ts";
import type { Dial, TlsDial, TlsDialerOptions } from "./dial.ts";
import { SocketStream } from "./socket-stream.ts";
import type { PeerInfo } from "./stream.ts";
import { TlsSockets } from "./tls-sockets.ts";

/**
 * Dials TLS, directly or through a proxy.
 * @throws IotError `transport.tls_credentials` at once, when a CA cannot be used; `argument.invalid`
 */
export function tlsDialer(options: TlsDialerOptions): TlsDial {
  const sockets = new TlsSockets(options);
  const { timeoutMs = 30_000, servername: serverName } = options;
  const dial: Dial = async (target, signal) => {
    const port = options.port ?? target.port;
    const attempt = new DialAttempt({ ...target, port, serverName }, timeoutMs, signal);
    try {
      const socket = await sockets.open(attempt);
      return new SocketStream(socket, tlsPeer(socket, attempt.serverName), options);
    } finally {
      attempt.done();
    }
  };
  return Object.assign(dial, { check: sockets.check.bind(sockets) });
}

export function tlsPeer(socket: TLSSocket, serverName: string): PeerInfo {
  return {
    address: formatAddress(socket.remoteAddress, socket.remotePort),
    certificate: undefined,
    tlsVersion: socket.getProtocol() ?? undefined,
    serverName,
  };
}
