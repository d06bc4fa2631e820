import { seededRandom, SimulatedNetwork } from "@hubwire/testkit";
import type { SeededRandom } from "@hubwire/testkit";
import { expect, test } from "vitest";
import type { DeviceClient } from "@hubwire/device";
import { Outcome, World } from "./support/world.ts";

const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 1_000 : 25);
const firstSeed = Number(process.env["HUBWIRE_SEED"] ?? 1);
/** Trouble lasts so long; afterwards everything must come right. */
const troubleMs = 180_000;
const callTimeoutMs = 40_000;

/** A device on a bad network, with a bad hub, whose application keeps calling. */
class Trouble {
  readonly random: SeededRandom;
  readonly world: World;
  readonly network: SimulatedNetwork;
  readonly telemetry: { text: string; qos: 0 | 1; outcome: Outcome<void> }[] = [];
  readonly calls: { madeAtMs: number; what: string; outcome: Outcome<unknown> }[] = [];
  readonly late: string[] = [];
  readonly c2dSent: string[] = [];
  readonly c2dSeen: string[] = [];
  desired: Record<string, unknown> | undefined;
  desiredVersion = 0;
  #silent = new Set<string>();
  #refusal: 3 | 5 | undefined;
  #count = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    this.world = new World({
      refuse: () => this.#refusal,
      onEffect: (effect) => (this.#silent.has(effect.type) ? "taken" : undefined),
    });
    const { clock, hub } = this.world;
    this.network = new SimulatedNetwork({
      clock,
      random: this.random.fork(),
      lanes: { latencyMs: 20 },
    });
    this.network.listen("hub", (stream) => hub.serve(stream));
  }

  async run(): Promise<DeviceClient> {
    const { clock } = this.world;
    const client = await this.world.connect({
      openStream: this.network.dial("hub"),
      tokenLifetimeS: 60,
      retryIntervalMs: 8_000,
      attemptTimeoutMs: 10_000,
      keepAliveS: 20,
      callTimeoutMs,
      maxInflight: 5,
      reconnectDelay: { minMs: 100, maxMs: 3_000 },
      methods: { echo: ({ payload }) => ({ payload }) },
      random: () => this.random.next(),
    });
    this.#read(client);
    const endMs = clock.nowMs() + troubleMs;
    while (clock.nowMs() < endMs) {
      this.#call(client);
      if (this.random.chance(0.15)) this.#harm();
      if (this.random.chance(0.1)) this.#heal();
      await clock.advance(this.random.int(1_000));
      this.#checkDeadlines();
    }
    this.#heal();
    await clock.advance(2 * callTimeoutMs);
    this.#checkDeadlines();
    return client;
  }

  #read(client: DeviceClient): void {
    void (async () => {
      for await (const message of client.messages()) {
        this.c2dSeen.push(message.text());
        await this.world.clock.sleep(this.random.int(1_000));
        await message.complete();
      }
    })();
    void (async () => {
      for await (const { patch, desired, version } of client.desiredProperties()) {
        const before: Record<string, unknown> = { ...this.desired };
        for (const [key, value] of Object.entries(patch)) {
          if (value === null) delete before[key];
          else before[key] = value;
        }
        // Each change is exactly the step from the section before to the section after.
        expect(before).toEqual({ ...desired });
        this.desired = { ...desired };
        this.desiredVersion = version;
      }
    })();
  }

  #call(client: DeviceClient): void {
    const { random } = this;
    const { clock, hub } = this.world;
    const track = (what: string, promise: Promise<unknown>): Outcome<unknown> => {
      const outcome = new Outcome(promise);
      this.calls.push({ madeAtMs: clock.nowMs(), what, outcome });
      return outcome;
    };
    const controller = new AbortController();
    if (random.chance(0.1)) {
      clock.at(clock.nowMs() + random.int(5_000), () => controller.abort());
    }
    const { signal } = controller;
    for (let i = random.int(4); i > 0; i--) {
      const text = `m${this.#count++}`;
      const qos = random.chance(0.2) ? 0 : 1;
      const outcome = track("send", client.sendTelemetry(text, { qos, signal })) as Outcome<void>;
      this.telemetry.push({ text, qos, outcome });
    }
    if (random.chance(0.2)) track("getTwin", client.getTwin({ signal }));
    if (random.chance(0.2))
      track("report", client.reportProperties({ n: this.#count }, { signal }));
    if (random.chance(0.2)) {
      const text = `c${this.#count++}`;
      this.c2dSent.push(text);
      hub.queueC2d(text);
    }
    if (random.chance(0.2)) {
      const key = `k${random.int(5)}`;
      const value = random.chance(0.3) ? null : this.#count++;
      hub.desire({ [key]: value }, !hub.isConnected || random.chance(0.2));
    }
    if (random.chance(0.1) && hub.isConnected) hub.method("echo", '"x"');
  }

  #harm(): void {
    const { hub, clock } = this.world;
    switch (this.random.int(8)) {
      case 0:
      case 1:
        for (const cable of this.network.cables) {
          cable.cut({
            client: this.random.pick(["reset", "silent"]),
            server: this.random.pick(["reset", "silent"]),
            inFlight: this.random.pick(["some", "lost", "delivered"] as const),
          });
        }
        return;
      case 2:
        for (const cable of this.network.cables)
          cable.stall(this.random.pick(["both", "toClient", "toServer"]));
        return;
      case 3:
        return this.network.stand("hub", this.random.pick(["down", "silent"]));
      case 4:
        this.#refusal = this.random.pick([3, 5]);
        return;
      case 5:
        this.#silent.add(this.random.pick(["connect", "subscribe", "message"]));
        return;
      case 6:
        // A hub that lost its store also lost its connections.
        for (const { closed, driver } of hub.connections) {
          if (!closed) driver.destroy("transport.closed", "hub crashed");
        }
        return hub.forgetSession();
      case 7:
        return clock.jumpWall(this.random.between(-20_000, 20_000));
    }
  }

  #heal(): void {
    // A hub that drops messages and then takes later ones on the same connection cannot be ordered: no hub does that.
    if (this.#silent.has("message")) {
      for (const cable of this.network.cables) cable.cut({ inFlight: "lost" });
    }
    this.#silent.clear();
    this.#refusal = undefined;
    this.network.stand("hub", "up");
    for (const cable of this.network.cables) cable.release();
  }

  /** No call is later than its time-out. */
  #checkDeadlines(): void {
    const nowMs = this.world.clock.nowMs();
    for (const { madeAtMs, what, outcome } of this.calls) {
      if (!outcome.isSettled && nowMs > madeAtMs + callTimeoutMs + 5) this.late.push(what);
    }
  }
}

