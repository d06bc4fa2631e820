import { IotError } from "@hubwire/protocol";

/** What an aborted call rejects with; the signal's reason is the cause. */
export const aborted = (what: string, signal: AbortSignal): IotError =>
  new IotError("call.aborted", `${what} was aborted`, { cause: signal.reason });

export const timedOut = (what: string, timeoutMs: number, options?: ErrorOptions): IotError =>
  new IotError("call.timeout", `${what} did not finish within ${timeoutMs} ms`, options);

/** @param failure why the client gave up, when it was not the application that closed it */
export const closed = (what: string, failure?: IotError): IotError =>
  failure === undefined
    ? new IotError("client.closed", `${what}: the device client is closed`)
    : new IotError("client.closed", `${what}: the device client gave up: ${failure.message}`, {
        cause: failure,
      });

/** The caller's mistake, named. */
export const invalid = (message: string): IotError => new IotError("argument.invalid", message);

/** By shape, because an `openStream` from another package may bring its own copy of the class. */
export const isIotError = (error: unknown): error is IotError =>
  error instanceof IotError || (error instanceof Error && error.name === "IotError");
