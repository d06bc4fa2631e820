import { once } from "node:events";
import { Agent, request } from "node:https";
import type { IncomingMessage } from "node:http";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TLSSocket } from "node:tls";
import { testCertificates } from "@hubwire/testkit";
import { afterEach } from "vitest";
import { createRestListener } from "../../src/listeners/rest/index.ts";
import type { RestLimits, RestListener, RestServices } from "../../src/listeners/rest/index.ts";
import { createRestWorld } from "./rest-world.ts";

export const certificates = await testCertificates();
const ca = certificates.root.cert;

const open: { destroy(): void }[] = [];
const listeners: RestListener[] = [];

afterEach(async () => {
  for (const thing of open.splice(0)) thing.destroy();
  await Promise.all(listeners.splice(0).map((listener) => listener.stop(0)));
});

function cleanUp<T extends { destroy(): void }>(thing: T): T {
  open.push(thing);
  return thing;
}

export type Answer = { status: number; headers: IncomingMessage["headers"]; body: string };

async function answerOf(response: IncomingMessage): Promise<Answer> {
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** The REST world behind a real TLS listener on a free port. */
export async function createTlsWorld(
  limits: Partial<RestLimits> = {},
  overrides: Partial<RestServices> = {},
  onUpgrade?: Parameters<typeof createRestListener>[0]["onUpgrade"],
) {
  const world = await createRestWorld(overrides);
  const listener = await createRestListener({
    services: world.services,
    key: certificates.server.key,
    cert: certificates.server.fullChain,
    port: 0,
    limits,
    ...(onUpgrade === undefined ? {} : { onUpgrade }),
  });
  listeners.push(listener);
  const { port } = listener;
  const agent = cleanUp(new Agent({ ca, keepAlive: true }));

  /** Sends the head and leaves the body to the caller. */
  const begin = (method: string, path: string, headers: Record<string, string | number> = {}) => {
    const authorization = world.owner;
    const outgoing = request({
      host: "127.0.0.1",
      servername: "localhost",
      port,
      method,
      path,
      agent,
      headers: { authorization, ...headers },
    });
    outgoing.on("error", () => {});
    return cleanUp(outgoing);
  };
  const responseTo = async (outgoing: ReturnType<typeof begin>): Promise<IncomingMessage> => {
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    return response;
  };
  const send = async (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string | number> = {},
  ): Promise<Answer> => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const typed = text === undefined ? {} : { "content-type": "application/json" };
    const outgoing = begin(method, path, { ...typed, ...headers });
    outgoing.end(text);
    return answerOf(await responseTo(outgoing));
  };
  /** A TLS connection to write anything on. */
  const raw = async (): Promise<TLSSocket> => {
    const socket = cleanUp(connectTls({ host: "127.0.0.1", port, ca, servername: "localhost" }));
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    return socket;
  };
  /** A TCP connection that speaks no TLS of itself. */
  const plain = async (): Promise<Socket> => {
    const socket = cleanUp(connectTcp({ host: "127.0.0.1", port }));
    socket.on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  return { ...world, listener, port, begin, responseTo, answerOf, send, raw, plain };
}

/** Everything the peer sent until the connection closed. */
export async function readToClose(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => (text += String(chunk)));
  // Also after an error: a peer that closes while bytes are on their way resets.
  if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
  return text;
}
