import { connect, createServer as createTcpServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { TestCertificate } from "@hubwire/testkit";
import { afterEach } from "vitest";

export type ScriptedProxy = {
  port: number;
  /** What each connection said, as text, before the tunnel. */
  said: string[];
  /** Settles when a connection was closed by its other side. */
  closed: Promise<void>;
};

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/**
 * A proxy that says its lines, one for each thing said to it, and then hands everything to `tunnelTo`. Without
 * lines it says nothing, for ever.
 */
export async function startProxy(options: {
  lines: readonly (string | Uint8Array)[];
  tunnelTo?: number;
  identity?: TestCertificate;
  /** After the lines: closes instead of handing on. */
  hangsUp?: boolean;
}): Promise<ScriptedProxy> {
  const { lines, tunnelTo, identity, hangsUp = false } = options;
  const said: string[] = [];
  const sockets = new Set<Socket>();
  let onClosed: () => void;
  const closed = new Promise<void>((resolve) => (onClosed = resolve));
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  const serve = (socket: Socket): void => {
    keep(socket);
    const left = [...lines];
    socket.on("close", () => onClosed());
    if (hangsUp && left.length === 0) return void socket.end();
    socket.on("data", function answer(bytes: Buffer) {
      said.push(bytes.toString("latin1"));
      const line = left.shift();
      if (line !== undefined) socket.write(line);
      if (left.length > 0 || lines.length === 0) return;
      if (hangsUp) return void socket.end();
      if (tunnelTo === undefined) return;
      socket.removeListener("data", answer);
      const hub = connect({ host: "127.0.0.1", port: tunnelTo });
      keep(hub);
      socket.pipe(hub).pipe(socket);
      socket.on("close", () => hub.destroy());
      hub.on("close", () => socket.destroy());
    });
  };
  const server =
    identity === undefined
      ? createTcpServer(serve)
      : createTlsServer({ key: identity.key, cert: identity.fullChain }, serve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, said, closed };
}
