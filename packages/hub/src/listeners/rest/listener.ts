import { createServer } from "node:https";
import type { Server } from "node:https";
import type { Socket } from "node:net";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { IotError } from "@hubwire/protocol";
import { listen } from "@hubwire/transport";
import { createRestHandler } from "./handler.ts";
import { exchangeLimitsDefault, sendResponse, toRestRequest } from "./node-exchange.ts";
import type { ExchangeLimits } from "./node-exchange.ts";
import type { RestServices } from "./services.ts";

export type RestLimits = ExchangeLimits & {
  /** TCP connections at a time; more are closed at once. */
  connectionsMax: number;
  /** Requests being worked on at a time; more are answered 503 ServerBusy. */
  requestsMax: number;
  handshakeTimeoutMs: number;
  /** From the first byte of a request (or the end of the handshake) to the end of its headers. */
  headersTimeoutMs: number;
  /** The same, to the end of its body. */
  requestTimeoutMs: number;
  /** How long an idle connection is kept for the next request. */
  keepAliveTimeoutMs: number;
  /** How often the two request timeouts are looked at. */
  checkIntervalMs: number;
};

/** Azure's own values are not documented; these leave room for slow links and none for slow attacks. */
export const restLimitsDefault: RestLimits = {
  ...exchangeLimitsDefault,
  connectionsMax: 2_000,
  requestsMax: 2_000,
  handshakeTimeoutMs: 10_000,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000,
  checkIntervalMs: 2_000,
};

const headerBytesMax = 16 * 1024;
const headersCountMax = 100;
/** How long a stop waits for requests after it told them to end. */
const cutGraceMs = 1_000;

export type RestListenerOptions = {
  services: RestServices;
  /** PEM. */
  key: string;
  /** PEM of the server certificate, followed by its intermediates. */
  cert: string;
  /** Default 127.0.0.1. */
  host?: string;
  /** 0 takes a free one. */
  port: number;
  limits?: Partial<RestLimits>;
  /** Takes connections that are to speak something else from now on; without it `Upgrade` is ignored. */
  onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
};

export type RestListener = {
  readonly host: string;
  readonly port: number;
  /** Requests being worked on. */
  readonly inFlight: number;
  /** For new connections, e.g. after the certificate was renewed. */
  updateSecureContext(credentials: { key: string; cert: string }): void;
  /**
   * Takes no new connection, lets requests under way finish for up to `graceMs` (default 5 s), then tells
   * what still waits `hub.stopping` and closes every connection.
   */
  stop(graceMs?: number): Promise<void>;
};

/**
 * Service REST over TLS: Azure's routes, and Hubwire's own beside them (see `createHubwireApp`).
 * @throws IotError `hub.port_in_use`, `hub.port_not_permitted`, `hub.address_unavailable`
 */
export async function createRestListener(options: RestListenerOptions): Promise<RestListener> {
  const { services, key, cert } = options;
  const limits: RestLimits = { ...restLimitsDefault, ...options.limits };
  const stopping = new AbortController();
  const waiting = new Set<AbortController>();
  const handle = createRestHandler(services, stopping.signal);
  const server = createServer({
    key,
    cert,
    minVersion: "TLSv1.2",
    // Devices may come with a certificate over WebSocket; whoever comes without is as welcome.
    requestCert: true,
    rejectUnauthorized: false,
    // Unlike a bare TLS server, this one also closes what times out or fails in the handshake.
    handshakeTimeout: limits.handshakeTimeoutMs,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    maxHeaderSize: headerBytesMax,
    noDelay: true,
    keepAlive: true,
  });
  server.maxHeadersCount = headersCountMax;
  server.maxConnections = limits.connectionsMax;

  let inFlight = 0;
  let whenIdle: (() => void) | undefined;

  const refusal = (): IotError | undefined => {
    if (stopping.signal.aborted) return new IotError("hub.stopping", "The hub is stopping");
    if (inFlight <= limits.requestsMax) return undefined;
    return new IotError("hub.busy", `${limits.requestsMax} requests are being worked on`);
  };

  const serve = async (
    message: IncomingMessage,
    outgoing: ServerResponse,
    invite: () => void,
  ): Promise<void> => {
    inFlight++;
    const gone = new AbortController();
    outgoing.once("close", () => {
      if (!outgoing.writableFinished) gone.abort();
    });
    waiting.add(gone);
    try {
      if (stopping.signal.aborted) outgoing.shouldKeepAlive = false;
      const request = toRestRequest(message, gone.signal, invite);
      const response = await handle(request, refusal());
      if (stopping.signal.aborted) outgoing.shouldKeepAlive = false;
      await sendResponse(message, outgoing, response, limits);
    } catch (error) {
      services.logger.error({ err: error }, "a REST exchange broke");
      outgoing.destroy();
    } finally {
      waiting.delete(gone);
      if (--inFlight === 0) whenIdle?.();
    }
  };
  server.on("request", (message, outgoing) => void serve(message, outgoing, () => {}));
  const endHandshakes = trackHandshakes(server);
  const upgraded = new Set<Duplex>();
  const { onUpgrade } = options;
  if (onUpgrade !== undefined) {
    server.on("upgrade", (message, socket, head) => {
      if (stopping.signal.aborted) {
        socket.destroy();
        return;
      }
      upgraded.add(socket);
      socket.once("close", () => upgraded.delete(socket));
      onUpgrade(message, socket, head);
    });
  }
  server.on("checkContinue", (message, outgoing) => {
    void serve(message, outgoing, () => outgoing.writeContinue());
  });

  const bound = await listen(server, options.host ?? "127.0.0.1", options.port, 511);
  const idle = (): Promise<void> =>
    new Promise((resolve) => (inFlight === 0 ? resolve() : (whenIdle = resolve)));
  const waitAtMost = async (ms: number): Promise<void> => {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
    await Promise.race([idle(), timeout]);
    clearTimeout(timer);
  };

  return {
    host: bound.address,
    port: bound.port,
    get inFlight() {
      return inFlight;
    },
    updateSecureContext: (credentials) =>
      server.setSecureContext({ ...credentials, minVersion: "TLSv1.2" }),
    async stop(graceMs = 5_000) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      stopping.abort();
      await waitAtMost(graceMs);
      for (const gone of waiting) {
        gone.abort(new IotError("hub.stopping", "The hub is stopping"));
      }
      await waitAtMost(cutGraceMs);
      endHandshakes();
      server.closeAllConnections();
      // What speaks something else by now is ended by whoever it was handed to.
      if (upgraded.size === 0) await closed;
    },
  };
}

/**
 * Connections in their TLS handshake, which the HTTP server does not know yet and so would not close.
 * @returns what ends them
 */
function trackHandshakes(server: Server): () => void {
  const handshaking = new Map<string, Socket>();
  const peerOf = ({ remoteAddress, remotePort }: Socket): string =>
    `${remoteAddress ?? ""} ${remotePort ?? 0}`;
  server.on("connection", (socket: Socket) => {
    const peer = peerOf(socket);
    handshaking.set(peer, socket);
    socket.once("close", () => {
      if (handshaking.get(peer) === socket) handshaking.delete(peer);
    });
  });
  server.on("secureConnection", (socket: Socket) => handshaking.delete(peerOf(socket)));
  return () => {
    for (const socket of handshaking.values()) socket.destroy();
  };
}
