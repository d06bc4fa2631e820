import {
  IotError,
  isMethodName,
  methodPayloadBytesMax,
  methodResponseTopic,
  methodsFilter,
  parseJson,
  payloadOf,
} from "@hubwire/protocol";
import type { ErrorCode, IncomingMessage, JsonValue } from "@hubwire/protocol";
import { closed, invalid } from "../calls/errors.ts";
import type { Agenda, Machine } from "../connection/agenda.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import type { Uplink } from "../connection/uplink.ts";
import { channels } from "../observe/channels.ts";
import { checkNumber } from "../options/bounds.ts";
import type { Settings } from "../options/settings.ts";
import { MethodCall } from "./method-call.ts";
import type { MethodHandler, MethodOptions, RegisteredMethod } from "./method.ts";
import { encodeResponse, say } from "./method-response.ts";

/** Longer names are no method names; what a hostile hub sends is quoted only so far. */
const shownNameMax = 128;

/**
 * Direct methods. Every request gets an answer, because a service that hears nothing waits for its whole time-out:
 *
 * | status | when | `code` in the body |
 * | --- | --- | --- |
 * | 400, 413 | the payload is no JSON, `parse` refused it; it is over 128 KB | `device.method_bad_payload` |
 * | 404 | nobody registered the name and there is no `unknownMethod` | `device.method_unknown` |
 * | 429 | `methodsConcurrentMax` handlers run | `device.method_busy` |
 * | 500 | the handler threw; it returned what cannot be sent | `device.method_failed`, `device.method_bad_response` |
 * | 504 | the handler's time is over | `device.method_timeout` |
 *
 * A handler whose time is over has its signal aborted and its place given to the next call; what it returns later is
 * dropped.
 */
export class Methods implements Machine {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #subscriptions: Subscriptions;
  readonly #agenda: Agenda;
  readonly #handlers = new Map<string, RegisteredMethod>();
  readonly #unknown: RegisteredMethod | undefined;
  readonly #running = new Set<MethodCall>();

