import { connect } from "@hubwire/device";
import type { DeviceClient, DeviceOptions } from "@hubwire/device";
import { seededRandom, SimulatedNetwork } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import { createHubCore, type HubCore } from "../../packages/hub/src/core.ts";
import { silentLogger } from "../../packages/hub/src/domain/observe.ts";
import type { IdentityRef } from "../../packages/hub/src/domain/services.ts";
import { createMemoryStores } from "../../packages/hub/src/stores/memory/index.ts";

/** This repository's own hub and devices on a simulated network, in virtual time. */
export class HubWorld {
  readonly clock = new VirtualClock({ wallMs: Date.UTC(2026, 0, 1, 12) });
  readonly network: SimulatedNetwork;
  readonly #random;
  core!: HubCore;

  private constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.network = new SimulatedNetwork({
      clock: this.clock,
      random: this.#random.fork(),
      lanes: { latencyMs: 20, jitterMs: 10, pieceBytesMax: 700 },
    });
  }

  static async start(seed = 1): Promise<HubWorld> {
    const world = new HubWorld(seed);
    const { clock } = world;
    const stores = createMemoryStores({
      clock,
      schedule: (complete) => void clock.at(clock.nowMs() + 5, complete),
    });
    world.core = await world.during(
      createHubCore({ stores, clock, logger: silentLogger, hostNames: ["hub"] }),
    );
    world.network.listen("hub", (stream) => world.core.mqtt.handleStream(stream));
    return world;
  }

  /** Moves time until a promise is settled. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const settled = work.finally(() => (isOver = true));
    settled.catch(() => undefined);
    await this.clock.runUntil(() => isOver, { withinMs: 3_600_000 });
    return settled;
  }

  async create(deviceId: string, moduleId?: string): Promise<{ ref: IdentityRef; key: string }> {
    const ref = { deviceId, moduleId };
    const { authentication } = await this.during(
      this.core.identities.create({
        ...ref,
        status: "enabled",
        statusReason: undefined,
        authentication: undefined,
        capabilities: { iotEdge: false },
        managedBy: undefined,
      }),
    );
    if (authentication.type !== "sas") throw new Error("a new identity has keys");
    return { ref, key: authentication.primaryKey };
  }

  connect(
    { ref, key }: { ref: IdentityRef; key: string },
    options: DeviceOptions = {},
  ): Promise<DeviceClient> {
    const module = ref.moduleId === undefined ? "" : `;ModuleId=${ref.moduleId}`;
    return this.during(
      connect({
        connectionString: `HostName=hub;DeviceId=${ref.deviceId}${module};SharedAccessKey=${key}`,
        clock: this.clock,
        random: () => this.#random.next(),
        openStream: this.network.dial("hub"),
        onError: (error) => {
          throw error;
        },
        ...options,
      }),
    );
  }

  /** Every connection breaks. */
  cut(): void {
    for (const cable of this.network.cables) cable.cut({ client: "reset", server: "reset" });
  }
}
