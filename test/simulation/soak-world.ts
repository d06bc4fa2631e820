import { connect, IotError, type DeviceClient } from "@hubwire/device";
import {
  crashModes,
  seededRandom,
  SimulatedDisk,
  SimulatedNetwork,
  type SeededRandom,
} from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
// Loaded by the client when first needed, which takes real time; here only virtual time goes on.
import "../../packages/device/src/outbox/open.ts";
import { createHubCore, type HubCore } from "../../packages/hub/src/core.ts";
import { silentLogger } from "../../packages/hub/src/domain/observe.ts";
import {
  createMemoryStores,
  type MemoryImage,
  type MemoryStores,
} from "../../packages/hub/src/stores/memory/index.ts";
import { DeviceClock } from "./device-clock.ts";
import { during } from "./during.ts";

const host = "hub";
const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

/** A deliberate mistake in the device's surroundings or its use; each must be found. */
export type SoakBug = {
  name: string;
  /** What the process's disk really does. */
  disk?: (disk: SimulatedDisk) => SimulatedDisk;
  /** Whether an acknowledged message of the hub is forgotten by it. */
  hubForgets?: (random: SeededRandom) => boolean;
  /** Gives the device no outbox on disk. */
  memoryOutbox?: boolean;
};

export type SoakOptions = { seed: number; devices: number; days: number; bug?: SoakBug };

export type SoakCounts = Record<
  | "enqueued"
  | "accepted"
  | "refused"
  | "stored"
  | "repeated"
  | "calls"
  | "powerLosses"
  | "kills"
  | "sleeps"
  | "cuts"
  | "hubRestarts"
  | "diskFaults"
  | "clockJumps"
  | "renewals",
  number
>;

export class SoakResult {
  readonly violations: string[] = [];
  readonly counts: SoakCounts = {
    enqueued: 0,
    accepted: 0,
    refused: 0,
    stored: 0,
    repeated: 0,
    calls: 0,
    powerLosses: 0,
    kills: 0,
    sleeps: 0,
    cuts: 0,
    hubRestarts: 0,
    diskFaults: 0,
    clockJumps: 0,
    renewals: 0,
  };

  violation(sentence: string): void {
    if (this.violations.length < 20) this.violations.push(sentence);
  }
}

/** One device over all the lives of its process. */
class Device {
  readonly id: string;
  readonly disk: SimulatedDisk;
  readonly network: SimulatedNetwork;
  clock: DeviceClock;
  client: DeviceClient | undefined;
  life = 0;
  next = 1;
  /** What `enqueue` said yes to, in any life. */
  readonly accepted = new Set<number>();
  /** Calls of the present life that have not settled. */
  readonly open = new Map<number, string>();
  calls = 0;

  constructor(
    id: string,
    parts: { disk: SimulatedDisk; network: SimulatedNetwork; clock: DeviceClock },
  ) {
    this.id = id;
    this.disk = parts.disk;
    this.network = parts.network;
    this.clock = parts.clock;
  }
}

class SoakWorld {
  readonly clock = new VirtualClock();
  readonly result = new SoakResult();
  readonly random: SeededRandom;
  readonly devices: Device[];
  readonly #bug: SoakBug | undefined;
  #core: HubCore | undefined;
  #stores: MemoryStores | undefined;
  #image: MemoryImage | undefined;
  #listening: { close(): void }[] = [];
  #life = 0;
  readonly #keys = new Map<string, string>();

  constructor({ seed, devices, bug }: SoakOptions) {
    this.random = seededRandom(seed);
    this.#bug = bug;
    this.devices = Array.from({ length: devices }, (_, index) => {
      const delays = this.random.fork();
      const disk = new SimulatedDisk({
        schedule: (complete) => {
          this.clock.at(this.clock.nowMs() + delays.between(0, 4), complete);
        },
      });
      return new Device(`device-${index}`, {
        disk: bug?.disk?.(disk) ?? disk,
        network: new SimulatedNetwork({
          clock: this.clock,
          random: this.random.fork(),
          lanes: { latencyMs: 20, jitterMs: 30, pieceBytesMax: 4_000 },
        }),
        clock: new DeviceClock(this.clock),
      });
    });
  }

