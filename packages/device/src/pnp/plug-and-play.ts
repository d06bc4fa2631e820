import {
  acknowledgementCode,
  componentPatch,
  formatCommandName,
  writablePropertyPatch,
} from "@hubwire/protocol";
import type { Acknowledgement, JsonValue } from "@hubwire/protocol";
import type { CallOptions } from "../calls/pending-call.ts";
import type { MethodHandler, MethodOptions } from "../methods/method.ts";
import type { TelemetryBody, TelemetryOptions } from "../telemetry/telemetry-options.ts";
import type { DesiredChange } from "../twin/twin.ts";
import { Writables } from "./writables.ts";
import type { WritableHandler, WritableOptions } from "./writables.ts";

/** What the conventions are made of: the client's own calls. */
export type PlugAndPlayHost = {
  sendTelemetry(body: TelemetryBody, options?: TelemetryOptions): Promise<void>;
  reportProperties(
    patch: Readonly<Record<string, unknown>>,
    options?: CallOptions,
  ): Promise<{ version: number }>;
  onMethod<Payload, Answer>(
    name: string,
    handler: MethodHandler<Payload, Answer>,
    options?: MethodOptions<Payload>,
  ): () => void;
  desiredChanges(signal: AbortSignal): AsyncIterableIterator<DesiredChange, undefined>;
  onError(error: unknown, where: string): void;
};

/** What `acknowledge` takes: the component belongs to the property, and `ac` is 200 unless it is said. */
export type AcknowledgeInput<Value = unknown> = Omit<Acknowledgement<Value>, "ac"> & {
  ac?: number | undefined;
  component?: string | undefined;
};

/**
 * The conventions of IoT Plug and Play over telemetry, methods and the twin; the model is announced with the option
 * `modelId`. A component is named in the model; leave it out for the default component.
 * @see Microsoft docs, "IoT Plug and Play conventions"
 */
export class PlugAndPlay {
  readonly #host: PlugAndPlayHost;
  readonly #writables: Writables;

  /** @internal Use `client.pnp`. */
  constructor(host: PlugAndPlayHost) {
    this.#host = host;
    this.#writables = new Writables(host);
  }

  /** Telemetry of a component: one component to a message, named in the system property `$.sub`. @throws as `sendTelemetry` */
  sendTelemetry(
    component: string | undefined,
    body: TelemetryBody,
    options: TelemetryOptions = {},
  ): Promise<void> {
    if (component === undefined) return this.#host.sendTelemetry(body, options);
    return this.#host.sendTelemetry(body, { ...options, componentName: component });
  }

  /** Reports read-only properties of a component, with the marker `"__t":"c"`. @throws as `reportProperties` */
  async reportComponent(
    component: string | undefined,
    patch: Readonly<Record<string, unknown>>,
    options?: CallOptions,
  ): Promise<{ version: number }> {
    return this.#host.reportProperties(componentPatch(component, patch), options);
  }

  /**
   * Answers the wish for a writable property: `acknowledge("targetTemperature", { value: 21, av: version })`. `onWritable`
   * does that by itself.
   * @throws as `reportProperties`
   */
  async acknowledge<Value>(
    property: string,
    input: AcknowledgeInput<Value>,
    options?: CallOptions,
  ): Promise<{ version: number }> {
    const { component, ac = acknowledgementCode.completed, value, av, ad } = input;
    const patch = writablePropertyPatch(component, property, { value, ac, av, ad });
    return this.#host.reportProperties(patch, options);
  }

  /**
   * Handles a writable property: the handler is called with the desired value that is there now and then with each change, one
   * at a time, and what it returns is acknowledged with the `$version` of the wish. Nothing returned means 200 and the desired
   * value; a handler that throws means 500. A wish that is taken back (deleted) is not told: the device keeps its value.
   * @returns takes the handler away again
   */
  onWritable<Value = JsonValue>(
    component: string | undefined,
    property: string,
    handler: WritableHandler<Value>,
    options?: WritableOptions<Value>,
  ): () => void {
    return this.#writables.on(component, property, handler, options ?? {});
  }

  /** Handles a command of a component: the direct method `component*command`. @returns takes the handler away again */
  onCommand<Payload = JsonValue, Answer = unknown>(
    component: string | undefined,
    command: string,
    handler: MethodHandler<Payload, Answer>,
    options?: MethodOptions<Payload>,
  ): () => void {
    return this.#host.onMethod(formatCommandName(component, command), handler, options);
  }
}
