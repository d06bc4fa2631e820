import type { CallOptions } from "../calls/pending-call.ts";
import type { Priority } from "./priority.ts";

/** What a message may carry beside its body. System properties are text, as on the wire; times ISO 8601 UTC. */
export type TelemetryOptions = CallOptions & {
  /** 1: resolved when the hub acknowledged. 0: resolved when handed to the socket, and then possibly lost. */
  qos?: 0 | 1 | undefined;
  /**
   * "normal" by default. A more urgent message overtakes those that wait; the order of the calls is kept within a priority.
   * Of seventeen messages at least one is of a less urgent kind, if one waits: nothing waits for ever.
   */
  priority?: Priority | undefined;
  /**
   * Milliseconds, 1 to ten years; for ever when left out. A message that has waited so long is not sent any more; the time
   * goes on while the process is not running. What was given to a connection in time is not called back.
   */
  ttlMs?: number | undefined;
  /** Application properties. */
  properties?: Readonly<Record<string, string>> | undefined;
  /** At most 128 characters; lets receivers recognise a repeated message. */
  messageId?: string | undefined;
  correlationId?: string | undefined;
  userId?: string | undefined;
  to?: string | undefined;
  /** Such as `application/json`, which routing on the body needs; set by itself when the body is a JSON value. */
  contentType?: string | undefined;
  /** `utf-8`, `utf-16` or `utf-32`; set by itself when the body is a JSON value. */
  contentEncoding?: string | undefined;
  absoluteExpiryTime?: string | undefined;
  creationTimeUtc?: string | undefined;
  /** IoT Plug and Play: the component this message is about. */
  componentName?: string | undefined;
  interfaceId?: string | undefined;
  outputName?: string | undefined;
  schema?: string | undefined;
  diagnosticId?: string | undefined;
  diagnosticContext?: string | undefined;
  traceState?: string | undefined;
};

/**
 * Bytes as they are; a string as UTF-8 text; anything else as JSON, then with content type `application/json` and encoding
 * `utf-8`. A string that shall be JSON is passed through `JSON.stringify` by the caller.
 */
export type TelemetryBody = Uint8Array | string | number | boolean | object | null;

/** One message with all that belongs to it, for calls that take several. */
export type TelemetryMessage = Omit<TelemetryOptions, "signal" | "timeoutMs"> & {
  body: TelemetryBody;
};
