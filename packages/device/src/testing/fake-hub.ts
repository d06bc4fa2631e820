import { formatClientId, IotError } from "@hubwire/protocol";
import type { JsonObject } from "@hubwire/protocol";
import { memoryStreamPair } from "@hubwire/transport";
import type { Clock, OpenStream } from "@hubwire/transport";
import { admit } from "./admission.ts";
import type { C2dOptions, SentC2d } from "./c2d-queue.ts";
import { DeviceState } from "./device-state.ts";
import { FakeConnection } from "./fake-connection.ts";
import type { ConnectionHost } from "./fake-connection.ts";
import { FakeDevice } from "./fake-device.ts";
import type { FakeBody } from "./fake-device.ts";
import { Faults } from "./faults.ts";
import type { Refusal } from "./faults.ts";
import type { MethodAnswer } from "./method-calls.ts";
import type { ReceivedTelemetry } from "./received.ts";
import { seededNumbers } from "./seeded-numbers.ts";
import { TestClock } from "./test-clock.ts";

export type FakeHubOptions = {
  /** What tokens and user names carry; default `fake-hub.example`. */
  hostName?: string;
  /** For the random numbers devices draw (waits between attempts and the like); default 1. */
  seed?: number;
  /** Unix time at the start, milliseconds; default 2025-01-01T00:00:00Z. Not beside `clock`. */
  wallMs?: number;
};

/** To be spread into what `connect` takes. */
export type FakeConnectOptions = {
  credentials: {
    hostName: string;
    deviceId: string;
    moduleId?: string;
    sharedAccessKey: string;
  };
  clock: Clock;
  openStream: OpenStream;
  random: () => number;
};

/** Ends the fault it was returned for. */
export type EndFault = () => void;

/**
 * An IoT Hub in memory for tests of device applications: no socket, no certificate, no time but the test's.
 *
 *     const hub = fakeHub();
 *     const client = await connect({ ...hub.connectOptions("thermostat"), methods: { reboot } });
 *     await client.sendTelemetry({ temperature: 21.5 });
 *     expect(hub.telemetry[0]?.json()).toEqual({ temperature: 21.5 });
 *
 * The real client talks to it with real packets, tokens included, so what works here works on the wire. It stands for one
 * hub with as many devices as `connectOptions` was called for; it enforces no quota.
 */
export class FakeHub<C extends Clock = TestClock> {
  /** Time; `advance(ms)` lets it pass. */
  readonly clock: C;
  readonly hostName: string;
  /** Telemetry of all devices, in order of arrival, repetitions included. */
  readonly telemetry: ReceivedTelemetry[] = [];
  readonly #faults = new Faults();
  readonly #devices = new Map<string, { state: DeviceState; device: FakeDevice }>();
  readonly #open = new Set<FakeConnection>();
  readonly #host: ConnectionHost;
  readonly #random: () => number;

