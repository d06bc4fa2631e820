import type { JsonValue } from "@hubwire/protocol";

/** A direct method call, as a handler gets it. */
export type MethodRequest = {
  name: string;
  /** The caller's payload; null when there was none. */
  payload: JsonValue;
  /** The hub's id of this call, for logs. */
  requestId: string;
};

/** What the caller of the method gets. */
export type MethodResponse = {
  /** Any 32-bit integer; by custom an HTTP status. Default 200. */
  status?: number;
  /** Any JSON value, at most 128 KB; left out, the caller gets null. */
  payload?: unknown;
};

/** Answers a direct method; nothing returned means status 200 without payload. A handler that throws answers 500. */
export type MethodHandler = (
  request: MethodRequest,
) => MethodResponse | void | Promise<MethodResponse | void>;
