import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type DeviceStatus } from "@hubwire/device";
import { startHub } from "@hubwire/hub";
import { seededRandom, SimulatedNetwork } from "@hubwire/testkit";
import { VirtualClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { createHubCore } from "../../packages/hub/src/core.ts";
import { silentLogger } from "../../packages/hub/src/domain/observe.ts";
import { createMemoryStores } from "../../packages/hub/src/stores/memory/index.ts";
import { LogFollower, SteadyLoad } from "./steady-load.ts";

const isLong = process.env["HUBWIRE_LONG"] === "1";
const inFlight = 20;
/** The hub neither forgives a late token nor lets a session outlive one. */
const strict = { clockToleranceS: 0, expiryGraceS: 0 };

/** Counts renewals that ended in a connection, and notes everything else that happened to it. */
class Renewals {
  count = 0;
  readonly trouble: DeviceStatus[] = [];
  #isRenewing = false;
  readonly #onRenewed: () => void;

  constructor(onRenewed: () => void = () => {}) {
    this.#onRenewed = onRenewed;
  }

  readonly onStatus = (status: DeviceStatus): void => {
    if (status.state === "renewing") this.#isRenewing = true;
    else if (status.state === "waiting" || status.state === "failed") this.trouble.push(status);
    else if (status.state === "connected" && this.#isRenewing) {
      this.#isRenewing = false;
      this.count += 1;
      this.#onRenewed();
    }
  };
}

function checkOutcome(load: SteadyLoad, log: LogFollower, renewals: Renewals, what: string): void {
  process.stdout.write(
    `${renewals.count} renewals ${what}: ${load.sent} messages sent, ${log.newest} stored, ${log.repeats} stored twice\n`,
  );
  expect(load.failures).toEqual([]);
  expect(renewals.trouble).toEqual([]);
  expect(log.problem).toBeUndefined();
  expect(log.newest).toBe(load.sent);
}

/**
 * What the hub counted. A renewal says DISCONNECT on the old connection and CONNECT on the new one in the same moment; on two
 * sockets either may come first, and then the newer connection takes over. Nothing is cut for its token.
 */
function checkEnds(ends: readonly (readonly [code: string, count: number])[], renewals: Renewals) {
  const expected = ["mqtt.disconnected", "connection.replaced"];
  expect(expected).toEqual(expect.arrayContaining(ends.map(([code]) => code)));
  expect(ends.reduce((sum, [, count]) => sum + count, 0)).toBe(renewals.count);
}

const real = { tokenLifetimeS: 20, renewals: isLong ? 20 : 1 };

test(`${real.renewals} renewals of ${real.tokenLifetimeS}-second tokens over TLS, ${inFlight} messages in flight: nothing lost, nothing failed`, async () => {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-renewal-"));
  try {
    await using hub = await startHub({ ...strict, dataDirectory: join(folder, "data") });
    const { connectionString } = await hub.createDevice({ deviceId: "d" });
    let enough = (): void => {};
    const renewed = new Promise<void>((resolve) => (enough = resolve));
    const renewals = new Renewals(() => renewals.count >= real.renewals && enough());
    await using client = await connect({
      connectionString,
      ca: hub.caPem,
      tokenLifetimeS: real.tokenLifetimeS,
      maxInflight: inFlight,
      onStatus: renewals.onStatus,
    });
    const log = new LogFollower(hub.telemetry);
    const load = new SteadyLoad(client, inFlight);
    await renewed;
    await load.stop();
    await log.finish();
    checkOutcome(load, log, renewals, `of ${real.tokenLifetimeS}-second tokens over TLS`);
    expect(renewals.count).toBeGreaterThanOrEqual(real.renewals);
    const ended = [
      ...(await hub.metricsText()).matchAll(/^hubwire_disconnects_total\{code="(.*)"\} (\d+)$/gmu),
    ];
    checkEnds(
      ended.map(([, code = "", count]) => [code, Number(count)]),
      renewals,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 600_000);

const virtual = isLong ? 100 : 20;

test(`${virtual} renewals of 30-second tokens in virtual time: nothing lost, nothing failed, nothing cut`, async () => {
  const seed = Number(process.env["HUBWIRE_SEED"] ?? 1);
  const random = seededRandom(seed);
  const clock = new VirtualClock({ wallMs: Date.UTC(2026, 0, 1, 12, 0, 0, 400) });
  const delays = random.fork();
  const stores = createMemoryStores({
    clock,
    // Now and then longer than a renewal waits for its PUBACKs: then they are still open when the connection changes.
    schedule: (complete) => {
      const delayMs = delays.chance(0.01) ? delays.between(2_000, 6_000) : delays.between(1, 60);
      clock.at(clock.nowMs() + delayMs, complete);
    },
  });
  const during = async <T>(work: Promise<T>): Promise<T> => {
    let isOver = false;
    const settled = work.finally(() => (isOver = true));
    settled.catch(() => {});
    await clock.runUntil(() => isOver, { withinMs: 7_200_000, eventsMax: 1e8 });
    return settled;
  };
  const core = await during(
    createHubCore({ stores, clock, logger: silentLogger, hostNames: ["hub"], auth: strict }),
  );
  const { authentication } = await during(
    core.identities.create({
      deviceId: "d",
      moduleId: undefined,
      status: "enabled",
      statusReason: undefined,
      authentication: undefined,
      capabilities: { iotEdge: false },
      managedBy: undefined,
    }),
  );
  if (authentication.type !== "sas") throw new Error("a new device has keys");
  const network = new SimulatedNetwork({
    clock,
    random: random.fork(),
    lanes: { latencyMs: 90, jitterMs: 40, pieceBytesMax: 700 },
  });
  network.listen("hub", (stream) => core.mqtt.handleStream(stream));
  const renewals = new Renewals();
  const client = await during(
    connect({
      connectionString: `HostName=hub;DeviceId=d;SharedAccessKey=${authentication.primaryKey}`,
      clock,
      random: () => random.next(),
      openStream: network.dial("hub"),
      tokenLifetimeS: 30,
      maxInflight: inFlight,
      onStatus: renewals.onStatus,
    }),
  );
  const log = new LogFollower(core.telemetry);
  const load = new SteadyLoad(client, inFlight);
  await clock.runUntil(() => renewals.count >= virtual || !load.isRunning, {
    withinMs: virtual * 60_000,
    eventsMax: 1e8,
  });
  await during(load.stop());
  await during(log.finish());
  checkOutcome(load, log, renewals, `in virtual time (seed ${seed})`);
  expect(renewals.count).toBe(virtual);
  expect(log.repeats, "renewals with messages under way").toBeGreaterThan(0);
  checkEnds([...core.metrics.disconnects], renewals);
  await during(client.close());
  await during(core.stop());
}, 300_000);