  constructor(
    settings: Settings,
    uplink: Uplink,
    subscriptions: Subscriptions,
    agenda: Agenda,
    handlers: Readonly<Record<string, MethodHandler>>,
    unknown: MethodHandler | undefined,
  ) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#subscriptions = subscriptions;
    this.#agenda = agenda;
    agenda.add(this);
    for (const [name, handler] of Object.entries(handlers)) this.on(name, handler, {});
    if (unknown === undefined) return;
    if (typeof unknown !== "function") throw invalid("unknownMethod is no function");
    this.#unknown = this.#registered(unknown as MethodHandler<unknown>, {});
    this.#subscribe();
  }

  /** Handlers at work: their answers belong to this connection. */
  get running(): number {
    return this.#running.size;
  }

  /** @returns takes the handler away again */
  on<Payload, Answer>(
    name: string,
    handler: MethodHandler<Payload, Answer>,
    options: MethodOptions<Payload>,
  ): () => void {
    if (!isMethodName(name)) {
      throw invalid(`${JSON.stringify(name)} is no method name IoT Hub takes`);
    }
    if (typeof handler !== "function") {
      throw invalid(`The handler of method ${name} is no function`);
    }
    if (this.#handlers.has(name)) throw invalid(`Method ${name} has a handler already`);
    const registered = this.#registered(handler as MethodHandler<unknown>, options);
    this.#handlers.set(name, registered);
    this.#subscribe();
    return () => {
      if (this.#handlers.get(name) === registered) this.#handlers.delete(name);
    };
  }

  received(message: IncomingMessage, name: string, rid: string): void {
    const method = this.#handlers.get(name) ?? this.#unknown;
    const nowMs = this.#settings.clock.nowMs();
    if (method === undefined) {
      const text = `There is no method ${name.slice(0, shownNameMax)}`;
      return this.#refuse(name, rid, 404, "device.method_unknown", text);
    }
    if (this.#running.size >= this.#settings.methodsConcurrentMax) {
      return this.#refuse(name, rid, 429, "device.method_busy", "Too many method calls at a time");
    }
    const bytes = payloadOf(message);
    if (bytes.length > methodPayloadBytesMax) {
      const text = `The payload has ${bytes.length} bytes, more than ${methodPayloadBytesMax}`;
      return this.#refuse(name, rid, 413, "device.method_bad_payload", text);
    }
    let payload: JsonValue = null;
    try {
      if (bytes.length > 0) payload = parseJson(bytes);
      if (method.parse !== undefined) payload = method.parse(payload) as JsonValue;
    } catch (error) {
      return this.#refuse(name, rid, 400, "device.method_bad_payload", messageOf(error));
    }
    const call = new MethodCall(name, payload, rid, nowMs, method.timeoutMs);
    this.#running.add(call);
    this.#agenda.expect(MethodCall.deadlineMs(call));
    void this.#run(method.handler, call);
  }

  get deadlineMs(): number {
    let nextMs = Infinity;
    for (const call of this.#running) nextMs = Math.min(nextMs, MethodCall.deadlineMs(call));
    return nextMs;
  }

  tick(nowMs: number): void {
    for (const call of this.#running) {
      if (MethodCall.deadlineMs(call) > nowMs) continue;
      const tookMs = MethodCall.deadlineMs(call) - MethodCall.startedMs(call);
      const text = `Method ${call.name} did not finish within ${tookMs} ms`;
      const error = new IotError("device.method_timeout", text);
      this.#end(call, 504, say(error.code, text));
      MethodCall.end(call, error);
      this.#settings.onError(error, `method ${call.name}`);
    }
  }

  close(): void {
    for (const call of this.#running) MethodCall.end(call, closed(`method ${call.name}`));
    this.#running.clear();
  }

  async #run(handler: MethodHandler, call: MethodCall): Promise<void> {
    let failure: unknown;
    try {
      const { status, body } = encodeResponse(call.name, await handler(call));
      return this.#end(call, status, body);
    } catch (error) {
      failure = error;
    }
    const isOurs = failure instanceof IotError && failure.code === "device.method_bad_response";
    const text = isOurs ? (failure as IotError).message : `The handler of ${call.name} failed`;
    this.#end(call, 500, say(isOurs ? "device.method_bad_response" : "device.method_failed", text));
    // After the answer: it is the application's code, and may throw too.
    this.#settings.onError(failure, `method ${call.name}`);
  }

  #end(call: MethodCall, status: number, body: Uint8Array): void {
    if (!this.#running.delete(call)) return;
    if (status === 500 || status === 504) this.#settings.stats.methodFailures += 1;
    this.#answer(call.name, call.requestId, status, body, MethodCall.startedMs(call));
    this.#uplink.requestDone();
  }

  #refuse(name: string, rid: string, status: number, code: ErrorCode, text: string): void {
    this.#settings.stats.methodFailures += 1;
    this.#answer(name, rid, status, say(code, text), this.#settings.clock.nowMs());
  }

  /** QoS 0, on the connection there is now: the hub drops an answer that comes too late. */
  #answer(name: string, rid: string, status: number, payload: Uint8Array, fromMs: number): void {
    if (!this.#uplink.connected) return;
    const { clock, stats, gate } = this.#settings;
    const nowMs = clock.nowMs();
    let topic: string;
    try {
      topic = methodResponseTopic(status, rid);
    } catch {
      // A request id that fits in no topic cannot be answered; no hub sends one.
      return;
    }
    this.#uplink.session.publish({ topic, payload, qos: 0 }, nowMs);
    this.#uplink.touch();
    // Counted in the daily budget, never held back.
    gate.admit("method", payload.length, nowMs);
    stats.methods += 1;
    if (!channels.method.hasSubscribers) return;
    channels.method.publish({ device: stats.device, name, status, tookMs: nowMs - fromMs });
  }

  #registered(handler: MethodHandler<unknown>, options: MethodOptions<unknown>): RegisteredMethod {
    const { parse, timeoutMs = this.#settings.methodTimeoutMs } = options;
    checkNumber("timeoutMs", timeoutMs, 1, 86_400_000);
    if (parse !== undefined && typeof parse !== "function") throw invalid("parse is a function");
    return { handler: handler as MethodHandler, parse, timeoutMs };
  }

  #subscribe(): void {
    this.#subscriptions.need({
      filter: methodsFilter,
      qos: 0,
      onGranted: () => undefined,
      // The status says so; there is no call waiting that could be told.
      onRefused: () => undefined,
    });
  }
}

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : "The payload was refused").slice(0, 500);
