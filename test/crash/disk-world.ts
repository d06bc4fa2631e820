import { connect, type DeviceClient } from "@hubwire/device";
import type { LogFileSystem } from "@hubwire/log";
import { IotError } from "@hubwire/protocol";
import { seededRandom, SimulatedDisk, SimulatedNetwork } from "@hubwire/testkit";
import type { CrashMode, SeededRandom } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import { createHubCore, type HubCore } from "../../packages/hub/src/core.ts";
import { silentLogger } from "../../packages/hub/src/domain/observe.ts";
import type { Stores, TelemetryStore } from "../../packages/hub/src/domain/ports.ts";
import {
  createMemoryStores,
  type MemoryImage,
  type MemoryStores,
} from "../../packages/hub/src/stores/memory/index.ts";
import { LogTelemetry } from "../../packages/hub/src/stores/sqlite/log-telemetry.ts";
import { Promises } from "./promises.ts";
import { TelemetryLedger } from "./telemetry-ledger.ts";

export type WrapDisk = (disk: LogFileSystem) => LogFileSystem;

const host = "hub";
const deviceIds = ["a", "b", "c"];
const messagesPerDevice = 24;
const hourMs = 3_600_000;

/** Short enough for segments of four kilobytes. */
const body = (device: string, n: number): Buffer =>
  Buffer.alloc(20 + ((n * 7919) % 400), `${device}/${n}/`);

/**
 * Devices and a hub in virtual time, its telemetry on a disk that forgets what was not synced. Everything else the hub
 * keeps is in memory and survives: this world is about the disk under the PUBACKs.
 */
export class DiskWorld {
  readonly disk: SimulatedDisk;
  readonly ledger: TelemetryLedger;
  readonly #promises = new Promises();
  readonly #clock = new VirtualClock();
  readonly #random: SeededRandom;
  readonly #network: SimulatedNetwork;
  readonly #clients: DeviceClient[] = [];
  /** How many copies of each message the log may hold at most: those it took in, less those it gave up again. */
  readonly #copies = new Map<string, number>();
  #image: MemoryImage | undefined;
  #memory: MemoryStores | undefined;
  #core: HubCore | undefined;
  #listening: { close(): void } | undefined;
  #life = 0;
  #open = 0;

