import type { Socket } from "node:net";
import { IotError } from "@hubwire/protocol";
import { net } from "./builtins.ts";
import { formatAddress } from "./address.ts";
import { listen } from "./listen.ts";
import { SocketStream } from "./socket-stream.ts";
import type { SocketStreamOptions } from "./socket-stream.ts";
import type { ByteStream, OpenStream } from "./stream.ts";
import { connectError, connectTimeout } from "./tls-errors.ts";
import type { Attempt } from "./tls-errors.ts";
import type { Listener } from "./tls-listener.ts";

export type TcpConnectorOptions = SocketStreamOptions & {
  host: string;
  port: number;
  timeoutMs?: number;
};

/** Streams without TLS: for tests and benchmarks, and for nothing else. */
export function tcpConnector(options: TcpConnectorOptions): OpenStream {
  const { host, port } = options;
  const timeoutMs = options.timeoutMs ?? 30_000;
  return (signal) =>
    new Promise((resolve, reject) => {
      const attempt: Attempt = {
        host,
        port,
        serverName: host,
        phase: "the TCP connection",
        presented: undefined,
      };
      const abortError = (): IotError =>
        new IotError("call.aborted", `connecting to ${host}:${port} was aborted`, {
          cause: signal.reason,
        });
      if (signal.aborted) return reject(abortError());
      const socket = net().connect({ host, port, noDelay: true });
      const settle = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", onAbort);
        socket.removeListener("error", onError);
      };
      const fail = (error: IotError): void => {
        settle();
        socket.on("error", () => undefined);
        socket.destroy();
        reject(error);
      };
      const onAbort = (): void => fail(abortError());
      const onError = (error: Error): void => fail(connectError(error, attempt));
      const timer = setTimeout(() => fail(connectTimeout(timeoutMs, attempt)), timeoutMs);
      signal.addEventListener("abort", onAbort, { once: true });
      socket.on("error", onError);
      socket.once("connect", () => {
        settle();
        resolve(plainStream(socket, options));
      });
    });
}

export type TcpListenOptions = SocketStreamOptions & {
  host: string;
  port: number;
  onStream: (stream: ByteStream) => void;
};

/** A listener without TLS: for tests and benchmarks, and for nothing else. */
export async function listenTcp(options: TcpListenOptions): Promise<Listener> {
  const server = net().createServer({ noDelay: true }, (socket) =>
    options.onStream(plainStream(socket, options)),
  );
  const bound = await listen(server, options.host, options.port, 511);
  return {
    host: bound.address,
    port: bound.port,
    close: async () => void server.close(),
  };
}

function plainStream(socket: Socket, options: SocketStreamOptions): ByteStream {
  const address = formatAddress(socket.remoteAddress, socket.remotePort);
  const peer = { address, certificate: undefined, tlsVersion: undefined, serverName: undefined };
  return new SocketStream(socket, peer, options);
}
