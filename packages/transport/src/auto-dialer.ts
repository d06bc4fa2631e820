import { IotError } from "@hubwire/protocol";
import type { ErrorCode } from "@hubwire/protocol";
import type { Clock, Timer } from "./clock.ts";
import type { DialTarget, TlsDial } from "./dial.ts";
import type { ByteStream } from "./stream.ts";

/** One way to the hub, with its name for messages. */
export type Route = { name: string; dial: TlsDial };

export type AutoDialerOptions = {
  clock: Clock;
  /** For both routes together; default 30 s. */
  timeoutMs?: number;
  /** How long the preferred route is tried alone; default 5 s, at most a quarter of `timeoutMs`. */
  headStartMs?: number;
  /** How long the second route stays preferred once it was the one that worked; default one hour. */
  returnAfterMs?: number;
};

/** What the second route would not do better, or must not hide: the same server, name, certificate and proxy. */
const final: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "transport.dns",
  "transport.tls_untrusted",
  "transport.tls_self_signed",
  "transport.tls_expired",
  "transport.tls_not_yet_valid",
  "transport.tls_name_mismatch",
  "transport.tls_pin",
  "transport.tls_credentials",
  "transport.client_certificate_rejected",
  "transport.proxy_unreachable",
  "transport.proxy_auth",
  "transport.proxy_protocol",
]);

/**
 * A dial made of two: the first is preferred, the second is for networks that do not let the first through. Whichever worked
 * is tried first the next time, and the other one as soon as it fails or dawdles; after an hour the first has its turn again.
 * A certificate that the first route refused, or that was refused there, is never worked around.
 */
export function autoDialer(routes: readonly [Route, Route], options: AutoDialerOptions): TlsDial {
  const memory = new RouteMemory(options.returnAfterMs ?? 3_600_000);
  const dial = (target: DialTarget, signal: AbortSignal): Promise<ByteStream> =>
    new Promise((resolve, reject) => {
      new Race(routes, target, signal, options, memory, { resolve, reject }).start();
    });
  return Object.assign(dial, {
    check: (identity: Parameters<TlsDial["check"]>[0]): void => {
      for (const route of routes) route.dial.check(identity);
    },
  });
}

type Index = 0 | 1;

class RouteMemory {
  readonly #returnAfterMs: number;
  #preferred: Index = 0;
  /** When the first route failed while the second did not. */
  #leftAtMs = 0;

  constructor(returnAfterMs: number) {
    this.#returnAfterMs = returnAfterMs;
  }

  preferredAt(nowMs: number): Index {
    const isDue = nowMs - this.#leftAtMs >= this.#returnAfterMs;
    return this.#preferred === 1 && !isDue ? 1 : 0;
  }

  worked(index: Index, wasAlone: boolean, nowMs: number): void {
    if (index === 1 && !wasAlone) this.#leftAtMs = nowMs;
    this.#preferred = index;
  }
}

type Lane =
  | { state: "unused" }
  | { state: "dialling"; controller: AbortController }
  | { state: "opened" }
  | { state: "failed"; error: Error };

/** One attempt over one route or both. */
class Race {
  readonly #routes: readonly [Route, Route];
  readonly #target: DialTarget;
  readonly #signal: AbortSignal;
  readonly #memory: RouteMemory;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #headStartMs: number;
  readonly #outcome: { resolve(stream: ByteStream): void; reject(error: Error): void };
  readonly #lanes: [Lane, Lane] = [{ state: "unused" }, { state: "unused" }];
  readonly #preferred: Index;
  #timers: Timer[] = [];
  #isOver = false;
  readonly #onAbort = (): void => {
    const message = `connecting to ${this.#target.host} was aborted`;
    this.#fail(new IotError("call.aborted", message, { cause: this.#signal.reason }));
  };

  constructor(
    routes: readonly [Route, Route],
    target: DialTarget,
    signal: AbortSignal,
    options: AutoDialerOptions,
    memory: RouteMemory,
    outcome: { resolve(stream: ByteStream): void; reject(error: Error): void },
  ) {
    const { clock, timeoutMs = 30_000, headStartMs = 5_000 } = options;
    this.#routes = routes;
    this.#target = target;
    this.#signal = signal;
    this.#memory = memory;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#headStartMs = Math.min(headStartMs, timeoutMs / 4);
    this.#outcome = outcome;
    this.#preferred = memory.preferredAt(clock.nowMs());
  }

  start(): void {
    if (this.#signal.aborted) return this.#onAbort();
    this.#signal.addEventListener("abort", this.#onAbort, { once: true });
    const nowMs = this.#clock.nowMs();
    this.#timers = [
      this.#clock.at(nowMs + this.#headStartMs, () => this.#dial(this.#other)),
      this.#clock.at(nowMs + this.#timeoutMs, () => this.#tooSlow()),
    ];
    this.#dial(this.#preferred);
  }

  get #other(): Index {
    return this.#preferred === 0 ? 1 : 0;
  }

  #dial(index: Index): void {
    if (this.#isOver || this.#lanes[index].state !== "unused") return;
    const controller = new AbortController();
    this.#lanes[index] = { state: "dialling", controller };
    this.#routes[index].dial(this.#target, controller.signal).then(
      (stream) => this.#opened(index, stream),
      (error: unknown) => this.#failed(index, error as Error),
    );
  }

  #opened(index: Index, stream: ByteStream): void {
    if (this.#isOver) return stream.destroy();
    const wasAlone = this.#lanes[index === 0 ? 1 : 0].state === "unused";
    this.#lanes[index] = { state: "opened" };
    this.#memory.worked(index, wasAlone, this.#clock.nowMs());
    this.#end();
    this.#outcome.resolve(stream);
  }

  #failed(index: Index, error: Error): void {
    if (this.#isOver) return;
    this.#lanes[index] = { state: "failed", error };
    if (index === 0 && isFinal(error)) return this.#fail(error);
    const other = index === 0 ? 1 : 0;
    if (this.#lanes[other].state === "failed") return this.#fail(this.#bothFailed());
    this.#dial(other);
  }

  #tooSlow(): void {
    for (const index of [0, 1] as const) {
      if (this.#lanes[index].state === "failed") continue;
      const { host } = this.#target;
      const message = `no connection to ${host} within ${this.#timeoutMs} ms`;
      const error = new IotError("transport.timeout", message);
      if (this.#lanes[index].state === "dialling") this.#abort(index);
      this.#lanes[index] = { state: "failed", error };
    }
    this.#fail(this.#bothFailed());
  }

  /** Under the code that says it may heal, if one does: a captive portal on one way must not end the attempts on the other. */
  #bothFailed(): Error {
    const errors = this.#lanes.map((lane) => (lane as Lane & { state: "failed" }).error);
    const words = errors.map((error, index) => {
      const { name } = this.#routes[index as Index];
      return `over ${name}: ${error.message}`;
    });
    const known = errors.filter((error) => error instanceof IotError);
    const telling = known.find(({ retryable }) => retryable) ?? known[0];
    if (telling === undefined) return errors[0] as Error;
    return new IotError(telling.code, words.join("; "), { cause: telling });
  }

  #fail(error: Error): void {
    this.#end();
    this.#outcome.reject(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    for (const timer of this.#timers) timer.cancel();
    for (const index of [0, 1] as const) this.#abort(index);
  }

  #abort(index: Index): void {
    const lane = this.#lanes[index];
    if (lane.state === "dialling") lane.controller.abort();
  }
}

/** By shape: another package may bring its own copy of the class. */
function isFinal(error: Error): boolean {
  const { code } = error as { code?: ErrorCode };
  return code === undefined || final.has(code);
}
