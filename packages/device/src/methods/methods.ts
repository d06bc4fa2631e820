import {
  methodPayloadBytesMax,
  methodResponseTopic,
  methodsFilter,
  parseJson,
  payloadOf,
} from "@hubwire/protocol";
import type { IncomingMessage, JsonValue } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import type { Subscriptions } from "../connection/subscriptions.ts";
import type { Uplink } from "../connection/uplink.ts";
import type { Settings } from "../options/settings.ts";
import type { MethodHandler, MethodResponse } from "./method.ts";

/** Handlers running at a time; a call above it is answered 429. */
const runningMax = 100;

const empty = new Uint8Array(0);

/**
 * Direct methods. Every request gets an answer, because a service that hears nothing waits for its whole time-out:
 * 404 when nobody registered the name, 400 when the payload is no JSON, 429 above a hundred at a time, 500 when the handler
 * throws or returns something that cannot be sent; each with a JSON body `{"message": …}`.
 */
export class Methods {
  readonly #settings: Settings;
  readonly #uplink: Uplink;
  readonly #subscriptions: Subscriptions;
  readonly #handlers = new Map<string, MethodHandler>();
  #running = 0;

  constructor(
    settings: Settings,
    uplink: Uplink,
    subscriptions: Subscriptions,
    handlers: Readonly<Record<string, MethodHandler>>,
  ) {
    this.#settings = settings;
    this.#uplink = uplink;
    this.#subscriptions = subscriptions;
    for (const [name, handler] of Object.entries(handlers)) this.on(name, handler);
  }

  /** Handlers at work: their answers belong to this connection. */
  get running(): number {
    return this.#running;
  }

  /** @returns takes the handler away again */
  on(name: string, handler: MethodHandler): () => void {
    if (typeof handler !== "function")
      throw invalid(`The handler of method ${name} is no function`);
    if (this.#handlers.has(name)) throw invalid(`Method ${name} has a handler already`);
    this.#handlers.set(name, handler);
    this.#subscriptions.need({
      filter: methodsFilter,
      qos: 0,
      onGranted: () => undefined,
      // The status says so; there is no call waiting that could be told.
      onRefused: () => undefined,
    });
    return () => {
      if (this.#handlers.get(name) === handler) this.#handlers.delete(name);
    };
  }

  received(message: IncomingMessage, name: string, rid: string): void {
    const handler = this.#handlers.get(name);
    if (handler === undefined) return this.#answer(rid, 404, say(`There is no method ${name}`));
    if (this.#running >= runningMax) return this.#answer(rid, 429, say("Too many method calls"));
    let payload: JsonValue = null;
    const bytes = payloadOf(message);
    try {
      if (bytes.length > 0) payload = parseJson(bytes);
    } catch (error) {
      return this.#answer(rid, 400, say((error as Error).message));
    }
    void this.#run(handler, name, payload, rid);
  }

  async #run(
    handler: MethodHandler,
    name: string,
    payload: JsonValue,
    requestId: string,
  ): Promise<void> {
    this.#running += 1;
    let status = 500;
    let body: Uint8Array;
    try {
      const response = (await handler({ name, payload, requestId })) ?? {};
      body = encodeResponse(name, response);
      status = response.status ?? 200;
    } catch (error) {
      body = say(`The handler of method ${name} failed`);
      this.#settings.onError(error, `method ${name}`);
    }
    this.#running -= 1;
    this.#answer(requestId, status, body);
    this.#uplink.requestDone();
  }

  /** QoS 0, on the connection there is now: the hub drops an answer that comes too late. */
  #answer(rid: string, status: number, payload: Uint8Array): void {
    if (!this.#uplink.connected) return;
    const nowMs = this.#settings.clock.nowMs();
    let topic: string;
    try {
      topic = methodResponseTopic(status, rid);
    } catch {
      // A request id that fits in no topic cannot be answered; no hub sends one.
      return;
    }
    this.#uplink.session.publish({ topic, payload, qos: 0 }, nowMs);
    this.#uplink.touch();
  }
}

/** @throws IotError `argument.invalid` */
function encodeResponse(name: string, response: MethodResponse): Uint8Array {
  const { status = 200, payload } = response;
  if ((status | 0) !== status)
    throw invalid(`Method ${name} returned the status ${String(status)}`);
  if (payload === undefined) return empty;
  const text = JSON.stringify(payload) as string | undefined;
  if (text === undefined) throw invalid(`Method ${name} returned a payload with no JSON form`);
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length <= methodPayloadBytesMax) return bytes;
  throw invalid(
    `Method ${name} returned ${bytes.length} bytes, more than ${methodPayloadBytesMax}`,
  );
}

const say = (message: string): Uint8Array => Buffer.from(JSON.stringify({ message }), "utf8");