  constructor(seed: number) {
    const random = seededRandom(seed);
    this.#random = random;
    const delays = random.fork();
    this.disk = new SimulatedDisk({
      schedule: (complete) =>
        void this.#clock.at(this.#clock.nowMs() + delays.between(0.1, 3), complete),
    });
    this.disk.place("/data/other", new Uint8Array(1));
    this.ledger = new TelemetryLedger(this.#promises, body);
    this.#network = new SimulatedNetwork({
      clock: this.#clock,
      random: random.fork(),
      lanes: { latencyMs: 2, jitterMs: 2 },
    });
  }

  /** A hub starts on what is on the disk, and is checked. False when the disk halted first. */
  async start(wrap: WrapDisk): Promise<boolean> {
    const life = ++this.#life;
    const log = await this.#unlessHalted(this.#openLog(wrap(this.disk.forProcess())));
    if (log === undefined) return false;
    const stores = this.#stores(this.#watched(log, () => life === this.#life));
    const core = await this.#during(
      createHubCore({ stores, clock: this.#clock, logger: silentLogger, hostNames: [host] }),
    );
    this.#core = core;
    if (!(await this.check())) return false;
    this.#listening = this.#network.listen(host, (stream) => core.mqtt.handleStream(stream));
    if (this.#clients.length === 0) await this.#connectDevices(core);
    return true;
  }

  /** Again, as somebody would start the hub again, while the planned fault is in the way. */
  async #openLog(fileSystem: LogFileSystem): Promise<LogTelemetry> {
    const clock = this.#clock;
    const opening = LogTelemetry.open({
      directory: "/data/telemetry",
      partitions: 2,
      segmentBytes: 4096,
      segmentBytesMax: 8192,
      cacheBytesMax: 2048,
      fileSystem,
      nowMs: () => clock.wallMs(),
      endOfTurn: (callback) => clock.endOfTurn(callback),
      schedule: (delayMs, callback) => {
        const timer = clock.at(clock.nowMs() + delayMs, callback);
        return () => timer.cancel();
      },
      randomUint32: () => this.#random.int(2 ** 32),
    });
    return opening.catch((error: unknown) => {
      if (error instanceof IotError && error.retryable) return this.#openLog(fileSystem);
      throw error;
    });
  }

  /** Until every message has its PUBACK, or the disk halts. */
  async work(): Promise<void> {
    const isDone = (): boolean => this.disk.isHalted || this.#open === 0;
    await this.#clock.runUntil(isDone, { withinMs: hourMs });
  }

  /** Whether the log could be read; what it holds is compared with what was promised. */
  async check(): Promise<boolean> {
    const core = this.#core;
    if (core === undefined) throw new Error("no hub is running");
    const reading = Promise.all(
      [0, 1].map((partition) =>
        core.telemetry.read(partition, "first", { recordsMax: 10_000, bytesMax: 1e9 }),
      ),
    );
    const events = (await this.#unlessHalted(reading))?.flat();
    if (events === undefined) return false;
    this.ledger.check(
      events.map((event) => ({
        ...event,
        enqueuedTimeUtc: new Date(event.enqueuedTimeMs).toISOString(),
        bodyBase64: Buffer.from(event.body).toString("base64"),
      })),
    );
    const copies = new Map<string, number>();
    for (const event of events) {
      const name = nameIn(event.body);
      copies.set(name, (copies.get(name) ?? 0) + 1);
    }
    for (const [name, count] of copies) {
      const most = this.#copies.get(name) ?? 0;
      if (count <= most) continue;
      this.#promises.broke(`${name} is there ${count} times, and ${most} were not given up`);
    }
    this.#promises.check();
    return true;
  }

  /** The process ends, now, and with `how` other than kill the machine. Devices find out by their connections. */
  die(how: CrashMode | "kill"): void {
    this.#life += 1;
    this.#memory?.cut();
    this.#listening?.close();
    for (const cable of this.#network.cables) cable.cut();
    if (how === "kill") this.disk.kill();
    else this.disk.crash(how, this.#random.int(2 ** 32));
    this.#core = undefined;
  }

  #stores(telemetry: TelemetryStore): Stores {
    const image = this.#image;
    const memory = createMemoryStores({ clock: this.#clock, ...(image && { image }) });
    this.#memory = memory;
    this.#image = memory.image;
    return {
      documents: memory.documents,
      c2d: memory.c2d,
      telemetry,
      unhealthyReason: undefined,
      onHealth: () => () => {},
      [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
    };
  }

  /** Notes what the log takes in and what it reports lost: that must not come back. */
  #watched(log: LogTelemetry, isAlive: () => boolean): TelemetryStore {
    const open = new Map<number, string>();
    const count = (name: string, change: number): void => {
      this.#copies.set(name, (this.#copies.get(name) ?? 0) + change);
    };
    log.onFailure((first, last) => {
      if (!isAlive()) return;
      for (let ordinal = first; ordinal <= last; ordinal++) count(open.get(ordinal) ?? "", -1);
    });
    return {
      partitionCount: log.partitionCount,
      get healthy() {
        return log.healthy;
      },
      append(partition, head, chunk, start, end) {
        const name = nameIn(chunk.subarray(start, end));
        const ordinal = log.append(partition, head, chunk, start, end);
        open.set(ordinal, name);
        count(name, 1);
        return ordinal;
      },
      onCommit: (listener) => log.onCommit((ordinal) => isAlive() && listener(ordinal)),
      onFailure: (listener) => log.onFailure((...lost) => isAlive() && listener(...lost)),
      partition: (index) => log.partition(index),
      read: (partition, from, limits) => log.read(partition, from, limits),
    };
  }

  async #connectDevices(core: HubCore): Promise<void> {
    for (const deviceId of deviceIds) {
      const { authentication } = await this.#during(
        core.identities.create({
          deviceId,
          moduleId: undefined,
          status: "enabled",
          statusReason: undefined,
          authentication: undefined,
          capabilities: { iotEdge: false },
          managedBy: undefined,
        }),
      );
      if (authentication.type !== "sas") throw new Error("a new device has keys");
      const random = this.#random.fork();
      const client = await connect({
        connectionString: `HostName=${host};DeviceId=${deviceId};SharedAccessKey=${authentication.primaryKey}`,
        clock: this.#clock,
        random: () => random.next(),
        openStream: this.#network.dial(host),
        waitForConnection: false,
        maxInflight: 1 + random.int(6),
      });
      this.#clients.push(client);
      for (let count = messagesPerDevice; count > 0; count -= 1) this.#send(client, deviceId);
    }
  }

  #send(client: DeviceClient, deviceId: string): void {
    const n = this.ledger.next(deviceId);
    this.#open += 1;
    void client.sendTelemetry(body(deviceId, n), { timeoutMs: 10 * hourMs }).then(
      () => {
        this.#open -= 1;
        this.ledger.ack(deviceId, n);
      },
      (error: unknown) => this.#promises.broke(`${deviceId}/${n} failed: ${String(error)}`),
    );
  }

  async #during<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const settled = work.finally(() => (isOver = true));
    settled.catch(() => {});
    await this.#clock.runUntil(() => isOver, { withinMs: hourMs });
    return settled;
  }

  async #unlessHalted<T>(work: Promise<T>): Promise<T | undefined> {
    let isOver = false;
    const settled = work.finally(() => (isOver = true));
    settled.catch(() => {});
    await this.#clock.runUntil(() => isOver || this.disk.isHalted, { withinMs: hourMs });
    return isOver ? settled : undefined;
  }
}

const nameIn = (bytes: Uint8Array): string =>
  Buffer.from(bytes.subarray(0, 12)).toString("latin1").split("/", 2).join("/");