  get core(): HubCore | undefined {
    return this.#core;
  }

  async startHub(): Promise<void> {
    this.#life += 1;
    const life = this.#life;
    const random = this.random.fork();
    const stores = createMemoryStores({
      clock: this.clock,
      partitions: 2,
      ...(this.#image === undefined ? {} : { image: this.#image }),
      schedule: (complete) => {
        this.clock.at(this.clock.nowMs() + random.between(1, 10), complete);
      },
    });
    this.#stores = stores;
    this.#image = stores.image;
    const core = await createHubCore({
      stores,
      clock: this.clock,
      logger: silentLogger,
      hostNames: [host],
      random: {
        bytes: (length) => random.bytes(length),
        packetId: () => 1 + random.int(65_535),
        id: () => `id-${life}-${random.int(2 ** 40)}`,
      },
    });
    this.#core = core;
    this.#listening = this.devices.map(({ network }) =>
      network.listen(host, (stream) => core.mqtt.handleStream(stream)),
    );
  }

  killHub(): void {
    this.result.counts.hubRestarts += 1;
    this.#stores?.cut();
    for (const listening of this.#listening) listening.close();
    for (const { network } of this.devices) {
      for (const cable of network.cables) {
        cable.cut({ client: this.random.chance(0.5) ? "reset" : "silent", server: "reset" });
      }
    }
    this.#core = undefined;
  }

  async register(): Promise<void> {
    for (const { id } of this.devices) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const identity = await this.#core!.identities.create({
        deviceId: id,
        moduleId: undefined,
        status: "enabled",
        statusReason: undefined,
        authentication: undefined,
        capabilities: { iotEdge: false },
        managedBy: undefined,
      });
      if (identity.authentication.type === "sas") {
        this.#keys.set(id, identity.authentication.primaryKey);
      }
    }
  }

  /** A new process of the device, on what its disk has. */
  async startDevice(device: Device): Promise<void> {
    const random = this.random.fork();
    const { clock } = device;
    device.life += 1;
    const { life } = device;
    const { counts } = this.result;
    for (;;) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- until its disk lets it
        device.client = await connect({
          connectionString: `HostName=${host};DeviceId=${device.id};SharedAccessKey=${this.#keys.get(device.id)}`,
          clock,
          random: () => random.next(),
          openStream: (signal) => device.network.connect(host, {}, signal),
          waitForConnection: false,
          keepAliveS: 600,
          tokenLifetimeS: 6 * 3600,
          ...(this.#bug?.memoryOutbox === true
            ? { messageIds: "auto" as const }
            : {
                outbox: {
                  kind: "durable" as const,
                  directory: "/outbox",
                  fileSystem: device.disk.forProcess(),
                  segmentBytes: 64 * 1024,
                },
              }),
          methods: { echo: (request) => ({ status: 200, payload: request.payload }) },
          onStatus: (status) => {
            if (status.state === "renewing") counts.renewals += 1;
          },
          onError: (error, where) => {
            // Its disk fails now and then, and it says so.
            if (where !== "outbox") this.result.violation(`${where} threw ${String(error)}`);
          },
        });
        return;
      } catch (error) {
        if (device.life !== life) return;
        if (!(error instanceof IotError)) throw error;
        // Its disk fails; whoever supervises it starts it again.
        // oxlint-disable-next-line no-await-in-loop -- as above
        await this.clock.sleep(second);
      }
    }
  }

  /** The process is gone, or the whole machine: what was accepted must be there afterwards. */
  stopDevice(device: Device, how: "kill" | "power"): void {
    device.clock.die();
    for (const cable of device.network.cables) {
      cable.cut({ client: "silent", server: this.random.chance(0.5) ? "reset" : "silent" });
    }
    if (how === "kill") device.disk.kill();
    else device.disk.crash(this.random.pick(crashModes), this.random.int(2 ** 31));
    device.client = undefined;
    device.open.clear();
    device.life += 1;
    const { skewMs } = device.clock;
    device.clock = new DeviceClock(this.clock);
    device.clock.skewMs = skewMs;
  }

  call(device: Device, what: string, promise: Promise<unknown>): void {
    const id = device.calls++;
    const { open } = device;
    this.result.counts.calls += 1;
    open.set(id, what);
    promise
      .catch((error: unknown) => {
        if (error instanceof IotError) return;
        this.result.violation(`${what} rejected with ${String(error)}`);
      })
      .finally(() => open.delete(id));
  }

  send(device: Device): void {
    const { client } = device;
    if (client === undefined || device.clock.isAsleep) return;
    const n = device.next++;
    const { counts } = this.result;
    counts.enqueued += 1;
    const accepted = client.enqueue(`${device.id}/${n}`);
    this.call(device, `message ${n} of ${device.id}`, accepted);
    const { life } = device;
    accepted.then(
      () => {
        // A promise of a process that is gone tells nobody anything.
        if (device.life !== life) return;
        device.accepted.add(n);
        counts.accepted += 1;
      },
      () => (counts.refused += 1),
    );
  }

  otherCall(device: Device): void {
    const { client } = device;
    if (client === undefined || device.clock.isAsleep) return;
    const what = this.random.int(3);
    const timeoutMs = 2 * minute;
    if (what === 0) this.call(device, "getTwin", client.getTwin({ timeoutMs }));
    else if (what === 1) {
      const patch = { n: this.random.int(100) };
      this.call(device, "reportProperties", client.reportProperties(patch, { timeoutMs }));
    } else {
      this.call(device, "sendTelemetry", client.sendTelemetry("other", { timeoutMs, qos: 0 }));
    }
  }

  /** What the hub has of each device, in the order it took it. */
  async stored(): Promise<Map<string, number[]>> {
    const core = this.#core!;
    const found = new Map<string, number[]>();
    for (let partition = 0; partition < core.telemetry.partitionCount; partition += 1) {
      for (let next = 0; ;) {
        const limits = { recordsMax: 1_000, bytesMax: 1 << 20 };
        // oxlint-disable-next-line no-await-in-loop -- page by page
        const events = await core.telemetry.read(partition, { sequenceNumber: next }, limits);
        const last = events.at(-1);
        if (last === undefined) break;
        next = last.sequenceNumber + 1;
        for (const event of events) {
          const [device = "", n] = new TextDecoder().decode(event.body).split("/");
          if (n === undefined) continue;
          if (this.#bug?.hubForgets?.(this.random) === true) continue;
          if (event.properties.system.messageId === undefined) {
            this.result.violation(`message ${n} of ${device} has no id`);
          }
          const all = found.get(device) ?? [];
          all.push(Number(n));
          found.set(device, all);
        }
      }
    }
    return found;
  }

  check(stored: Map<string, number[]>): void {
    const { result } = this;
    for (const device of this.devices) {
      const seen = new Set<number>();
      let last = 0;
      for (const n of stored.get(device.id) ?? []) {
        result.counts.stored += 1;
        if (seen.has(n)) {
          result.counts.repeated += 1;
          continue;
        }
        seen.add(n);
        if (n < last) result.violation(`${device.id}: message ${n} arrived first after ${last}`);
        last = n;
      }
      for (const n of device.accepted) {
        if (!seen.has(n))
          result.violation(`${device.id}: message ${n} was accepted and is nowhere`);
      }
      for (const what of device.open.values()) result.violation(`${what} never settled`);
    }
  }
}

