import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { rootCertificates } from "node:tls";
import { IotError, buildSasToken } from "@hubwire/protocol";
import { signWith } from "../sign.ts";
import type { Target } from "../target.ts";
import { refused, unreachable } from "./failures.ts";

const API_VERSION = "2021-04-12";
const TOKEN_LIFETIME_S = 3600;
const ANSWER_BYTES_MAX = 16 << 20;
const ANSWER_TIMEOUT_MS = 30_000;

export type RestRequest = {
  method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  path: string;
  query?: Record<string, string>;
  body?: unknown;
  ifMatch?: string;
  signal?: AbortSignal;
  /** Until the answer is there; of a stream, until it begins. */
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

  /**
   * The parsed JSON answer, or undefined for an empty one.
   * @throws IotError the hub's own code, `service.refused`, `service.unreachable`, `cli.hub_not_running`, `transport.*`
   */
  async call(options: RestRequest): Promise<unknown> {
    const { response, done } = await this.#send(options);
    const text = await this.#readAll(response).finally(done);
    checkStatus(options, response, text);
    if (text === "") return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      const { hostName, httpsPort } = this.#target;
      throw new IotError(
        "service.unreachable",
        `What answers on https://${hostName}:${httpsPort} is not an IoT Hub: its answer is not JSON.`,
        { cause },
      );
    }
  }

  /** Newline-delimited JSON, an object at a time, until the server ends it or `signal` aborts. Throws as `call` does. */
  async *lines(options: RestRequest): AsyncGenerator<Record<string, unknown>> {
    const { response, done } = await this.#send(options);
    if ((response.statusCode ?? 0) >= 300) {
      checkStatus(options, response, await this.#readAll(response).finally(done));
    }
    done();
    response.setEncoding("utf8");
    let pending = "";
    try {
      for await (const chunk of response as AsyncIterable<string>) {
        pending += chunk;
        const lines = pending.split("\n");
        pending = lines.pop() ?? "";
        for (const line of lines) {
          if (line.trim() !== "") yield JSON.parse(line) as Record<string, unknown>;
        }
      }
    } catch (error) {
      if (options.signal?.aborted === true) return;
      throw unreachable(this.#target, error);
    } finally {
      response.destroy();
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #readAll(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > ANSWER_BYTES_MAX) throw new Error(`an answer of over ${ANSWER_BYTES_MAX} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      throw unreachable(this.#target, error);
    }
    return Buffer.concat(chunks).toString("utf8");
  }

  /** SAS token for the whole hub under the target's policy. */
  async #token(): Promise<string> {
    const { hostName, policyName, key } = this.#target;
    const expiresAtS = Math.floor(Date.now() / 1000) + TOKEN_LIFETIME_S;
    return buildSasToken({ resource: hostName, expiresAtS, policyName }, signWith(key));
  }

  /** Resolves with the head of the answer; `done` lifts the deadline. */
  async #send(options: RestRequest): Promise<{ response: IncomingMessage; done: () => void }> {
    const target = this.#target;
    const query = new URLSearchParams({ "api-version": API_VERSION, ...options.query });
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers: Record<string, string> = {
      authorization: await this.#token(),
      ...(body === undefined
        ? {}
        : {
            "content-type": "application/json; charset=utf-8",
            "content-length": String(Buffer.byteLength(body)),
          }),
      ...(options.ifMatch === undefined ? {} : { "if-match": options.ifMatch }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = request({
        host: target.hostName,
        port: target.httpsPort,
        method: options.method,
        path: `${options.path}?${query.toString()}`,
        headers,
        agent: this.#agent,
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
      const timeoutMs = options.timeoutMs ?? ANSWER_TIMEOUT_MS;
      const timer = setTimeout(() => {
        outgoing.destroy(new Error(`nothing for ${timeoutMs / 1000} s`));
      }, timeoutMs);
      const done = (): void => clearTimeout(timer);
      outgoing.on("response", (response) => resolve({ response, done }));
      outgoing.on("error", (error) => {
        done();
        reject(
          options.signal?.aborted === true
            ? new IotError("call.aborted", "Interrupted.", { cause: error })
            : unreachable(target, error),
        );
      });
      outgoing.end(body);
    });
  }
}

function checkStatus(options: RestRequest, response: IncomingMessage, text: string): void {
  const status = response.statusCode ?? 0;
  if (status < 300) return;
  const header = response.headers["hubwire-errorcode"];
  const errorCode = typeof header === "string" ? header : undefined;
  throw refused(options, { status, errorCode, text });
}
