import { createServer as createHttpsServer } from "node:https";
import type { IncomingMessage, Server as HttpsServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { testCertificates } from "@hubwire/testkit";
import type { ByteStream, DialerOptions, DialTarget, StreamHandler } from "@hubwire/transport";
import { webSocket } from "@hubwire/websocket";
import type { WebSocketOptions } from "@hubwire/websocket";
import { afterEach } from "vitest";
import { WebSocketServer } from "ws";
import type { ServerOptions, WebSocket } from "ws";

export const certificates = await testCertificates();
export const noSignal = new AbortController().signal;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

export type Accepted = { connection: WebSocket; request: IncomingMessage; socket: TLSSocket };

/** A WebSocket server on a free loopback port that speaks `mqtt`, unless told otherwise. */
export async function startServer(options: ServerOptions = {}): Promise<{
  port: number;
  next(): Promise<Accepted>;
}> {
  const { key, fullChain: cert } = certificates.server;
  const https = createHttpsServer({ key, cert, requestCert: true, rejectUnauthorized: false });
  const handleProtocols = (offered: Set<string>): string | false =>
    offered.has("mqtt") ? "mqtt" : false;
  const server = new WebSocketServer({ server: https, handleProtocols, ...options });
  const accepted = new Inbox<Accepted>();
  server.on("connection", (connection, request) => {
    connection.on("error", () => undefined);
    accepted.put({ connection, request, socket: request.socket as TLSSocket });
  });
  server.on("error", () => undefined);
  const port = await listenOnLoopback(https);
  closers.push(() => {
    for (const client of server.clients) client.terminate();
  });
  return { port, next: () => accepted.next() };
}

/** A TLS server that answers every request with the same bytes, whatever it was; without any it hangs up. */
export async function startLiar(
  answer: string | ((key: string) => string | Uint8Array) | undefined,
): Promise<number> {
  const { key, fullChain: cert } = certificates.server;
  const server = createTlsServer({ key, cert }, (socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (bytes: Buffer) => {
      if (answer === undefined) return void socket.end();
      const [, secret = ""] = /sec-websocket-key: (\S+)/i.exec(bytes.toString("latin1")) ?? [];
      socket.write(typeof answer === "string" ? answer : answer(secret));
    });
  });
  return listenOnLoopback(server);
}

function listenOnLoopback(
  server: HttpsServer | ReturnType<typeof createTlsServer>,
): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("secureConnection", (socket: TLSSocket) => void sockets.add(socket));
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

/** A client stream to it that trusts the test root. */
export async function connectTo(
  port: number,
  given: DialerOptions & { webSocket?: WebSocketOptions; target?: Partial<DialTarget> } = {},
): Promise<Reader> {
  const { webSocket: options, target, ...rest } = given;
  const dial = webSocket({ port, ...options }).dialer({ ca: certificates.root.cert, ...rest });
  const to = { host: "localhost", port: 8883, identity: undefined, ...target };
  return new Reader(await dial(to, noSignal));
}

/** Reads a stream, and lets a test wait for what it is waiting for. */
export class Reader implements StreamHandler {
  readonly stream: ByteStream;
  readonly chunks: Uint8Array[] = [];
  readonly closed: (Error | undefined)[] = [];
  drains = 0;
  #wake: (() => void) | undefined;

  constructor(stream: ByteStream) {
    this.stream = stream;
    closers.push(() => stream.destroy());
  }

  start(): this {
    this.stream.start(this);
    return this;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }

  onBytes(bytes: Uint8Array): void {
    this.chunks.push(bytes);
    this.#wake?.();
  }
  onDrain(): void {
    this.drains += 1;
    this.#wake?.();
  }
  onClosed(error: Error | undefined): void {
    this.closed.push(error);
    this.#wake?.();
  }

  async until(isDone: () => boolean): Promise<void> {
    while (!isDone()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  /** What the stream ended with. */
  async end(): Promise<Error | undefined> {
    await this.until(() => this.closed.length > 0);
    return this.closed[0];
  }
}

/** What came, one after the other. */
class Inbox<T> {
  readonly #items: T[] = [];
  #wake: (() => void) | undefined;

  put(item: T): void {
    this.#items.push(item);
    this.#wake?.();
  }

  async next(): Promise<T> {
    while (this.#items.length === 0) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#items.shift() as T;
  }
}
