import { IotError } from "@hubwire/protocol";
import { expect, test } from "vitest";
import type { DeviceClient, DeviceStatus } from "@hubwire/device";
import { Outcome, World } from "./support/world.ts";

const noRoute = (): never => {
  throw new IotError("transport.unreachable", "no route to the hub");
};

/** How long each wait was, as the status told it. */
function waits(client: DeviceClient): (DeviceStatus & { state: "waiting" })[] {
  const heard: (DeviceStatus & { state: "waiting" })[] = [];
  void (async () => {
    for await (const status of client.statusChanges()) {
      if (status.state === "waiting") heard.push(status);
    }
  })();
  return heard;
}

const lengths = (heard: readonly { nextAttemptAt: Date }[], sinceMs: readonly number[]): number[] =>
  heard.map(({ nextAttemptAt }, i) => nextAttemptAt.getTime() - (sinceMs[i] ?? 0));

test("while the hub answers CONNACK 3 the waits grow to 120 seconds, and each is counted as throttling", async () => {
  const world = new World();
  const moments: number[] = [];
  const heard: (DeviceStatus & { state: "waiting" })[] = [];
  const client = await world.connect({
    onStatus: (status) => {
      if (status.state !== "waiting") return;
      heard.push(status);
      moments.push(world.clock.wallMs());
    },
  });
  world.hub.script.refuse = () => 3;
  world.hub.cut();
  await world.clock.advance(3_600_000);
  const waited = lengths(heard, moments);
  expect(waited[0]).toBeLessThanOrEqual(2_000);
  expect(Math.min(...waited.slice(1))).toBeGreaterThanOrEqual(4_000);
  expect(Math.max(...waited)).toBeGreaterThan(60_000);
  expect(Math.max(...waited)).toBeLessThanOrEqual(120_000);
  expect(heard.slice(1).every(({ pace, refusals }) => pace === "slow" && refusals === 0)).toBe(
    true,
  );
  const { throttled, connectFailures, connects } = client.stats();
  expect([throttled, connectFailures, connects]).toEqual([heard.length - 1, heard.length - 1, 1]);
});

test("after refusalsMax refusals the client gives up, says why, and every call settles", async () => {
  const world = new World();
  const client = await world.connect({ retry: { refusalsMax: 5 } });
  const heard = waits(client);
  const loops = [client.messages(), client.desiredProperties(), client.statusChanges()].map(
    (loop) =>
      new Outcome(
        (async () => {
          for await (const one of loop) void one;
        })(),
      ),
  );
  await world.clock.advance(1_000);
  world.hub.script.refuse = () => 5;
  world.hub.cut();
  const calls = [
    client.sendTelemetry("x", { timeoutMs: 86_400_000 }),
    client.getTwin({ timeoutMs: 86_400_000 }),
    client.reportProperties({ a: 1 }, { timeoutMs: 86_400_000 }),
  ].map((call) => new Outcome<unknown>(call));
  await world.clock.runUntil(() => client.status().state === "failed");
  await world.clock.settle();
  expect(client.status()).toMatchObject({
    state: "failed",
    cause: { code: "device.refused_not_authorized", remedy: expect.stringContaining("enabled") },
  });
  expect((client.status() as { cause: IotError }).cause.message).toContain("5 refusals in a row");
  expect(heard.map(({ refusals }) => refusals)).toEqual([0, 1, 2, 3, 4]);
  expect(heard.map(({ pace }) => pace)).toEqual(["usual", "usual", "slow", "slow", "slow"]);
  expect(calls.map(({ code }) => code)).toEqual([
    "client.closed",
    "client.closed",
    "client.closed",
  ]);
  expect(loops.every(({ isSettled }) => isSettled)).toBe(true);
  const late = new Outcome(client.sendTelemetry("too late"));
  await world.clock.settle();
  expect(late.error).toMatchObject({
    code: "client.closed",
    cause: { code: "device.refused_not_authorized" },
  });
  const { opened } = world.hub;
  await world.clock.advance(3_600_000);
  expect(world.hub.opened).toBe(opened);
});