  constructor(clock: C, options: FakeHubOptions) {
    this.clock = clock;
    this.hostName = options.hostName ?? "fake-hub.example";
    this.#random = seededNumbers(options.seed ?? 1);
    this.#host = {
      clock,
      faults: this.#faults,
      admit: (request) => {
        const { refusal } = this.#faults;
        if (refusal !== undefined) {
          refusal.left -= 1;
          if (refusal.left <= 0) this.#faults.refusal = undefined;
          return refusal.code;
        }
        return admit(request, {
          hostName: this.hostName,
          wallMs: clock.wallMs(),
          find: (clientId) => this.#devices.get(clientId)?.state,
        });
      },
      received: (telemetry) => this.telemetry.push(telemetry),
      gone: (connection) => this.#open.delete(connection),
    };
  }

  /**
   * Registers the device, when it is not yet, and gives what `connect` needs to reach it here.
   * @throws IotError `argument.invalid`
   */
  connectOptions(deviceId: string, options: { moduleId?: string } = {}): FakeConnectOptions {
    const { moduleId } = options;
    const identity = moduleId === undefined ? { deviceId } : { deviceId, moduleId };
    const { state } = this.#register(identity);
    return {
      credentials: { hostName: this.hostName, ...identity, sharedAccessKey: state.key },
      clock: this.clock,
      openStream: () => this.#dial(),
      random: this.#random,
    };
  }

  /** A registered device or module. @throws IotError `device.not_found` */
  device(deviceId: string, moduleId?: string): FakeDevice {
    const found = this.#devices.get(formatClientId({ deviceId, moduleId }));
    if (found !== undefined) return found.device;
    throw new IotError("device.not_found", `connectOptions was not called for ${deviceId}`);
  }

  // ---- for tests with one device ----

  /** @throws IotError `message.too_large`, `quota.queue_full`, `topic.*` */
  sendC2d(body: FakeBody, options?: C2dOptions): SentC2d {
    return this.#only.sendC2d(body, options);
  }

  /**
   * Calls a direct method, and waits at most `timeoutMs` (30 s of the hub's clock) for its answer.
   * @throws IotError `device.not_online`, `method.timeout`, `method.bad_response`, `argument.invalid`
   */
  invokeMethod(
    name: string,
    payload?: unknown,
    options?: { timeoutMs?: number },
  ): Promise<MethodAnswer> {
    return this.#only.invokeMethod(name, payload, options);
  }

  /** As `FakeDevice.setDesired`. */
  setDesired(
    patch: Readonly<Record<string, unknown>>,
    options?: { lost?: boolean },
  ): { version: number } {
    return this.#only.setDesired(patch, options);
  }

  get desired(): JsonObject {
    return this.#only.desired;
  }

  get reported(): JsonObject {
    return this.#only.reported;
  }

  // ---- faults ----

  /** Cuts every connection without a word. */
  cut(): void {
    for (const connection of this.#open) connection.cut();
  }

  /** From now on nothing gets through on the connections there are, and nobody is told; new ones work. */
  halfOpen(): void {
    for (const connection of this.#open) connection.die();
  }

  /** As `halfOpen`, and new connections are taken and never answered, until it is ended. */
  silence(): EndFault {
    this.halfOpen();
    this.#faults.silent = true;
    return () => {
      this.#faults.silent = false;
    };
  }

  /** Cuts every connection and takes no new ones until it is ended. */
  goOffline(): EndFault {
    this.cut();
    this.#faults.unreachable = true;
    return () => {
      this.#faults.unreachable = false;
    };
  }

  /** Refuses each CONNECT with this return code: 3 busy, 4 bad user name or password, 5 not authorized. */
  refuse(code: Refusal, options: { times?: number } = {}): EndFault {
    this.#faults.refusal = { code, left: options.times ?? Infinity };
    return () => {
      this.#faults.refusal = undefined;
    };
  }

  /** Stores telemetry and acknowledges it later. */
  delayAcks(ms: number): EndFault {
    this.#faults.ackDelayMs = ms;
    return () => {
      this.#faults.ackDelayMs = 0;
    };
  }

  /** Stores telemetry and never acknowledges it, so that the device sends it again after a reconnect. */
  dropAcks(): EndFault {
    this.#faults.dropsAcks = true;
    return () => {
      this.#faults.dropsAcks = false;
    };
  }

  /** Answers twin requests with 429. */
  throttleTwin(options: { times?: number } = {}): EndFault {
    this.#faults.twinThrottlesLeft = options.times ?? Infinity;
    return () => {
      this.#faults.twinThrottlesLeft = 0;
    };
  }

  /** Leaves twin requests without answer. */
  silenceTwin(): EndFault {
    this.#faults.twinSilent = true;
    return () => {
      this.#faults.twinSilent = false;
    };
  }

  /** Ends every fault. Connections that are cut or half-open stay so. */
  heal(): void {
    Object.assign(this.#faults, new Faults());
  }

  get #only(): FakeDevice {
    const [first, ...others] = this.#devices.values();
    if (first !== undefined && others.length === 0) return first.device;
    const text = `This hub has ${this.#devices.size} devices: use hub.device(deviceId)`;
    throw new IotError("argument.invalid", text);
  }

  #register(identity: { deviceId: string; moduleId?: string }): { state: DeviceState } {
    const clientId = formatClientId(identity);
    let found = this.#devices.get(clientId);
    if (found === undefined) {
      const state = new DeviceState(identity, this.clock);
      found = { state, device: new FakeDevice(state, this.clock) };
      this.#devices.set(clientId, found);
    }
    return found;
  }

  async #dial(): ReturnType<OpenStream> {
    if (this.#faults.unreachable) {
      throw new IotError("transport.refused", "The fake hub is offline");
    }
    const [hubs, devices] = memoryStreamPair({ clock: this.clock });
    this.#open.add(new FakeConnection(this.#host, hubs));
    return devices;
  }
}

/** A hub with time of its own, or with the clock that is passed in. */
export function fakeHub(options?: FakeHubOptions): FakeHub;
export function fakeHub<C extends Clock>(options: FakeHubOptions & { clock: C }): FakeHub<C>;
export function fakeHub(options: FakeHubOptions & { clock?: Clock } = {}): FakeHub<Clock> {
  const { wallMs } = options;
  const clock = options.clock ?? new TestClock(wallMs === undefined ? {} : { wallMs });
  return new FakeHub(clock, options);
}