test(
  `on a bad network with a bad hub every call settles, nothing acknowledged is lost, order is kept (${runs} seeds)`,
  { timeout: 30_000 + 1_000 * runs },
  async () => {
    for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
      const trouble = new Trouble(seed);
      const client = await trouble.run();
      const { hub } = trouble.world;
      const where = `HUBWIRE_SEED=${seed}`;
      expect(trouble.late, where).toEqual([]);
      expect(
        trouble.calls.filter(({ outcome }) => !outcome.isSettled),
        where,
      ).toEqual([]);

      const arrived = new Map<string, number>();
      for (const [at, text] of hub.texts.entries()) if (!arrived.has(text)) arrived.set(text, at);
      let last = -1;
      for (const { text, qos, outcome } of trouble.telemetry) {
        const at = arrived.get(text);
        if (qos === 1 && outcome.code === "value")
          expect(at, `${where} lost ${text}`).toBeDefined();
        if (at === undefined || outcome.code !== "value") continue;
        expect(at, `${where} order of ${text}`).toBeGreaterThan(last);
        last = at;
      }
      const allowed = new Set(["value", "call.timeout", "call.aborted", "device.connection_lost"]);
      for (const { what, outcome } of trouble.calls)
        expect(allowed, `${where} ${what}`).toContain(outcome.code);

      // Everything heals by itself; a renewal may be under way at this very moment.
      await trouble.world.clock.runUntil(() => client.status().state === "connected", {
        withinMs: 10_000,
      });
      expect(new Set(trouble.c2dSeen), where).toEqual(new Set(trouble.c2dSent));
      expect(new Set(hub.completedTexts), where).toEqual(new Set(trouble.c2dSent));
      expect(trouble.desired, where).toEqual(hub.twin.desired);
      expect(trouble.desiredVersion, where).toBe(hub.twin.desiredVersion);
      await trouble.world.settle(client.close());
      await trouble.world.clock.advance(60_000);
      expect(trouble.world.hub.isConnected, where).toBe(false);
    }
  },
);
