import {
  applyTwinPatch,
  desiredTopic,
  encodeUtf8,
  IotError,
  isMethodName,
  methodRequestTopic,
  methodResponseTimeoutSDefault,
  moduleInputTopic,
  formatC2dProperties,
  twinTimestamp,
} from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import type { Clock } from "@hubwire/transport";
import type { C2dOptions, SentC2d } from "./c2d-queue.ts";
import type { DeviceState } from "./device-state.ts";
import type { MethodAnswer } from "./method-calls.ts";
import type { ReceivedTelemetry } from "./received.ts";

/** Bytes as they are, text as UTF-8, anything else as JSON. */
export type FakeBody = Uint8Array | string | number | boolean | object | null;

/** A device or module as a back end sees it, and what a test may do to its connection. */
export class FakeDevice {
  readonly #state: DeviceState;
  readonly #clock: Clock;

  /** @internal Made by the fake hub. */
  constructor(state: DeviceState, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
  }

  get deviceId(): string {
    return this.#state.identity.deviceId;
  }

  get moduleId(): string | undefined {
    return this.#state.identity.moduleId;
  }

  get isConnected(): boolean {
    return this.#state.connection !== undefined;
  }

  /** How often it was let in. */
  get connects(): number {
    return this.#state.connects;
  }

  /** What it sent, in order of arrival, repetitions included. */
  get telemetry(): readonly ReceivedTelemetry[] {
    return this.#state.telemetry;
  }

  /** Its reported properties as they are now. */
  get reported(): JsonObject {
    return this.#state.twin.reported.properties;
  }

  get reportedVersion(): number {
    return this.#state.twin.reported.version;
  }

  /** The patches they were made of. */
  get reports(): readonly JsonObject[] {
    return this.#state.reports;
  }

  get desired(): JsonObject {
    return this.#state.twin.desired.properties;
  }

  get desiredVersion(): number {
    return this.#state.twin.desired.version;
  }

  /** Queues a cloud-to-device message; its `state` tells what became of it. @throws as `FakeHub.sendC2d` */
  sendC2d(body: FakeBody, options: C2dOptions = {}): SentC2d {
    if (this.moduleId !== undefined) {
      throw new IotError("argument.invalid", "Modules get no cloud-to-device messages");
    }
    return this.#state.c2d.send(bytesOf(body), options);
  }

  /** Gives a module a message on one of its inputs, if it listens. */
  sendInput(
    input: string,
    body: FakeBody,
    properties: Readonly<Record<string, string>> = {},
  ): void {
    const { deviceId, moduleId } = this;
    if (moduleId === undefined) {
      throw new IotError("argument.invalid", "Only modules have inputs");
    }
    const identity = { deviceId, moduleId };
    if (this.#state.subscribed("moduleInputs") === undefined) return;
    const bag = formatC2dProperties(identity, { application: properties });
    this.#state.connection?.send(moduleInputTopic(identity, input, bag), bytesOf(body));
  }

  /** Calls a direct method. @throws as `FakeHub.invokeMethod` */
  async invokeMethod(
    name: string,
    payload?: unknown,
    options: { timeoutMs?: number } = {},
  ): Promise<MethodAnswer> {
    const { timeoutMs = methodResponseTimeoutSDefault * 1_000 } = options;
    const { connection, methods } = this.#state;
    if (!isMethodName(name)) throw new IotError("argument.invalid", `${name} is no method name`);
    if (connection === undefined || this.#state.subscribed("methods") === undefined) {
      const text = "The device is not connected, or has not subscribed to methods";
      throw new IotError("device.not_online", text);
    }
    const body = encodeUtf8(JSON.stringify(payload ?? null));
    return methods.ask(name, timeoutMs, connection, (rid) =>
      connection.send(methodRequestTopic(name, rid), body),
    );
  }

  /**
   * Merges a patch into the desired properties and tells the device; null deletes a key.
   * @param options `lost`: the notification is not sent, as happens on a bad connection
   * @throws IotError `twin.*` for a patch no twin can hold
   */
  setDesired(
    patch: Readonly<Record<string, unknown>>,
    options: { lost?: boolean } = {},
  ): { version: number } {
    const now = twinTimestamp(this.#clock.wallMs());
    const body = { properties: { desired: patch } };
    const { twin, desiredNotification } = applyTwinPatch(this.#state.twin, body, now);
    this.#state.twin = twin;
    const { version } = twin.desired;
    const isHeard = this.#state.subscribed("desired") !== undefined && options.lost !== true;
    if (isHeard && desiredNotification !== undefined) {
      const bytes = encodeUtf8(JSON.stringify(desiredNotification));
      this.#state.connection?.send(desiredTopic(version), bytes);
    }
    return { version };
  }

  /** Cuts its connection without a word. */
  cut(): void {
    this.#state.connection?.cut();
  }

  /** From now on nothing gets through on its connection, and neither side is told. A new connection works. */
  halfOpen(): void {
    this.#state.connection?.die();
  }

  /** Loses its session: subscriptions are gone, unacknowledged messages come as new ones. */
  forgetSession(): void {
    this.cut();
    this.#state.connection?.leave();
    this.#state.session = undefined;
    this.#state.subscriptions.clear();
  }

  /** Cuts it and refuses it with CONNACK 5 until `enable`. */
  disable(): void {
    this.#state.enabled = false;
    this.cut();
  }

  enable(): void {
    this.#state.enabled = true;
  }
}

function bytesOf(body: FakeBody): Uint8Array {
  if (body instanceof Uint8Array) return new Uint8Array(body);
  return encodeUtf8(typeof body === "string" ? body : JSON.stringify(body));
}
