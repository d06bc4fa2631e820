import type { LogFileSystem } from "@hubwire/log";
import type { CrashMode, SeededRandom } from "@hubwire/testkit";
import type { DeviceClient, Priority } from "@hubwire/device";
import type { HubConnection } from "./fake-hub.ts";
import type { HubScript } from "./script.ts";
import { OutboxWorld } from "./outbox-world.ts";
import { Outcome } from "./world.ts";

type Given = {
  text: string;
  priority: Priority;
  outcome: Outcome<unknown>;
};

/** The outbox broke a promise. */
export class Lost extends Error {
  override readonly name = "Lost";
}

const priorities: readonly Priority[] = ["low", "normal", "high"];

/**
 * One device over several lives, with a hub that acknowledges late and in any order, and a ledger of what was accepted:
 *
 * - what was accepted arrives, whatever happened to process and machine;
 * - within a priority first arrivals are in the order of the calls;
 * - nothing arrives that was not given.
 */
export class OutboxLives {
  readonly world: OutboxWorld;
  readonly #random: SeededRandom;
  readonly #given: Given[] = [];
  /** Stored by the hub when it acknowledges. */
  readonly #unacknowledged: { connection: HubConnection; packetId: number; text: string }[] = [];
  readonly arrived: string[] = [];
  /** In the order they came, before the hub stored or lost them. */
  readonly #received: string[] = [];
  #client: DeviceClient | undefined;
  readonly #faultChance: number;
  /** Only while it works is the disk slow. */
  #isWorking = false;
  /** Take the disk's faults back. */
  #heal: (() => void)[] = [];

  /** @param faultChance of a fault of the disk, at every step */
  constructor(random: SeededRandom, faultChance = 0) {
    this.#random = random;
    this.#faultChance = faultChance;
    // A slow disk lets the hub acknowledge what is not committed yet.
    const slowMs = random.pick([0, 0, 30, 2_000]);
    const script: HubScript = {
      onEffect: (effect, connection) => {
        if (effect.type !== "message") return undefined;
        const { packetId, chunk, payloadStart, payloadEnd } = effect;
        const text = Buffer.from(chunk.subarray(payloadStart, payloadEnd)).toString("utf8");
        this.#unacknowledged.push({ connection, packetId, text });
        this.#received.push(text);
        return "taken";
      },
    };
    this.world = new OutboxWorld(script, {
      schedule: (complete) => {
        const { clock } = this.world;
        if (slowMs === 0 || !this.#isWorking) clock.endOfTurn(complete);
        else clock.at(clock.nowMs() + random.int(slowMs), complete);
      },
    });
  }

  /** False when the disk halted first. */
  async start(
    wrap: (fileSystem: LogFileSystem) => LogFileSystem = (fileSystem) => fileSystem,
  ): Promise<boolean> {
    const { world } = this;
    for (;;) {
      const opening = world.starting(
        {
          waitForConnection: false,
          maxInflight: 8,
          // Renewed several times in a life.
          tokenLifetimeS: 20,
          random: () => this.#random.next(),
        },
        { segmentBytes: 4_096 },
        wrap,
      );
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      await world.until(() => opening.isSettled || world.disk.isHalted);
      if (!opening.isSettled) return false;
      if (opening.code === "value") {
        this.#client = opening.value;
        return true;
      }
      // A fault of the disk was in the way.
      if (!opening.error.retryable || this.#heal.length === 0) throw opening.error;
      this.#healDisk();
    }
  }

  #breakDisk(): void {
    const random = this.#random;
    this.#heal.push(
      this.world.disk.fail({
        operation: random.pick([
          "write",
          "datasync",
          "create",
          "rename",
          "syncDirectory",
          "unlink",
        ]),
        code: random.pick(["ENOSPC", "EIO"]),
        after: random.int(4),
        times: 1 + random.int(3),
      }),
    );
  }

  #healDisk(): void {
    for (const heal of this.#heal) heal();
    this.#heal = [];
  }

  async work(steps: number): Promise<void> {
    const random = this.#random;
    const { world } = this;
    this.#isWorking = true;
    for (let step = 0; step < steps && !world.disk.isHalted; step++) {
      for (let count = random.int(5); count > 0; count--) this.#give();
      if (random.chance(0.6)) this.#acknowledge(random.int(6));
      if (random.chance(0.05) && world.hub.isConnected) world.hub.cut();
      if (random.chance(this.#faultChance)) this.#breakDisk();
      // oxlint-disable-next-line no-await-in-loop -- one step after the other
      await (random.chance(0.7) ? world.clock.settle() : world.clock.advance(random.int(3_000)));
    }
  }

  die(mode: CrashMode | "kill", seed = 0): void {
    this.#isWorking = false;
    this.world.kill(mode === "kill" ? undefined : mode, seed);
    this.#unacknowledged.length = 0;
    this.#client = undefined;
  }

  /** A last life, in which everything comes right. */
  async comeBack(): Promise<void> {
    const { world } = this;
    this.#healDisk();
    await this.start();
    const client = this.#client as DeviceClient;
    const last = this.#give("normal");
    let quietMs = 0;
    while (client.stats().queueDepth > 0) {
      this.#acknowledge(100);
      // oxlint-disable-next-line no-await-in-loop -- one step after the other
      await world.clock.advance(100);
      quietMs += 100;
      if (quietMs > 60_000) throw new Lost(`${client.stats().queueDepth} messages never leave`);
    }
    if (last.outcome.code !== "value") throw new Lost(`the last one: ${last.outcome.code}`);
    this.#check();
    await world.settle(client.close());
  }

  #give(priority: Priority = this.#random.pick(priorities)): Given {
    const random = this.#random;
    const text = `${priority}-${this.#given.length}`.padEnd(random.int(200), ".");
    const client = this.#client as DeviceClient;
    const outcome = new Outcome<unknown>(
      random.chance(0.8)
        ? client.enqueue(text, { priority })
        : client.sendTelemetry(text, { priority }),
    );
    const given = { text, priority, outcome };
    this.#given.push(given);
    return given;
  }

  /** PUBACKs by hand: a server session would insist on their order. */
  #acknowledge(count: number): void {
    for (let i = 0; i < count && this.#unacknowledged.length > 0; i++) {
      const at = this.#random.int(Math.min(8, this.#unacknowledged.length));
      const [taken] = this.#unacknowledged.splice(at, 1);
      if (taken === undefined || taken.connection.closed) continue;
      this.arrived.push(taken.text);
      const { packetId, connection } = taken;
      connection.driver.stream.write(Uint8Array.of(0x40, 2, packetId >> 8, packetId & 0xff));
    }
  }

  #check(): void {
    const firstAt = new Map<string, number>();
    for (const [at, text] of this.#received.entries()) {
      if (!firstAt.has(text)) firstAt.set(text, at);
    }
    const given = new Set(this.#given.map(({ text }) => text));
    for (const text of firstAt.keys()) {
      if (!given.has(text)) throw new Lost(`nobody gave ${text}`);
    }
    const arrived = new Set(this.arrived);
    const last = new Map<Priority, { text: string; at: number }>();
    for (const { text, priority, outcome } of this.#given) {
      if (outcome.code === "value" && !arrived.has(text)) throw new Lost(`${text} never arrived`);
      const at = firstAt.get(text);
      if (at === undefined) continue;
      const before = last.get(priority);
      if (before !== undefined && before.at > at) {
        throw new Lost(`${text} came before ${before.text}`);
      }
      last.set(priority, { text, at });
    }
  }
}