/** One seed: days of work and bad nights, then calm, then the bill. */
export async function soak(options: SoakOptions): Promise<SoakResult> {
  const world = new SoakWorld(options);
  const { clock, random, result } = world;
  const { counts } = result;
  await during(clock, world.startHub());
  await during(clock, world.register());
  for (const device of world.devices) await during(clock, world.startDevice(device));

  const endMs = clock.nowMs() + options.days * 24 * hour;
  const every = (meanMs: number, what: () => void): void => {
    const again = (): void => {
      if (clock.nowMs() >= endMs) return;
      what();
      clock.at(clock.nowMs() + random.between(0.2, 1.8) * meanMs, again);
    };
    clock.at(clock.nowMs() + random.between(0.2, 1.8) * meanMs, again);
  };
  const starting = new Set<Promise<void>>();
  /** Trouble comes when there is something to lose: while messages are being accepted, sent and acknowledged. */
  const inTheMiddle = (device: Device, trouble: () => void): void => {
    for (let burst = random.int(20); burst > 0; burst -= 1) world.send(device);
    clock.at(clock.nowMs() + random.between(0, 200), trouble);
  };
  for (const device of world.devices) {
    every(25 * minute, () => {
      for (let burst = random.chance(0.1) ? 20 : 1; burst > 0; burst -= 1) world.send(device);
    });
    every(3 * hour, () => world.otherCall(device));
    every(9 * hour, () =>
      inTheMiddle(device, () => {
        const how = random.pick(["kill", "power"] as const);
        counts[how === "kill" ? "kills" : "powerLosses"] += 1;
        world.stopDevice(device, how);
        const start = clock
          .sleep(random.between(0.1, 600) * second)
          .then(() => world.startDevice(device))
          .finally(() => starting.delete(start));
        starting.add(start);
      }),
    );
    every(11 * hour, () => {
      if (device.client === undefined || device.clock.isAsleep) return;
      counts.sleeps += 1;
      const asleep = device.clock;
      asleep.sleep();
      for (const cable of device.network.cables) cable.stall();
      clock.at(clock.nowMs() + random.between(1, 4 * 3600) * second, () => {
        for (const cable of device.network.cables) cable.release();
        asleep.wake();
      });
    });
    every(4 * hour, () =>
      inTheMiddle(device, () => {
        const cable = device.network.cables.at(-1);
        if (cable === undefined) return;
        counts.cuts += 1;
        const fate = random.int(5);
        if (fate === 0) cable.cut();
        else if (fate === 1) cable.cut({ client: "silent" });
        else if (fate === 2) cable.cut({ server: "silent" });
        else if (fate === 3) cable.cut({ client: "silent", server: "silent" });
        else {
          cable.stall();
          clock.at(clock.nowMs() + random.between(1, 60) * second, () => cable.release());
        }
      }),
    );
    every(12 * hour, () => {
      counts.diskFaults += 1;
      const code = random.pick(["ENOSPC", "EIO"] as const);
      const operation = random.pick(["write", "datasync"] as const);
      const heal = device.disk.fail({ operation, code, times: 1 + random.int(5) });
      clock.at(clock.nowMs() + random.between(1, 120) * second, heal);
    });
    every(20 * hour, () => {
      counts.clockJumps += 1;
      device.clock.skewMs = random.chance(0.2)
        ? random.between(-6, 6) * hour
        : random.between(-200, 200) * second;
    });
  }
  let restarting: Promise<void> | undefined;
  every(15 * hour, () => {
    if (restarting !== undefined) return;
    for (const device of world.devices) world.send(device);
    restarting = clock
      .sleep(random.between(0, 200))
      .then(() => world.killHub())
      .then(() => clock.sleep(random.between(0.1, 1800) * second))
      .then(() => world.startHub())
      .finally(() => (restarting = undefined));
  });
  await clock.advanceTo(endMs);

  if (restarting !== undefined) await during(clock, restarting);
  for (const device of world.devices) {
    device.clock.skewMs = 0;
    for (const cable of device.network.cables) cable.release();
    device.clock.wake();
  }
  await during(clock, Promise.all(starting));
  await clock.advance(3 * hour);
  world.check(await during(clock, world.stored()));
  for (const device of world.devices) {
    if (device.client !== undefined) await during(clock, device.client.close({ timeoutMs: 1000 }));
  }
  await during(clock, world.core!.stop());
  return result;
}
