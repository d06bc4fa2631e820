import { setImmediate as nextTurn, setTimeout as realTime } from "node:timers/promises";
import { SimulatedDisk } from "@hubwire/testkit";
import type { CrashMode, SimulatedDiskOptions } from "@hubwire/testkit";
import type { Clock, Timer, VirtualClock } from "@hubwire/transport";
import { connect } from "@hubwire/device";
import type { DeviceClient, DeviceOptions, DroppedMessage, OutboxOptions } from "@hubwire/device";
import type { LogFileSystem } from "@hubwire/log";
import type { HubScript } from "./script.ts";
import { Outcome, World } from "./world.ts";

/** Time as one process has it: nothing happens any more once it is dead. */
class ProcessClock implements Clock {
  readonly #clock: VirtualClock;
  isAlive = true;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  at(atMs: number, callback: () => void): Timer {
    return this.#clock.at(atMs, () => this.isAlive && callback());
  }

  endOfTurn(callback: () => void): void {
    this.#clock.endOfTurn(() => this.isAlive && callback());
  }
}

export const directory = "/data/outbox";

type DurableOptions = Omit<Extract<OutboxOptions, { kind: "durable" }>, "kind" | "directory">;

/** A device with a durable outbox on a simulated disk, over the lives of several processes. */
export class OutboxWorld extends World {
  readonly disk: SimulatedDisk;
  readonly errors: { code: string; message: string }[] = [];
  readonly dropped: DroppedMessage[] = [];
  #process: ProcessClock | undefined;

  constructor(script: HubScript = {}, disk: SimulatedDiskOptions = {}) {
    super(script);
    this.disk = new SimulatedDisk({
      schedule: (complete) => this.clock.endOfTurn(complete),
      ...disk,
    });
    this.disk.place("/data/other", new Uint8Array(1));
  }

  /** A process begins; the one before is dead or closed. */
  starting(
    options: DeviceOptions = {},
    outbox: DurableOptions = {},
    wrap: (fileSystem: LogFileSystem) => LogFileSystem = (fileSystem) => fileSystem,
  ): Outcome<DeviceClient> {
    const clock = new ProcessClock(this.clock);
    this.#process = clock;
    return new Outcome(
      connect(
        this.options({
          clock,
          openStream: async (signal) => {
            const stream = await this.hub.open(signal);
            return clock.isAlive ? stream : new Promise(() => {});
          },
          outbox: {
            kind: "durable",
            directory,
            fileSystem: wrap(this.disk.forProcess()),
            onDropped: (message) => this.dropped.push(message),
            ...outbox,
          },
          onError: (error) => {
            const { code, message } = error as { code: string; message: string };
            this.errors.push({ code, message });
          },
          ...options,
        }),
      ),
    );
  }

  async start(options: DeviceOptions = {}, outbox: DurableOptions = {}): Promise<DeviceClient> {
    const opening = this.starting({ waitForConnection: false, ...options }, outbox);
    await this.until(() => opening.isSettled);
    return opening.value;
  }

  /** The process is gone from one moment to the next; with a mode, the machine's power too. */
  kill(mode?: CrashMode, seed = 0): void {
    if (this.#process !== undefined) this.#process.isAlive = false;
    if (this.hub.isConnected) this.hub.cut();
    if (mode === undefined) this.disk.kill();
    else this.disk.crash(mode, seed);
  }

  /** Virtual time moves on; a module that is being loaded takes real time, and is waited for. */
  async until(predicate: () => boolean, withinMs = 600_000): Promise<void> {
    const untilMs = this.clock.nowMs() + withinMs;
    for (let idle = 0; !predicate();) {
      // oxlint-disable-next-line no-await-in-loop -- one step after the other
      await this.clock.settle();
      if (predicate()) return;
      const { nextMs } = this.clock;
      if (nextMs <= untilMs) {
        // oxlint-disable-next-line no-await-in-loop -- one step after the other
        await (idle++ < 20 ? nextTurn() : this.clock.advanceTo(nextMs));
      } else {
        if (idle++ > 2_000) throw new Error("it never came true");
        // oxlint-disable-next-line no-await-in-loop -- one step after the other
        await realTime(1);
      }
    }
  }
}
