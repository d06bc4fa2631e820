import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import { IotError } from "@hubwire/protocol";
import { connectError, printable, socketStep } from "@hubwire/transport";
import type { DialAttempt } from "@hubwire/transport";
import { WebSocket } from "ws";

/** IoT Hub's name for MQTT 3.1.1 as a WebSocket subprotocol; both sides must say it. */
const subprotocol = "mqtt";

export type UpgradeOptions = {
  path: string;
  messageBytesMax: number;
  onServerTime: ((unixMs: number) => void) | undefined;
};

/** Turns a TLS socket into a WebSocket, paused; each way a server can decline has its own code. */
export function upgrade(
  socket: TLSSocket,
  attempt: DialAttempt,
  options: UpgradeOptions,
): Promise<WebSocket> {
  const { host, port } = attempt;
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const connection = new WebSocket(`wss://${authority}${options.path}`, subprotocol, {
    createConnection: () => socket,
    // MQTT packets are small and half of them random: compressing costs memory and gains nothing.
    perMessageDeflate: false,
    maxPayload: options.messageBytesMax,
  });
  const step = {
    on: connection.on.bind(connection),
    removeListener: connection.removeListener.bind(connection),
    destroy: () => {
      connection.terminate();
      socket.destroy();
    },
  };
  let chosen: string | undefined;
  const where = `${host}:${port}${attempt.via}`;
  const errorOf = (error: Error): Error => declined(error, chosen, where, attempt);
  return socketStep<WebSocket>(step, attempt.signal, errorOf, (resolve, reject) => {
    connection.once("upgrade", (response) => {
      chosen = response.headers["sec-websocket-protocol"] ?? "";
      tellTime(response, options.onServerTime);
    });
    connection.once("unexpected-response", (_, response) => {
      tellTime(response, options.onServerTime);
      reject(new IotError("transport.websocket_refused", refusal(response, where)));
    });
    connection.once("open", () => {
      // At once: frames may be waiting behind the answer, and nobody listens yet.
      connection.pause();
      resolve(connection);
    });
    return () => connection.removeAllListeners("open");
  });
}

function tellTime(response: IncomingMessage, tell: ((unixMs: number) => void) | undefined): void {
  const unixMs = Date.parse(response.headers.date ?? "");
  if (!Number.isNaN(unixMs)) tell?.(unixMs);
}

function refusal(response: IncomingMessage, where: string): string {
  const { statusCode = 0, statusMessage = "", headers } = response;
  const elsewhere = originOf(headers.location);
  const words = printable(`${statusCode} ${statusMessage}`);
  const hint = elsewhere === undefined ? "" : `, and points to ${elsewhere}`;
  return `${where} answered the WebSocket request with ${words}${hint}`;
}

/** Without path and query, which may carry somebody's session. */
function originOf(location: string | undefined): string | undefined {
  if (location === undefined || !URL.canParse(location)) return undefined;
  return printable(new URL(location).origin);
}

/** The texts are those of ws 8. */
function declined(
  error: Error & { code?: string },
  chosen: string | undefined,
  where: string,
  attempt: DialAttempt,
): Error {
  if (/subprotocol/.test(error.message)) {
    const answer = chosen === undefined || chosen === "" ? "none" : printable(chosen);
    const message = `${where} does not speak MQTT over WebSocket: asked for the subprotocol ${subprotocol}, it chose ${answer}`;
    return new IotError("transport.websocket_subprotocol", message, { cause: error });
  }
  const isProtocol =
    error.code === undefined || /^(HPE_|WS_ERR_)/.test(error.code) || chosen !== undefined;
  if (!isProtocol) return connectError(error, attempt);
  const message = `${where} gave no WebSocket answer: ${printable(error.message)}`;
  return new IotError("transport.websocket_protocol", message, { cause: error });
}
