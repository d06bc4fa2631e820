import { IotError } from "@hubwire/protocol";
import { net } from "./builtins.ts";
import type { DialTarget } from "./dial.ts";
import { connectTimeout } from "./tls-errors.ts";
import type { Attempt } from "./tls-errors.ts";

/**
 * One attempt to open a stream, from name resolution to the last handshake: one deadline for all steps, and where it is, for
 * the words of the error. `signal` aborts with the `IotError` to reject with, whether the caller gave up or time did.
 */
export class DialAttempt implements Attempt {
  readonly host: string;
  readonly port: number;
  readonly identity: DialTarget["identity"];
  readonly serverName: string;
  phase: Attempt["phase"];
  via = "";
  presented: Attempt["presented"];
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #timer: NodeJS.Timeout;
  readonly #onAbort = (): void => {
    const message = `connecting to ${this.host}:${this.port} was aborted`;
    this.#end(new IotError("call.aborted", message, { cause: this.#outer.reason }));
  };

  constructor(
    target: DialTarget & { serverName?: string | undefined },
    timeoutMs: number,
    outer: AbortSignal,
  ) {
    this.host = target.host;
    this.port = target.port;
    this.identity = target.identity;
    this.serverName = target.serverName ?? target.host;
    this.phase = net().isIP(target.host) ? "the TCP connection" : "name resolution";
    this.presented = undefined;
    this.signal = this.#controller.signal;
    this.#outer = outer;
    this.#timer = setTimeout(() => this.#end(connectTimeout(timeoutMs, this)), timeoutMs);
    if (outer.aborted) this.#onAbort();
    else outer.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Stops the timer; without it, it would fire into nothing. */
  done(): void {
    clearTimeout(this.#timer);
    this.#outer.removeEventListener("abort", this.#onAbort);
  }

  #end(error: IotError): void {
    this.done();
    this.#controller.abort(error);
  }
}

/**
 * Runs one step on a socket: `begin` listens for what it waits for, calls `resolve` or `reject`, and returns what stops its
 * listening. An error of the socket, the deadline and the caller's abort end the step too, and a failed step destroys the
 * socket.
 */
export function socketStep<T>(
  socket: StepSocket,
  signal: AbortSignal,
  errorOf: (error: Error) => Error,
  begin: (resolve: (value: T) => void, reject: (error: Error) => void) => () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let stop = (): void => undefined;
    let isSettled = false;
    const settle = (): boolean => {
      if (isSettled) return false;
      isSettled = true;
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", onError);
      stop();
      return true;
    };
    const fail = (error: Error): void => {
      if (!settle()) return;
      // What a destroyed socket still has to say interests nobody.
      socket.on("error", () => undefined);
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason as Error);
    const onError = (error: Error): void => fail(errorOf(error));
    signal.addEventListener("abort", onAbort, { once: true });
    socket.on("error", onError);
    stop = begin((value) => {
      if (settle()) resolve(value);
    }, fail);
    if (isSettled) stop();
    if (signal.aborted) onAbort();
  });
}

type StepSocket = {
  on(event: "error", listener: (error: Error) => void): unknown;
  removeListener(event: "error", listener: (error: Error) => void): unknown;
  destroy(): unknown;
};