test("by default refusals are borne for most of a day", async () => {
  const world = new World();
  const client = await world.connect();
  world.hub.script.refuse = () => 5;
  world.hub.cut();
  const sinceMs = world.clock.nowMs();
  await world.clock.runUntil(() => client.status().state === "failed", { withinMs: 86_400_000 });
  const hours = (world.clock.nowMs() - sinceMs) / 3_600_000;
  expect(hours).toBeGreaterThan(12);
  expect(world.hub.refusals).toHaveLength(1_000);
});

test("with refusalsMax: Infinity they are borne for ever", async () => {
  const world = new World();
  const client = await world.connect({ retry: { refusalsMax: Infinity, slowMaxMs: 30_000 } });
  world.hub.script.refuse = () => 5;
  world.hub.cut();
  await world.clock.runUntil(() => world.hub.refusals.length > 1_500, { withinMs: 86_400_000 });
  world.hub.script.refuse = () => undefined;
  await world.settle(client.sendTelemetry("after all"));
});

test.each([
  ["budgetMs", { budgetMs: 60_000 }, /\d+ ms without a connection/],
  ["attemptsMax", { attemptsMax: 7 }, /7 attempts/],
  ["shouldRetry", { shouldRetry: (_: IotError, n: number) => n < 3 }, /shouldRetry said no/],
] as const)(
  "retry.%s ends it with device.gave_up and the last cause",
  async (_name, retry, words) => {
    const world = new World();
    const client = await world.connect({ retry });
    world.hub.script.onOpen = noRoute;
    world.hub.cut();
    await world.clock.runUntil(() => client.status().state === "failed");
    const { cause } = client.status() as DeviceStatus & { state: "failed" };
    expect(cause).toMatchObject({
      code: "device.gave_up",
      cause: { code: "transport.unreachable" },
    });
    expect(cause.message).toMatch(words);
    if (_name === "budgetMs") expect(world.clock.nowMs()).toBeLessThan(95_000);
    if (_name === "attemptsMax") expect(world.hub.opened).toBe(8);
  },
);

test("shouldRetry hears every cause and how many attempts there were", async () => {
  const world = new World();
  const asked: [string, number][] = [];
  const retry = {
    shouldRetry: ({ code }: IotError, attempt: number) => asked.push([code, attempt]) < 4,
  };
  const client = await world.connect({ retry });
  world.hub.script.onOpen = noRoute;
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "failed");
  expect(asked).toEqual([
    ["device.connection_lost", 0],
    ["transport.unreachable", 1],
    ["transport.unreachable", 2],
    ["transport.unreachable", 3],
  ]);
});

test("reconnectNow tries at once while waiting, and does nothing to a connection that answers", async () => {
  const world = new World();
  const client = await world.connect({ reconnectDelay: { minMs: 600_000, maxMs: 600_000 } });
  world.hub.cut();
  await world.clock.advance(1_000);
  expect(client.status().state).toBe("waiting");
  client.reconnectNow();
  await world.clock.settle();
  expect(client.status().state).toBe("connected");
  client.reconnectNow();
  await world.clock.advance(20_000);
  expect(world.hub.opened).toBe(2);
});

test("reconnectNow finds a connection dead within five seconds", async () => {
  const world = new World({ keepAliveTimeoutMs: 3_600_000 });
  const client = await world.connect({ keepAliveS: 600 });
  world.hub.current.driver.stream.pause();
  await world.clock.advance(1_000);
  client.reconnectNow();
  await world.clock.advance(4_999);
  expect(client.status().state).toBe("connected");
  await world.clock.advance(1);
  expect(client.status()).toMatchObject({ state: "waiting", cause: { code: "mqtt.ping_timeout" } });
});

