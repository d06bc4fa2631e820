import type { JsonValue } from "@hubwire/protocol";

/** A direct method call, as a handler gets it. */
export type MethodRequest<Payload = JsonValue> = {
  name: string;
  /** The caller's payload; null when there was none. */
  payload: Payload;
  /** The hub's id of this call, for logs. */
  requestId: string;
  /** Aborted when the time of the call is over or the client is closed: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
};

/** What the caller of the method gets. */
export type MethodResponse<Payload = unknown> = {
  /** Any 32-bit integer; by custom an HTTP status. Default 200. */
  status?: number;
  /** Any JSON value, at most 128 KB; left out, the caller gets null. */
  payload?: Payload;
};

/**
 * Answers a direct method; nothing returned means status 200 without payload. A handler that throws answers 500, with
 * `{"code":"device.method_failed","message":…}`; what it threw goes to `onError` and is never sent.
 */
export type MethodHandler<Payload = JsonValue, Answer = unknown> = (
  request: MethodRequest<Payload>,
) => MethodResponse<Answer> | void | Promise<MethodResponse<Answer> | void>;

export type MethodOptions<Payload = JsonValue> = {
  /**
   * Checks the payload and gives it its type, before the handler is called. What it throws answers 400 with the error's
   * message. Without it the payload has the type only by assertion: a caller may send anything.
   */
  parse?: ((payload: JsonValue) => Payload) | undefined;
  /** Milliseconds until the call is answered 504; the client's `methodTimeoutMs`. */
  timeoutMs?: number | undefined;
};

/** A handler with its options, whatever types it was registered with. */
export type RegisteredMethod = {
  readonly handler: MethodHandler;
  readonly parse: ((payload: JsonValue) => unknown) | undefined;
  readonly timeoutMs: number;
};
