import type { IncomingMessage, ServerResponse } from "node:http";
import { IotError } from "@hubwire/protocol";
import type { RestRequest, RestResponse } from "./exchange.ts";

/** How the plain request and answer of the handler become one exchange on a socket, with bounds on both sides. */

export type ExchangeLimits = {
  /** How long a peer may leave an answer untaken before its connection is cut. */
  writeStallMs: number;
  /** How long the rest of an unread body is thrown away, so that the peer gets to read the answer, and how much of it. */
  lingerMs: number;
  lingerBytes: number;
};

export const exchangeLimitsDefault: ExchangeLimits = {
  writeStallMs: 30_000,
  lingerMs: 1_000,
  lingerBytes: 256 * 1024,
};

const isLoopbackAddress = (address: string | undefined): boolean =>
  address === "::1" || /^(?:::ffff:)?127\./.test(address ?? "");

const tooLarge = (bytesMax: number): IotError =>
  new IotError("request.too_large", `The body has more than ${bytesMax} bytes`);

function joinHeaders(message: IncomingMessage): Record<string, string | undefined> {
  const headers: Record<string, string | undefined> = {};
  for (const [name, value] of Object.entries(message.headers)) {
    headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

/** `invite` tells a client that asked (Expect: 100-continue) to send its body. */
export function toRestRequest(
  message: IncomingMessage,
  signal: AbortSignal,
  invite: () => void,
): RestRequest {
  return {
    method: message.method ?? "",
    target: message.url ?? "",
    headers: joinHeaders(message),
    readBody: (bytesMax) => readBody(message, bytesMax, invite),
    address: `${message.socket.remoteAddress ?? "unknown"}:${message.socket.remotePort ?? 0}`,
    isLoopback: isLoopbackAddress(message.socket.remoteAddress),
    signal,
  };
}

function readBody(
  message: IncomingMessage,
  bytesMax: number,
  invite: () => void,
): Promise<Uint8Array> {
  const announced = Number(message.headers["content-length"] ?? 0);
  if (announced > bytesMax) return Promise.reject(tooLarge(bytesMax));
  invite();
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const stop = (): void => {
      message.off("data", onData).off("end", onEnd).off("close", onClose);
    };
    const onData = (chunk: Uint8Array): void => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= bytesMax) return;
      stop();
      message.pause();
      reject(tooLarge(bytesMax));
    };
    const onEnd = (): void => {
      stop();
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    };
    const onClose = (): void => {
      stop();
      reject(new IotError("call.aborted", "The client went away before its body was complete"));
    };
    message.on("data", onData).on("end", onEnd).on("close", onClose);
    // A connection that was cut is told by `close`.
    message.on("error", () => {});
  });
}

/** Sends the answer; resolves when the exchange is over, whatever became of it. */
export async function sendResponse(
  message: IncomingMessage,
  outgoing: ServerResponse,
  response: RestResponse,
  limits: ExchangeLimits,
): Promise<void> {
  const { socket } = message;
  if (outgoing.destroyed || socket.destroyed) return;
  outgoing.on("error", () => {});
  socket.setTimeout(limits.writeStallMs);
  const length = Buffer.byteLength(response.body ?? "");
  const bodyHeaders = response.status === 204 ? {} : { "content-length": String(length) };
  // What is left of a body is not worth reading: the connection cannot be used for another request.
  if (!message.complete) outgoing.shouldKeepAlive = false;
  outgoing.writeHead(response.status, { ...response.headers, ...bodyHeaders });
  if (!message.complete) await linger(message, outgoing, response.body ?? "", limits);
  else outgoing.end(response.body);
  await finished(outgoing);
}

const finished = (outgoing: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    if (outgoing.destroyed || outgoing.writableFinished) return resolve();
    const done = (): void => {
      outgoing.off("finish", done).off("close", done);
      resolve();
    };
    outgoing.on("finish", done).on("close", done);
  });

/**
 * Sends the whole answer and throws away what still comes for a while before the end closes the connection: closing with
 * unread bytes would reset it, and the peer might never see the answer.
 */
async function linger(
  message: IncomingMessage,
  outgoing: ServerResponse,
  body: string,
  limits: ExchangeLimits,
): Promise<void> {
  outgoing.flushHeaders();
  if (body !== "") outgoing.write(body);
  await new Promise<void>((resolve) => {
    let left = limits.lingerBytes;
    const timer = setTimeout(resolve, limits.lingerMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    message.on("data", (chunk: Uint8Array) => {
      left -= chunk.length;
      if (left < 0) done();
    });
    message.once("end", done).once("close", done);
    message.resume();
  });
  outgoing.end();
}