test("the network comes back: the client tries within a second, and only for a network that is there", async () => {
  const world = new World();
  let network = "eth0 192.0.2.1";
  let looks = 0;
  const client = await world.connect({
    retry: { minMs: 1_000, maxMs: 3_600_000 },
    networkSignature: () => {
      looks += 1;
      return network;
    },
  });
  await world.clock.advance(60_000);
  expect(looks).toBe(0);
  world.hub.script.onOpen = noRoute;
  world.hub.cut();
  await world.clock.advance(7_200_000);
  const { opened } = world.hub;
  network = "";
  await world.clock.advance(10_000);
  expect(world.hub.opened).toBe(opened);
  network = "wlan0 198.51.100.7";
  world.hub.script.onOpen = () => undefined;
  await world.clock.advance(4_001);
  expect(world.hub.opened).toBe(opened + 1);
  expect(client.status().state).toBe("connected");
});

test("after sleep the connection is asked at once whether it lives", async () => {
  const world = new World({ keepAliveTimeoutMs: 3_600_000 });
  const client = await world.connect({ keepAliveS: 1_177, tokenLifetimeS: 86_400 });
  await world.clock.advance(60_000);
  // Asleep for an hour: the wall clock goes on, the monotonic clock does not. Meanwhile the connection died.
  world.hub.current.driver.stream.pause();
  world.clock.jumpWall(3_600_000);
  await world.clock.advance(21_000);
  expect(client.status()).toMatchObject({ state: "waiting", cause: { code: "mqtt.ping_timeout" } });
  await world.clock.advance(2_000);
  expect(client.status().state).toBe("connected");
});

test("after sleep a connection that lives stays", async () => {
  const world = new World();
  const client = await world.connect({ tokenLifetimeS: 86_400 });
  await world.clock.advance(60_000);
  world.clock.jumpWall(3_600_000);
  await world.clock.advance(120_000);
  expect(client.status().state).toBe("connected");
  expect(world.hub.opened).toBe(1);
});

test("after sleep a token that is over is replaced", async () => {
  const world = new World();
  const client = await world.connect({ tokenLifetimeS: 3_600 });
  await world.clock.advance(60_000);
  world.clock.jumpWall(3_400_000);
  await world.clock.advance(16_000);
  expect(client.status().state).toBe("connected");
  expect(world.hub.opened).toBe(2);
});

test("a clock that is set while the hub refuses is worth a try at once", async () => {
  const world = new World();
  // Ten years behind: every token has ended before it is made.
  world.clock.jumpWall(-315_360_000_000);
  const rightMs = world.clock.wallMs() + 315_360_000_000;
  world.hub.script.refuse = () => (world.clock.wallMs() < rightMs ? 5 : undefined);
  const client = await world.connect({
    waitForConnection: false,
    retry: { minMs: 600_000, maxMs: 600_000 },
  });
  await world.clock.advance(30_000);
  expect(client.status()).toMatchObject({ state: "waiting", refusals: 1 });
  world.clock.jumpWall(315_360_000_000);
  // A look every three seconds, then a moment at random up to minMs.
  await world.clock.advance(3_000 + 600_000);
  expect(client.status().state).toBe("connected");
});

test("a second client with the same id is recognised, named, counted, and not fought", async () => {
  const world = new World();
  const heard: DeviceStatus[] = [];
  const first = await world.connect({ onStatus: (status) => heard.push(status) });
  const second = await world.connect();
  await world.clock.advance(3_600_000);
  const named = heard.findIndex(
    (status) => status.state === "waiting" && status.cause.code === "device.kicked_out",
  );
  expect(named).toBeGreaterThan(0);
  const { cause } = heard[named] as DeviceStatus & { state: "waiting" };
  expect(cause.message).toContain("Another client seems to connect to hub.example as dev1");
  expect(cause.cause).toMatchObject({ code: "device.connection_lost" });
  const waiting = heard.slice(named).filter((status) => status.state === "waiting");
  expect(waiting.every(({ pace }) => pace === "slow")).toBe(true);
  expect(first.stats().kicked).toBeGreaterThanOrEqual(4);
  // Fought at the usual pace it would be more than a hundred an hour.
  expect(world.hub.opened).toBeLessThan(100);
  const state = heard.findLast((status) => status.state === "connected");
  expect(state?.cause?.code).toBe("device.kicked_out");

  await world.settle(second.close());
  await world.clock.advance(600_000);
  expect(first.status()).toMatchObject({ state: "connected", cause: undefined });
  const kickedBefore = first.stats().kicked;
  world.hub.cut();
  await world.clock.advance(10_001);
  expect(first.status().state).toBe("connected");
  expect(first.stats().kicked).toBe(kickedBefore);
});

