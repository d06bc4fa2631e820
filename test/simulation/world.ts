import { connect, type DeviceClient } from "@hubwire/device";
import { seededRandom, SimulatedNetwork, type SeededRandom } from "@hubwire/testkit";
import { VirtualClock, type ByteStream, type Clock } from "@hubwire/transport";
import { createHubCore, type HubCore } from "../../packages/hub/src/core.ts";
import { silentLogger } from "../../packages/hub/src/domain/observe.ts";
import type { Stores } from "../../packages/hub/src/domain/ports.ts";
import {
  createMemoryStores,
  type MemoryImage,
  type MemoryStores,
} from "../../packages/hub/src/stores/memory/index.ts";
import { during } from "./during.ts";
import { History, type StoredRecord } from "./history.ts";
import { subscribeOnce, watchConnack, watchPubackOrder } from "./wire-tap.ts";

/** A deliberate mistake, put in at a seam; each must be found. */
export type PlantedBug = {
  name: string;
  stores?: (stores: Stores, parts: { clock: Clock; random: SeededRandom; life: number }) => Stores;
  clientStream?: (stream: ByteStream) => ByteStream;
  serverStream?: (stream: ByteStream) => ByteStream;
  core?: (core: HubCore) => void;
};

export type RunOptions = { seed: number; devices: number; hours: number; bug?: PlantedBug };

const host = "hub";
const minuteMs = 60_000;
const second = 1000;
/** Long enough for every outage of the schedule: a send that still fails has been failed by us. */
const patientMs = 12 * 60 * minuteMs;

/** The device's clock: the world's, plus what a bad battery does to it. */
function skewed(clock: VirtualClock): Clock & { skewMs: number } {
  return {
    skewMs: 0,
    wallMs() {
      return clock.wallMs() + this.skewMs;
    },
    nowMs: () => clock.nowMs(),
    at: (atMs, callback) => clock.at(atMs, callback),
    endOfTurn: (callback) => clock.endOfTurn(callback),
  };
}

/** Reads the hub's own log: an identity has one admitted connection at a time. */
function oneConnectionEach(history: History): (facts: object) => void {
  const admitted = new Map<string, number>();
  return (facts) => {
    const { event, clientId, connectionId } = facts as {
      event?: string;
      clientId?: string;
      connectionId?: number;
    };
    if (clientId === undefined || connectionId === undefined) return;
    if (event === "connected") {
      const before = admitted.get(clientId);
      if (before !== undefined) {
        history.violation(`${clientId} has connections ${before} and ${connectionId} at a time`);
      }
      admitted.set(clientId, connectionId);
    } else if (event === "disconnected" && admitted.get(clientId) === connectionId) {
      admitted.delete(clientId);
    }
  };
}

class Device {
  readonly id: string;
  readonly clock: ReturnType<typeof skewed>;
  client: DeviceClient | undefined;
  life = 0;
  nextTelemetry = 1;
  nextReport = 1;
  lastDesired = 0;

  constructor(id: string, clock: VirtualClock) {
    this.id = id;
    this.clock = skewed(clock);
  }
}

/** One hub, some devices, a back end and a network, all on one seed. */
class World {
  readonly clock = new VirtualClock();
  readonly random: SeededRandom;
  readonly history = new History();
  readonly network: SimulatedNetwork;
  readonly devices: Device[];
  readonly #bug: PlantedBug | undefined;
  #core: HubCore | undefined;
  #stores: MemoryStores | undefined;
  #image: MemoryImage | undefined;
  #listening: { close(): void } | undefined;
  #life = 0;
  #storeFaultsUntilMs = 0;
  #keys = new Map<string, string>();
  calm = false;

  constructor(options: RunOptions) {
    this.random = seededRandom(options.seed);
    this.#bug = options.bug;
    this.network = new SimulatedNetwork({
      clock: this.clock,
      random: this.random.fork(),
      lanes: { latencyMs: 20, jitterMs: 30, pieceBytesMax: 700 },
    });
    this.devices = Array.from(
      { length: options.devices },
      (_, index) => new Device(`device-${index}`, this.clock),
    );
  }

