import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { rootCertificates } from "node:tls";
import type { FetchAnswer, FetchLike } from "../rest/fetch-like.ts";
import { unreachable } from "./failures.ts";

export { unreachable } from "./failures.ts";

export type NodeFetchOptions = {
  /** PEM of CAs trusted besides the usual ones: a local hub's `ca.pem`. */
  ca?: string | readonly string[];
  /** Instead of an agent of its own, for instance one that goes through a proxy; it then holds the CA too, and is not closed here. */
  agent?: Agent;
  /** The longest answer that is read, bytes. Default 16 MiB. */
  answerBytesMax?: number;
};

/** `fetch` for `createServiceClient` over `node:https`, with connections kept open. `close` ends them. */
export type NodeFetch = FetchLike & Disposable & { close(): void };

const answerBytesMaxDefault = 16 << 20;

/** @throws (its calls) IotError `transport.*`, `service.unreachable` */
export function createNodeFetch(options: NodeFetchOptions = {}): NodeFetch {
  const { ca = [], answerBytesMax = answerBytesMaxDefault } = options;
  const extra = typeof ca === "string" ? [ca] : [...ca];
  const own = new Agent({
    keepAlive: true,
    ...(extra.length === 0 ? {} : { ca: [...rootCertificates, ...extra] }),
  });
  const agent = options.agent ?? own;
  const fetch: FetchLike = (url, { method, headers, body, signal }) => {
    const { origin } = new URL(url);
    return new Promise<FetchAnswer>((resolve, reject) => {
      const fail = (error: unknown): void => reject(unreachable(origin, error));
      const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
      const outgoing = request(
        url,
        { method, headers: { ...headers, ...length }, agent, signal },
        (response) => {
          readAll(response, answerBytesMax).then((text) => resolve(answerOf(response, text)), fail);
        },
      );
      outgoing.on("error", fail);
      outgoing.end(body);
    });
  };
  const close = (): void => own.destroy();
  return Object.assign(fetch, { close, [Symbol.dispose]: close });
}

function answerOf(response: IncomingMessage, text: string): FetchAnswer {
  return {
    status: response.statusCode ?? 0,
    headers: {
      get(name) {
        const value = response.headers[name.toLowerCase()];
        return (Array.isArray(value) ? value.join(", ") : value) ?? null;
      },
    },
    text: async () => text,
  };
}

async function readAll(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bytesMax) throw new Error(`an answer of over ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
