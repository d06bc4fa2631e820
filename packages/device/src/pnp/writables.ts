import {
  acknowledgementCode,
  checkDtdlName,
  isJsonObject,
  writablePropertyPatch,
} from "@hubwire/protocol";
import type { JsonObject, JsonValue } from "@hubwire/protocol";
import { invalid } from "../calls/errors.ts";
import type { DesiredChange } from "../twin/twin.ts";
import type { PlugAndPlayHost } from "./plug-and-play.ts";

/** The wish a handler gets beside the value. */
export type WritableContext = {
  /** `$version` of the desired properties: what is acknowledged. */
  readonly version: number;
  /** Aborted when the handler is taken away or the client is closed. */
  readonly signal: AbortSignal;
};

/** What became of a wish; each part has a default. */
export type WritableAnswer<Value = JsonValue> = {
  /** 200, see `acknowledgementCode`. */
  ac?: number | undefined;
  ad?: string | undefined;
  /** The value the property has now; the desired one. */
  value?: Value | undefined;
};

export type WritableHandler<Value = JsonValue> = (
  value: Value,
  context: WritableContext,
) => WritableAnswer<Value> | void | Promise<WritableAnswer<Value> | void>;

export type WritableOptions<Value = JsonValue> = {
  /** Checks a desired value and gives it its type; what it throws is acknowledged 400 with the error's message. */
  parse?: ((value: JsonValue) => Value) | undefined;
};

type Writable = {
  readonly component: string | undefined;
  readonly property: string;
  readonly handler: WritableHandler;
  readonly parse: ((value: JsonValue) => unknown) | undefined;
  readonly stop: AbortController;
  /** The latest wish not begun: a newer one takes its place, because only the last value counts. */
  next: { value: JsonValue; version: number } | undefined;
  isRunning: boolean;
};

/** Writable properties with handlers: follows desired properties, calls, acknowledges. */
export class Writables {
  readonly #host: PlugAndPlayHost;
  readonly #writables = new Set<Writable>();

  constructor(host: PlugAndPlayHost) {
    this.#host = host;
  }

  on<Value>(
    component: string | undefined,
    property: string,
    handler: WritableHandler<Value>,
    options: WritableOptions<Value>,
  ): () => void {
    if (component !== undefined) checkDtdlName("component", component);
    checkDtdlName("property", property);
    if (typeof handler !== "function") throw invalid(`The handler of ${property} is no function`);
    for (const other of this.#writables) {
      if (other.component === component && other.property === property) {
        throw invalid(`The property ${nameOf(other)} has a handler already`);
      }
    }
    const writable: Writable = {
      component,
      property,
      handler: handler as WritableHandler<unknown> as WritableHandler,
      parse: options.parse,
      stop: new AbortController(),
      next: undefined,
      isRunning: false,
    };
    this.#writables.add(writable);
    void this.#follow(writable);
    return () => {
      this.#writables.delete(writable);
      writable.next = undefined;
      writable.stop.abort();
    };
  }

  /** A loop of its own for each property: each begins with the value that is there. */
  async #follow(writable: Writable): Promise<void> {
    try {
      for await (const change of this.#host.desiredChanges(writable.stop.signal)) {
        this.#changed(writable, change);
      }
    } catch (error) {
      if (!writable.stop.signal.aborted) this.#host.onError(error, `writable ${nameOf(writable)}`);
    }
    this.#writables.delete(writable);
    // The client is closed: whoever works on a wish may stop.
    writable.stop.abort();
  }

  #changed(writable: Writable, { patch, desired, version }: DesiredChange): void {
    const { component, property } = writable;
    const within = (section: JsonObject): JsonValue | undefined => {
      const from = component === undefined ? section : member(section, component);
      return from !== undefined && isJsonObject(from) ? member(from, property) : undefined;
    };
    const value = within(desired);
    // Not concerned, or the wish was taken back. The value is the whole one, also where the patch has a part of it.
    if (within(patch) === undefined || value === undefined || value === null) return;
    writable.next = { value, version };
    if (!writable.isRunning) void this.#work(writable);
  }

  async #work(writable: Writable): Promise<void> {
    writable.isRunning = true;
    for (let wish = writable.next; wish !== undefined; wish = writable.next) {
      writable.next = undefined;
      await this.#handle(writable, wish.value, wish.version);
    }
    writable.isRunning = false;
  }

  async #handle(writable: Writable, desired: JsonValue, version: number): Promise<void> {
    const { component, property, handler, parse, stop } = writable;
    const { signal } = stop;
    let answer: WritableAnswer<unknown>;
    try {
      const value = parsed(parse, desired);
      answer =
        "refused" in value
          ? { ac: acknowledgementCode.badRequest, ad: value.refused }
          : ((await handler(value.value as JsonValue, { version, signal })) ?? {});
    } catch (error) {
      answer = { ac: acknowledgementCode.failed, ad: "The device could not set the property" };
      this.#tell(error, writable);
    }
    if (signal.aborted) return;
    const { ac = acknowledgementCode.completed, ad, value = desired } = answer;
    try {
      const patch = writablePropertyPatch(component, property, { value, ac, av: version, ad });
      // As long as it takes: a device that is offline for hours acknowledges when it is back.
      await this.#host.reportProperties(patch, { timeoutMs: acknowledgeForMs, signal });
    } catch (error) {
      if (!signal.aborted) this.#tell(error, writable);
    }
  }

  #tell(error: unknown, writable: Writable): void {
    this.#host.onError(error, `writable ${nameOf(writable)}`);
  }
}

/** How long an acknowledgement waits for a connection. */
const acknowledgeForMs = 86_400_000;

type Parsed = { value: unknown } | { refused: string };

function parsed(parse: Writable["parse"], desired: JsonValue): Parsed {
  if (parse === undefined) return { value: desired };
  try {
    return { value: parse(desired) };
  } catch (error) {
    const why = error instanceof Error ? error.message : "The value was refused";
    return { refused: why.slice(0, 500) };
  }
}

const member = (object: JsonObject, key: string): JsonValue | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

const nameOf = ({ component, property }: Writable): string =>
  component === undefined ? property : `${component}.${property}`;