  get core(): HubCore | undefined {
    return this.#core;
  }

  async startHub(): Promise<void> {
    this.#life += 1;
    const random = this.random.fork();
    const delays = this.random.fork();
    const stores = createMemoryStores({
      clock: this.clock,
      partitions: 2,
      ...(this.#image === undefined ? {} : { image: this.#image }),
      schedule: (complete) => {
        this.clock.at(this.clock.nowMs() + delays.between(1, this.calm ? 5 : 60), complete);
      },
      fault: () => {
        if (this.calm || this.clock.nowMs() >= this.#storeFaultsUntilMs) return undefined;
        return delays.chance(0.3) ? delays.pick(["reject", "applyThenReject"] as const) : undefined;
      },
    });
    this.#stores = stores;
    this.#image = stores.image;
    const wrapped =
      this.#bug?.stores?.(stores, { clock: this.clock, random: random.fork(), life: this.#life }) ??
      stores;
    const core = await createHubCore({
      stores: wrapped,
      clock: this.clock,
      logger: { ...silentLogger, info: oneConnectionEach(this.history) },
      hostNames: [host],
      random: {
        bytes: (length) => random.bytes(length),
        packetId: () => 1 + random.int(65_535),
        id: () => `id-${this.#life}-${random.int(2 ** 40)}`,
      },
    });
    this.#bug?.core?.(core);
    this.#core = core;
    this.#listening = this.network.listen(host, (stream) =>
      core.mqtt.handleStream(
        watchConnack(this.#bug?.serverStream?.(stream) ?? stream, this.clock, (sentence) =>
          this.history.violation(sentence),
        ),
      ),
    );
    this.#watchLog(core);
  }

  /** The power goes: nothing is finished, nothing is said. */
  killHub(): void {
    this.#stores?.cut();
    this.#listening?.close();
    for (const cable of this.network.cables) {
      cable.cut({ client: this.random.chance(0.5) ? "reset" : "silent", server: "reset" });
    }
    this.#core = undefined;
  }

  storeTrouble(forMs: number): void {
    this.#storeFaultsUntilMs = this.clock.nowMs() + forMs;
  }

  async register(): Promise<void> {
    for (const { id } of this.devices) {
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

  async startDevice(device: Device): Promise<void> {
    const random = this.random.fork();
    device.life += 1;
    const life = String(device.life);
    device.client = await connect({
      connectionString: `HostName=${host};DeviceId=${device.id};SharedAccessKey=${this.#keys.get(device.id)}`,
      clock: device.clock,
      random: () => random.next(),
      openStream: async (signal) => {
        const stream = await this.network.connect(host, {}, signal);
        const bugged = this.#bug?.clientStream?.(stream) ?? stream;
        // The first device subscribes as an official SDK does: never again on a session the hub says it has.
        const client = device === this.devices[0] ? subscribeOnce(bugged) : bugged;
        return watchPubackOrder(client, (sentence) =>
          this.history.violation(`${device.id}: ${sentence}`),
        );
      },
      waitForConnection: false,
      tokenLifetimeS: 1800,
      onMessage: (message) => {
        this.history.c2dReceived(device.id, message.messageId ?? "without id");
      },
      methods: { echo: (request) => ({ status: 200, payload: [device.id, request.payload] }) },
      onError: (error, where) => this.history.violation(`${where} threw ${String(error)}`),
    });
    const { client } = device;
    void (async () => {
      for await (const change of client.desiredProperties()) {
        this.history.desired(device.id, life, change.version);
        device.lastDesired = change.version;
      }
    })();
  }

  send(device: Device): void {
    const n = device.nextTelemetry++;
    const { accepted, rejected } = this.history.telemetry(device.id, n);
    device
      .client!.sendTelemetry(`${device.id}/${n}`, { timeoutMs: patientMs })
      .then(accepted, rejected);
  }

  report(device: Device): void {
    const n = device.nextReport++;
    const promise = device.client!.reportProperties({ n }, { timeoutMs: 2 * minuteMs });
    this.history.call(`report ${n} of ${device.id}`, promise).then(
      ({ version }) => this.history.reportAccepted(device.id, n, version),
      () => {},
    );
  }

  /** A back end acts; what it is refused it was not promised. */
  backEnd(device: Device): void {
    const core = this.#core;
    if (core === undefined) return;
    const ref = { deviceId: device.id, moduleId: undefined };
    const die = this.random.int(4);
    // A hub that is killed answers nobody: its callers see their connection break, so nobody waits for them here.
    if (die === 0) {
      const id = `c2d-${this.random.int(2 ** 40)}`;
      core.c2d
        .send(device.id, {
          properties: { system: { messageId: id }, application: {} },
          ack: undefined,
          expiresAtMs: this.clock.wallMs() + 40 * 3_600_000,
          body: new TextEncoder().encode(id),
        })
        .then(
          () => this.history.c2dSent(device.id, id),
          () => {},
        );
    } else if (die === 1) {
      const payload = this.random.int(1000);
      const call = { methodName: "echo", responseTimeoutS: 30, connectTimeoutS: 30 };
      core.methods
        .invoke(
          ref,
          { ...call, payload: new TextEncoder().encode(String(payload)) },
          new AbortController().signal,
        )
        .then(
          (answer) => {
            this.history.counts.methods += 1;
            const text = JSON.stringify(answer.payload);
            if (text !== JSON.stringify([device.id, payload])) {
              this.history.violation(`echo(${payload}) of ${device.id} answered ${text}`);
            }
          },
          () => {},
        );
    } else if (die === 2) {
      core.twins
        .patch(ref, { properties: { desired: { n: this.random.int(1000) } } }, undefined)
        .catch(() => {});
    } else {
      void this.readTwin(core, device).catch(() => {});
    }
  }

  async readTwin(core: HubCore, device: Device): Promise<{ desired: number; reportedN: number }> {
    const { twin } = await core.twins.read({ deviceId: device.id, moduleId: undefined });
    const { desired, reported } = twin["properties"] as Record<
      "desired" | "reported",
      { $version: number; n?: number }
    >;
    this.history.twinRead(device.id, desired.$version, reported.$version);
    return { desired: desired.$version, reportedN: reported.n ?? 0 };
  }

  async readLog(core: HubCore): Promise<StoredRecord[]> {
    const records: StoredRecord[] = [];
    for (let partition = 0; partition < core.telemetry.partitionCount; partition += 1) {
      for (let next = 0; ;) {
        const events = await core.telemetry.read(
          partition,
          { sequenceNumber: next },
          { recordsMax: 500, bytesMax: 1 << 20 },
        );
        const last = events.at(-1);
        if (last === undefined) break;
        for (const event of events) records.push(recordOf(event));
        if (last.sequenceNumber < next) {
          this.history.violation(
            `reading partition ${partition} from ${next} gave ${last.sequenceNumber}`,
          );
          break;
        }
        next = last.sequenceNumber + 1;
      }
    }
    return records;
  }

  /** A live reader on each partition, which remembers what it was shown. */
  #watchLog(core: HubCore): void {
    const next = Array.from({ length: core.telemetry.partitionCount }, (_, partition) =>
      Math.max(0, core.telemetry.partition(partition).nextSequenceNumber - 20),
    );
    let reading = false;
    core.telemetry.onCommit(() => {
      if (reading) return;
      reading = true;
      void (async () => {
        for (let partition = 0; partition < next.length; partition += 1) {
          const events = await core.telemetry.read(
            partition,
            { sequenceNumber: next[partition]! },
            { recordsMax: 500, bytesMax: 1 << 20 },
          );
          for (const event of events) this.history.recordRead(recordOf(event));
          next[partition] = (events.at(-1)?.sequenceNumber ?? next[partition]! - 1) + 1;
        }
      })()
        .catch(() => {})
        .finally(() => (reading = false));
    });
  }
}

function recordOf(event: {
  partition: number;
  sequenceNumber: number;
  enqueuedTimeMs: number;
  body: Uint8Array;
}): StoredRecord {
  const [device = "", n = ""] = new TextDecoder().decode(event.body).split("/");
  const { partition, sequenceNumber, enqueuedTimeMs } = event;
  return { partition, sequenceNumber, enqueuedTimeMs, device, n: Number(n) };
}

async function started(world: World): Promise<boolean> {
  try {
    await world.startHub();
    return true;
  } catch {
    world.killHub();
    return false;
  }
}

/** One seed: hours of work and trouble, then calm, then the bill. */
export async function simulate(options: RunOptions): Promise<History> {
  const world = new World(options);
  const { clock, random, history } = world;
  await during(clock, world.startHub());
  await during(clock, world.register());
  for (const device of world.devices) await world.startDevice(device);

  const endMs = clock.nowMs() + options.hours * 3_600_000;
  const every = (meanMs: number, what: () => void): void => {
    const again = (): void => {
      if (clock.nowMs() >= endMs) return;
      what();
      clock.at(clock.nowMs() + random.between(0.2, 1.8) * meanMs, again);
    };
    clock.at(clock.nowMs() + random.between(0.2, 1.8) * meanMs, again);
  };
  for (const device of world.devices) {
    every(40 * second, () => {
      for (let burst = random.chance(0.1) ? 30 : 1; burst > 0; burst -= 1) world.send(device);
    });
    every(4 * minuteMs, () => world.report(device));
    every(90 * second, () => world.backEnd(device));
    every(40 * minuteMs, () => {
      // Up to five minutes are tolerated; once in a while a clock is hours off, until somebody sets it.
      device.clock.skewMs = random.chance(0.2)
        ? random.between(-6, 6) * 3_600_000
        : random.between(-200, 200) * second;
    });
  }
  every(3 * minuteMs, () => {
    const { cables } = world.network;
    if (cables.length === 0) return;
    const cable = random.pick(cables);
    const fate = random.int(5);
    if (fate === 0) cable.cut();
    else if (fate === 1) cable.cut({ client: "silent" });
    else if (fate === 2) cable.cut({ server: "silent" });
    else if (fate === 3) cable.cut({ client: "silent", server: "silent" });
    else {
      cable.stall();
      clock.at(clock.nowMs() + random.between(1, 60) * second, () => cable.release());
    }
  });
  every(25 * minuteMs, () => clock.jumpWall(random.between(-100, 100) * second));
  every(20 * minuteMs, () => world.storeTrouble(random.between(1, 30) * second));
  let restarting: Promise<void> | undefined;
  every(30 * minuteMs, () => {
    if (restarting !== undefined) return;
    world.killHub();
    restarting = (async () => {
      await clock.sleep(random.between(0.1, 90) * second);
      // A hub whose disk fails during its start gives up; whoever supervises it starts it again.
      while (!(await started(world))) await clock.sleep(second);
      restarting = undefined;
    })();
  });
  await clock.advanceTo(endMs);

  world.calm = true;
  if (restarting !== undefined) await during(clock, restarting);
  for (const device of world.devices) device.clock.skewMs = 0;
  for (const cable of world.network.cables) cable.release();
  await clock.advance(20 * minuteMs);

  const core = world.core!;
  history.checkLog(await during(clock, world.readLog(core)));
  for (const device of world.devices) {
    const { desired, reportedN } = await during(clock, world.readTwin(core, device));
    history.checkEnd(device.id, desired, device.lastDesired, reportedN);
  }
  history.checkC2d();
  history.checkCalls();
  for (const device of world.devices)
    await during(clock, device.client!.close({ timeoutMs: 1000 }));
  await during(clock, core.stop());
  return history;
}