test.each([
  ["a hub that is down in between", true, 10],
  ["connections that lasted a while", false, 70_000],
] as const)("%s is no second client", async (_name, down, livedMs) => {
  const world = new World();
  const client = await world.connect();
  for (let i = 0; i < 12; i++) {
    await world.clock.advance(livedMs);
    world.hub.script.onOpen = down ? noRoute : () => undefined;
    world.hub.cut();
    const { opened } = world.hub;
    if (down) await world.clock.runUntil(() => world.hub.opened > opened);
    world.hub.script.onOpen = () => undefined;
    await world.clock.runUntil(() => client.status().state === "connected");
  }
  expect(client.stats().kicked).toBe(0);
});

test("a device whose clock is wrong is told so when the hub refuses it", async () => {
  const world = new World({
    onEffect: (effect, connection, hub) => {
      if (effect.type !== "message" || !effect.topic.startsWith("$iothub/twin/GET/"))
        return undefined;
      const rid = /\$rid=(.+)$/.exec(effect.topic)?.[1] ?? "";
      const hubMs = world.clock.wallMs() + (2 * 60 + 3) * 60_000;
      const body = {
        errorCode: 429001,
        message: "slow down",
        timestampUtc: new Date(hubMs).toISOString(),
      };
      hub.answerTwin(connection, 429, rid, JSON.stringify(body));
      return "taken";
    },
  });
  const client = await world.connect();
  await expect(world.settle(client.getTwin())).rejects.toMatchObject({
    code: "device.twin_throttled",
  });
  world.hub.script.refuse = () => 5;
  world.hub.cut();
  await world.clock.advance(2_001);
  const { cause } = client.status() as { cause: IotError };
  expect(cause.code).toBe("device.refused_not_authorized");
  expect(cause.message).toContain(
    "the device's clock is about 2 h 3 min behind the hub's, by a twin answer",
  );
});

test("stats tell connections, reconnects and renewals apart", async () => {
  const world = new World();
  const client = await world.connect({ tokenLifetimeS: 60 });
  await world.clock.runUntil(() => world.hub.opened === 3);
  world.hub.cut();
  await world.clock.advance(2_001);
  expect(client.status().state).toBe("connected");
  expect(client.stats()).toMatchObject({
    connects: 4,
    renewals: 2,
    reconnects: 1,
    connectFailures: 0,
  });
});

test("wait or fail fast: every combination of the two options, against a refusal and against silence", async () => {
  const table: string[] = [];
  for (const waitForConnection of [true, false]) {
    for (const failFast of [true, false]) {
      for (const trouble of ["refused", "no route"] as const) {
        const world = new World(trouble === "refused" ? { refuse: () => 5 } : { onOpen: noRoute });
        const opening = world.connecting({
          waitForConnection,
          failFast,
          connectTimeoutMs: 30_000,
        });
        const startMs = world.clock.nowMs();
        await world.clock.runUntil(() => opening.isSettled);
        const tookMs = world.clock.nowMs() - startMs;
        table.push(
          `wait ${waitForConnection}, fast ${failFast}, ${trouble}: ${opening.code} at ${tookMs}`,
        );
        if (opening.code === "value") {
          world.hub.script.refuse = () => undefined;
          world.hub.script.onOpen = () => undefined;
          await world.settle(opening.value.sendTelemetry("later"));
        }
      }
    }
  }
  expect(table).toEqual([
    "wait true, fast true, refused: device.refused_not_authorized at 0",
    "wait true, fast true, no route: device.connect_timeout at 30000",
    "wait true, fast false, refused: device.connect_timeout at 30000",
    "wait true, fast false, no route: device.connect_timeout at 30000",
    "wait false, fast true, refused: value at 0",
    "wait false, fast true, no route: value at 0",
    "wait false, fast false, refused: value at 0",
    "wait false, fast false, no route: value at 0",
  ]);
});
