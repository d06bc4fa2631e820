import { createHmac } from "node:crypto";
import { Agent, request } from "node:https";
import { rootCertificates } from "node:tls";
import { IotError, buildSasToken } from "@hubwire/protocol";
import type { Target } from "../target.ts";

const API_VERSION = "2021-04-12";
const TOKEN_LIFETIME_S = 3600;
const RESPONSE_BYTES_MAX = 16 << 20;

export type RestRequest = {
  method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  ifMatch?: string;
  signal?: AbortSignal;
  timeoutMs?: number;
};

/** A service client for exactly what the command needs, over REST with a policy's SAS token. */
export class RestClient {
  readonly #target: Target;
  readonly #agent: Agent;

  constructor(target: Target) {
    this.#target = target;
    this.#agent = new Agent({
      keepAlive: true,
      ...(target.ca === undefined ? {} : { ca: [...rootCertificates, target.ca] }),
    });
  }

  /** SAS token for the whole hub under the target's policy. */
  async token(): Promise<string> {
    const { hostName, policyName, key } = this.#target;
    const expiresAtS = Math.floor(Date.now() / 1000) + TOKEN_LIFETIME_S;
    const sign = (text: string): Promise<string> =>
      Promise.resolve(
        createHmac("sha256", Buffer.from(key, "base64")).update(text).digest("base64"),
      );
    return buildSasToken({ resource: hostName, expiresAtS, policyName }, sign);
  }

  /** The parsed JSON answer, or undefined for an empty one. @throws IotError `service.refused`, `service.unreachable` */
  async call(options: RestRequest): Promise<unknown> {
    const response = await this.#send(options);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > RESPONSE_BYTES_MAX) response.destroy();
      chunks.push(chunk);
    }
    const text = Buffer.concat(chunks).toString("utf8");
    const status = response.statusCode ?? 0;
    if (status >= 300) throw refused(options, status, text);
    return text === "" ? undefined : (JSON.parse(text) as unknown);
  }

  /** Newline-delimited JSON, an object at a time, until the server ends it or `signal` aborts. */
  async *lines(options: RestRequest): AsyncGenerator<Record<string, unknown>> {
    const response = await this.#send(options);
    const status = response.statusCode ?? 0;
    response.setEncoding("utf8");
    let pending = "";
    try {
      for await (const chunk of response as AsyncIterable<string>) {
        pending += chunk;
        if (status >= 300) continue;
        let end = pending.indexOf("\n");
        while (end >= 0) {
          const line = pending.slice(0, end).trim();
          pending = pending.slice(end + 1);
          if (line !== "") yield JSON.parse(line) as Record<string, unknown>;
          end = pending.indexOf("\n");
        }
      }
    } catch (error) {
      if (options.signal?.aborted === true) return;
      throw unreachable(this.#target, error);
    } finally {
      response.destroy();
    }
    if (status >= 300) throw refused(options, status, pending);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(options: RestRequest): Promise<import("node:http").IncomingMessage> {
    const target = this.#target;
    const query = new URLSearchParams({ "api-version": API_VERSION, ...options.query });
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers: Record<string, string> = {
      authorization: await this.token(),
      ...(body === undefined
        ? {}
        : {
            "content-type": "application/json; charset=utf-8",
            "content-length": String(Buffer.byteLength(body)),
          }),
      ...(options.ifMatch === undefined ? {} : { "if-match": options.ifMatch }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: target.hostName,
          port: target.httpsPort,
          method: options.method,
          path: `${options.path}?${query.toString()}`,
          headers,
          agent: this.#agent,
          ...(options.signal === undefined ? {} : { signal: options.signal }),
          ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
        },
        resolve,
      );
      outgoing.on("timeout", () => outgoing.destroy(new Error("no answer in time")));
      outgoing.on("error", (error) => reject(unreachable(target, error)));
      outgoing.end(body);
    });
  }
}

function unreachable(target: Target, cause: unknown): IotError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new IotError(
    "service.unreachable",
    `Could not talk to https://${target.hostName}:${target.httpsPort}: ${reason}`,
    { cause },
  );
}

/** The hub's own words out of the error envelope (reference: forms A, B and C). */
function refused(options: RestRequest, status: number, text: string): IotError {
  let reason = text;
  try {
    const outer = JSON.parse(text) as { Message?: string; message?: string };
    reason = outer.Message ?? outer.message ?? text;
    if (reason.startsWith("{")) {
      reason = (JSON.parse(reason) as { message?: string }).message ?? reason;
    }
  } catch {
    // Not JSON: a proxy's page, or nothing at all. Show it as it is.
  }
  return new IotError(
    "service.refused",
    `The hub answered ${options.method} ${options.path} with ${status}: ${reason.slice(0, 500)}`,
  );
}
