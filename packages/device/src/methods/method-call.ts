import type { IotError, JsonValue } from "@hubwire/protocol";
import { LazySignal } from "../calls/lazy-signal.ts";
import type { MethodRequest } from "./method.ts";

/** One call from request to answer. */
export class MethodCall implements MethodRequest {
  readonly name: string;
  readonly payload: JsonValue;
  readonly requestId: string;
  readonly #lazySignal = new LazySignal();
  readonly #startedMs: number;
  readonly #deadlineMs: number;

  constructor(
    name: string,
    payload: JsonValue,
    requestId: string,
    startedMs: number,
    timeoutMs: number,
  ) {
    this.name = name;
    this.payload = payload;
    this.requestId = requestId;
    this.#startedMs = startedMs;
    this.#deadlineMs = startedMs + timeoutMs;
  }

  get signal(): AbortSignal {
    return this.#lazySignal.signal;
  }

  // For the client; static, so that handlers do not see them on their request.

  static deadlineMs(call: MethodCall): number {
    return call.#deadlineMs;
  }

  static startedMs(call: MethodCall): number {
    return call.#startedMs;
  }

  /** Nobody waits for the answer any more. */
  static end(call: MethodCall, reason: IotError): void {
    call.#lazySignal.abort(reason);
  }
}
