import { STATUS_CODES } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { tlsPeers } from "@hubwire/transport";
import type { ByteStream } from "@hubwire/transport";
import { WebSocketServer } from "ws";
import type { Logger } from "../../domain/observe.ts";
import { WebSocketStream } from "./websocket-stream.ts";

/** Largest WebSocket message (bytes): an MQTT packet or AMQP frame of the largest size fits several times. */
const messageBytesMax = 1_048_576;

type Takes = { handleStream(stream: ByteStream): void };

export type UpgradeOptions = { mqtt: Takes; amqp: Takes; logger: Logger };

export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Azure's paths and subprotocols (observed in the official SDKs); names ignore case. */
const endpoints = (options: UpgradeOptions): ReadonlyMap<string, ReadonlyMap<string, Takes>> =>
  new Map([
    [
      "/$iothub/websocket",
      new Map([
        ["mqtt", options.mqtt],
        ["amqpwsb10", options.amqp],
      ]),
    ],
    ["/$servicebus/websocket", new Map([["amqpwsb10", options.amqp]])],
  ]);

/**
 * Turns upgrade requests on the HTTPS port into streams: the path and the first subprotocol that is served there say whose.
 * Compression is never agreed to: what devices send is small or encrypted, and its memory has no bound.
 */
export function createUpgrades(options: UpgradeOptions): UpgradeListener {
  const known = endpoints(options);
  const peerOf = tlsPeers();
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: messageBytesMax,
    perMessageDeflate: false,
    autoPong: false,
    handleProtocols: (offered, request) =>
      [...offered].find((name) => protocolsOf(request, known)?.has(name.toLowerCase())) ?? false,
  });
  server.on("wsClientError", (error, socket, request) => {
    options.logger.debug({ event: "websocket_refused", reason: error.message }, "No WebSocket");
    refuse(socket, request.method === "GET" ? 400 : 405, error.message);
  });

  return (request, socket, head) => {
    socket.on("error", () => socket.destroy());
    const protocols = protocolsOf(request, known);
    if (protocols === undefined) return refuse(socket, 404, "There is no WebSocket here");
    const takes = offeredBy(request)
      .map((name) => protocols.get(name))
      .find((found) => found !== undefined);
    if (takes === undefined) {
      return refuse(
        socket,
        400,
        `Sec-WebSocket-Protocol is one of ${[...protocols.keys()].join(", ")}`,
      );
    }
    const peer = peerOf(socket as TLSSocket);
    server.handleUpgrade(request, socket, head, (webSocket) => {
      takes.handleStream(new WebSocketStream(webSocket, socket, peer));
    });
  };
}

function protocolsOf(
  request: IncomingMessage,
  known: ReadonlyMap<string, ReadonlyMap<string, Takes>>,
): ReadonlyMap<string, Takes> | undefined {
  const [path = ""] = (request.url ?? "").split("?");
  return known.get(path.toLowerCase().replace("%24", "$").replace(/\/$/, ""));
}

const offeredBy = (request: IncomingMessage): string[] =>
  (request.headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase());

function refuse(socket: Duplex, status: number, reason: string): void {
  const body = `${reason}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
