import { IotError, percentEncode } from "@hubwire/protocol";
import type { Access } from "../credentials.ts";
import { refused } from "../refusal.ts";
import type { CallOptions } from "../types.ts";
import { startDeadline } from "../waiting.ts";
import type { Deadline } from "../waiting.ts";
import type { FetchAnswer, FetchLike } from "./fetch-like.ts";
import { waitBeforeRetry } from "./retry.ts";
import type { RetryOptions } from "./retry.ts";

export type RestCall = {
  method: "GET" | "PUT" | "POST" | "PATCH" | "DELETE";
  /** Path segments, not encoded; an `id` is somebody's text and is encoded. */
  path: readonly (string | { id: string })[];
  query?: Record<string, string>;
  headers?: Record<string, string>;
  /** Becomes JSON. */
  body?: unknown;
  /** Unquoted etag, or `*`. */
  ifMatch?: string | undefined;
  /** Whether a status from 300 with this JSON is an answer rather than an error. */
  acceptBody?: (status: number, json: unknown) => boolean;
};

export type RestAnswer = {
  status: number;
  header: (name: string) => string | undefined;
  /** Parsed JSON; undefined for an empty body. */
  json: unknown;
};

export type Call = (call: RestCall, options?: CallOptions) => Promise<RestAnswer>;

/** The service API version this client speaks. */
export const apiVersion = "2021-04-12";
const timeoutMsDefault = 30_000;

/** One request and its answer, tried again while the hub says that it is busy. Settles by its deadline, whatever `fetch` does. */
export function createCaller(parts: {
  access: Access;
  /** `https://host[:port]`, no slash at the end. */
  endpoint: string;
  fetch: FetchLike;
  retry: RetryOptions;
}): Call {
  const { access, endpoint, fetch, retry } = parts;

  async function send(call: RestCall, deadline: Deadline): Promise<FetchAnswer & { body: string }> {
    const path = pathOf(call);
    const query = new URLSearchParams({ ...call.query, "api-version": apiVersion }).toString();
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const init = {
      method: call.method,
      headers: {
        authorization: await access.token(),
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json; charset=utf-8" }),
        ...(call.ifMatch === undefined ? {} : { "if-match": `"${call.ifMatch}"` }),
        ...call.headers,
      },
      signal: deadline.signal,
      ...(body === undefined ? {} : { body }),
    };
    try {
      const answer = await fetch(`${endpoint}${path}?${query}`, init);
      const { status, headers } = answer;
      return { status, headers, text: async () => "", body: await answer.text() };
    } catch (cause) {
      if (deadline.signal.aborted) throw deadline.signal.reason;
      if (cause instanceof IotError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new IotError("service.unreachable", `No answer from ${endpoint}: ${why}`, { cause });
    }
  }

  return async (call, options = {}) => {
    const asked = { method: call.method, path: pathOf(call) };
    const timeoutMs = timeoutOf(options.timeoutMs);
    const deadline = startDeadline(`${asked.method} ${asked.path}`, timeoutMs, options.signal);
    try {
      for (let attempt = 1; ; attempt++) {
        // oxlint-disable-next-line no-await-in-loop -- one try after the other
        const answer = await deadline.race(send(call, deadline));
        const header = (name: string): string | undefined => answer.headers.get(name) ?? undefined;
        const { status } = answer;
        if (status < 300) return { status, header, json: parse(answer.body, endpoint) };
        if (call.acceptBody !== undefined) {
          const json = jsonIn(answer.body);
          if (call.acceptBody(status, json)) return { status, header, json };
        }
        const seen = { status, retryAfter: header("retry-after") };
        const waitMs = waitBeforeRetry(retry, attempt, call.method, seen, Date.now());
        if (waitMs === undefined || waitMs >= deadline.leftMs()) {
          throw refused(asked, { status, header, text: answer.body });
        }
        // oxlint-disable-next-line no-await-in-loop -- as the hub asked
        await deadline.sleep(waitMs);
      }
    } finally {
      deadline.done();
    }
  };
}

function timeoutOf(timeoutMs: number | undefined): number {
  const value = timeoutMs ?? timeoutMsDefault;
  if (Number.isFinite(value) && value > 0 && value < 2 ** 31) return value;
  throw new IotError("argument.invalid", "timeoutMs is a number of milliseconds above 0");
}

function pathOf({ path }: RestCall): string {
  return path
    .map((segment) => `/${typeof segment === "string" ? segment : encodeId(segment.id)}`)
    .join("");
}

function encodeId(id: string): string {
  const encoded = typeof id === "string" && id !== "" ? percentEncode(id) : undefined;
  // `.` and `..` would be taken out of the address by whoever sends it.
  if (encoded === undefined || id === "." || id === "..") {
    throw new IotError("identity.bad_id", "An id is missing, or is no text an address can hold");
  }
  return encoded;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function parse(text: string, endpoint: string): unknown {
  const json = text === "" ? undefined : jsonIn(text);
  if (text === "" || json !== undefined) return json;
  throw new IotError(
    "service.bad_answer",
    `What answers on ${endpoint} is not an IoT Hub: its answer is not JSON.`,
  );
}
