import { randomBytes } from "node:crypto";
import { buildSasToken, parseSasToken, sasResource } from "@hubwire/protocol";
import { expect, test } from "vitest";
import type { DeviceStatus } from "@hubwire/device";
import { signWithKey } from "../src/credentials/passwords.ts";
import { hostName, identity } from "./support/fake-hub.ts";
import { Outcome, World } from "./support/world.ts";

const renewals = process.env["HUBWIRE_LONG"] === "1" ? 100 : 20;

test(`${renewals} renewals of 30-second tokens under load: nothing lost, nothing failed, nothing repeated`, async () => {
  const world = new World();
  const states: string[] = [];
  const client = await world.connect({
    tokenLifetimeS: 30,
    onStatus: ({ state }) => states.push(state),
  });
  let sent = 0;
  const failures: unknown[] = [];
  let running = true;
  const inFlight = 20;
  const sender = async (): Promise<void> => {
    while (running) {
      await client.sendTelemetry(`m${sent++}`).catch((error: unknown) => failures.push(error));
      await world.clock.sleep(300);
    }
  };
  const senders = Array.from({ length: inFlight }, sender);
  await world.clock.runUntil(() => world.hub.opened > renewals, {
    withinMs: 7_200_000,
    eventsMax: 1e7,
  });
  running = false;
  await world.settle(Promise.all(senders));
  expect(failures).toEqual([]);
  expect(world.hub.refusals).toEqual([]);
  expect(world.hub.texts).toHaveLength(sent);
  expect(new Set(world.hub.texts).size).toBe(sent);
  expect(states).not.toContain("waiting");
  expect(states.filter((state) => state === "renewing")).toHaveLength(renewals);
  // Each token lived for most of its lifetime.
  expect(world.clock.nowMs() / renewals).toBeGreaterThan(22_000);
});

test("a renewal is a reconnect without back-off: DISCONNECT and CONNECT in the same moment", async () => {
  const world = new World();
  const client = await world.connect();
  await world.clock.advance(3_000_000);
  expect(world.hub.opened).toBe(1);
  await world.clock.runUntil(() => world.hub.opened === 2 && client.status().state === "connected");
  // A seventh of the lifetime before its end.
  expect(world.clock.nowMs()).toBeCloseTo(3_600_000 - 3_600_000 / 7, -1);
  expect(client.status()).toMatchObject({ state: "connected", sessionPresent: true });
});

test("tokenRenewBeforeS says when", async () => {
  const world = new World();
  await world.connect({ tokenLifetimeS: 600, tokenRenewBeforeS: 60 });
  await world.clock.runUntil(() => world.hub.opened === 2);
  expect(world.clock.nowMs()).toBe(540_000);
});

test("a renewal waits for what is on the way, then goes ahead and sends it again", async () => {
  let silent = false;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect({ tokenLifetimeS: 30 });
  await world.clock.advance(20_000);
  silent = true;
  const sent = new Outcome(client.sendTelemetry("x"));
  await world.clock.runUntil(() => client.status().state === "renewing");
  const later = new Outcome(client.sendTelemetry("y"));
  silent = false;
  await world.clock.runUntil(() => client.status().state === "connected");
  await world.clock.settle();
  expect([sent.code, later.code]).toEqual(["value", "value"]);
  expect(world.hub.telemetry.map(({ text, dup }) => [text, dup])).toEqual([
    ["x", true],
    ["y", false],
  ]);
  expect(world.hub.refusals).toEqual([]);
});

test("a queue that never empties does not hold a renewal up, and nothing is sent twice", async () => {
  const world = new World({
    onEffect: (effect, { session, driver }, hub) => {
      if (effect.type !== "message") return undefined;
      const text = Buffer.from(effect.chunk.subarray(effect.payloadStart, effect.payloadEnd));
      world.clock.at(world.clock.nowMs() + 100, () => {
        const { topic, packetId, dup } = effect;
        hub.telemetry.push({ topic, text: text.toString(), packetId, dup });
        session.ack(effect.receipt);
        driver.touch();
      });
      return "taken";
    },
  });
  const client = await world.connect({ tokenLifetimeS: 30, maxInflight: 2 });
  const texts = Array.from({ length: 1_000 }, (_, i) => `m${i}`);
  await world.settle(Promise.all(texts.map((text) => client.sendTelemetry(text))));
  expect(world.hub.opened).toBe(2);
  expect(world.hub.texts).toEqual(texts);
});

test("a twin request the hub leaves unanswered is asked again on the new connection", async () => {
  const world = new World({
    onEffect: (effect, _connection, hub) =>
      effect.type === "message" && hub.opened < 2 ? "taken" : undefined,
  });
  const client = await world.connect({ tokenLifetimeS: 30 });
  const twin = new Outcome(client.getTwin());
  await world.clock.advance(32_000);
  expect(twin.code).toBe("value");
  expect(world.hub.refusals).toEqual([]);
});

test("a method that is being answered is answered before the connection changes", async () => {
  const world = new World();
  const client = await world.connect({
    tokenLifetimeS: 30,
    methods: {
      slow: async () => {
        await world.clock.sleep(2_000);
        return { payload: "done" };
      },
    },
  });
  await world.clock.advance(25_000);
  world.hub.method("slow", "null", "r1");
  await world.clock.runUntil(() => client.status().state === "renewing");
  await world.clock.runUntil(() => world.hub.methodAnswers.length === 1);
  expect(world.hub.methodAnswers).toEqual([
    { connection: 1, status: 200, rid: "r1", text: '"done"' },
  ]);
  await world.clock.advance(10);
  expect(client.status().state).toBe("connected");
  expect(world.hub.opened).toBe(2);
});

test("a method that takes for ever does not keep the old token", async () => {
  const world = new World();
  await world.connect({
    tokenLifetimeS: 30,
    methods: { stuck: () => new Promise(() => undefined) },
  });
  world.hub.method("stuck", "null");
  await world.clock.advance(100_000);
  expect(world.hub.refusals).toEqual([]);
  expect(world.hub.opened).toBeGreaterThanOrEqual(4);
});

test("twin requests and desired properties outlive renewals", async () => {
  const world = new World();
  const client = await world.connect({ tokenLifetimeS: 30 });
  const versions: number[] = [];
  void (async () => {
    for await (const { version } of client.desiredProperties()) versions.push(version);
  })();
  for (let i = 0; i < 100; i++) {
    await world.settle(client.reportProperties({ i }));
    world.hub.desire({ i });
    await world.clock.advance(1_000);
  }
  expect(world.hub.opened).toBeGreaterThan(3);
  expect(versions).toEqual(Array.from({ length: 101 }, (_, i) => i + 1));
  expect(world.hub.reports).toHaveLength(100);
});

test("a stream that cannot be opened in time for the renewal is tried again while the token lasts", async () => {
  let failing = true;
  const world = new World({
    onOpen: (number) => {
      if (number > 1 && failing) throw new Error("no route");
    },
  });
  const states: DeviceStatus[] = [];
  const client = await world.connect({
    tokenLifetimeS: 60,
    onStatus: (status) => states.push(status),
  });
  await world.clock.advance(55_000);
  expect(client.status()).toMatchObject({
    state: "connected",
    cause: { code: "device.connection_lost" },
  });
  expect(world.hub.opened).toBeGreaterThan(2);
  failing = false;
  await world.clock.advance(4_000);
  expect(states.at(-2)).toMatchObject({ state: "renewing" });
  expect(client.status()).toMatchObject({ state: "connected", cause: undefined });
  expect(world.hub.refusals).toEqual([]);
});

test("a sign function that fails is asked again; a connection in use does not suffer", async () => {
  const world = new World();
  const sign = signWithKey(randomBytes(32).toString("base64"));
  let calls = 0;
  const client = await world.connect({
    tokenLifetimeS: 60,
    credentials: {
      hostName,
      ...identity,
      sign: (text: string) => (++calls === 2 ? Promise.reject(new Error("HSM busy")) : sign(text)),
    },
  } as object);
  await world.clock.runUntil(() => calls === 2);
  await world.clock.settle();
  expect(client.status()).toMatchObject({
    state: "connected",
    cause: { code: "device.token_unavailable", cause: { message: "HSM busy" } },
  });
  await world.clock.runUntil(() => world.hub.opened === 2);
  expect(world.hub.refusals).toEqual([]);
});

test("a sign function that never answers is given up after attemptTimeoutMs", async () => {
  const world = new World();
  const opening = world.connecting({
    credentials: { hostName, ...identity, sign: () => new Promise(() => undefined) },
    connectTimeoutMs: 30_000,
  } as object);
  await world.clock.runUntil(() => opening.isSettled);
  expect(opening.error.cause).toMatchObject({ code: "device.attempt_timeout" });
  expect(opening.error.message).toContain("waiting for a token");
});

test("the wall clock set forward: the token is replaced when the clock says so", async () => {
  const world = new World();
  await world.connect();
  await world.clock.advance(60_000);
  world.clock.jumpWall(3_500_000);
  await world.clock.advance(15_001);
  expect(world.hub.opened).toBe(2);
});

test("the wall clock set back: no token is used longer than it lives", async () => {
  const world = new World();
  await world.connect();
  await world.clock.advance(60_000);
  world.clock.jumpWall(-86_400_000);
  await world.clock.advance(3_600_000);
  expect(world.hub.opened).toBe(2);
  expect(world.hub.refusals).toEqual([]);
});

const tokenFor = async (world: World, lifetimeS: number): Promise<string> =>
  buildSasToken(
    {
      resource: sasResource(hostName, identity),
      expiresAtS: Math.floor(world.clock.wallMs() / 1000) + lifetimeS,
    },
    signWithKey(world.key),
  );

test("a ready-made token is renewed by its refresh function", async () => {
  const world = new World();
  let refreshed = 0;
  await world.connect({
    credentials: {
      hostName,
      ...identity,
      sharedAccessSignature: await tokenFor(world, 100),
      refresh: () => {
        refreshed += 1;
        return tokenFor(world, 100);
      },
    },
  } as object);
  await world.clock.advance(500_000);
  expect(refreshed).toBeGreaterThanOrEqual(5);
  expect(world.hub.refusals).toEqual([]);
});

test("a reconnect does not ask refresh while the token is good", async () => {
  const world = new World();
  let refreshed = 0;
  const client = await world.connect({
    credentials: {
      hostName,
      ...identity,
      sharedAccessSignature: await tokenFor(world, 3_600),
      refresh: () => {
        refreshed += 1;
        return tokenFor(world, 3_600);
      },
    },
  } as object);
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "connected");
  expect(refreshed).toBe(0);
});

test("a refused token is replaced before the next attempt", async () => {
  const world = new World();
  const passwords: number[] = [];
  world.hub.script.refuse = () => undefined;
  const client = await world.connect({
    credentials: {
      hostName,
      ...identity,
      sharedAccessSignature: await tokenFor(world, 3_600),
      refresh: () => tokenFor(world, 7_200),
    },
  } as object);
  world.hub.script.refuse = () => 5;
  world.hub.cut();
  await world.clock.runUntil(() => world.hub.refusals.length > 0);
  world.hub.script.refuse = () => undefined;
  await world.clock.runUntil(() => client.status().state === "connected");
  for (const { request } of world.hub.connections) {
    if (request === undefined) continue;
    passwords.push(parseSasToken(Buffer.from(request.password ?? []).toString()).expiresAtS);
  }
  expect((passwords.at(-1) as number) - (passwords[0] as number)).toBeGreaterThanOrEqual(3_600);
});

test("a ready-made token without refresh: used to its end, then the status names it", async () => {
  const world = new World();
  const client = await world.connect({
    credentials: { hostName, ...identity, sharedAccessSignature: await tokenFor(world, 100) },
  } as object);
  await world.clock.advance(99_000);
  expect(client.status().state).toBe("connected");
  await world.clock.advance(60_000);
  expect(client.status()).toMatchObject({
    state: "waiting",
    cause: { code: "device.token_expired" },
  });
  expect(world.hub.opened).toBe(1);
});

test("the old connection breaking in the middle of a renewal loses nothing", async () => {
  for (const point of ["preparing", "publishes"] as const) {
    const world = new World({
      onOpen: async (number) => {
        if (number === 2) {
          if (point === "preparing") world.hub.cut();
          await world.clock.sleep(1_000);
        }
      },
      onEffect: (effect) => {
        const isLate = world.clock.nowMs() > 25_000 && world.hub.opened < 3;
        return point === "publishes" && isLate && effect.type === "message" ? "taken" : undefined;
      },
    });
    const client = await world.connect({ tokenLifetimeS: 30 });
    await world.clock.advance(25_500);
    const sent = new Outcome(client.sendTelemetry("x"));
    if (point === "publishes") {
      await world.clock.runUntil(() => client.status().state === "renewing");
      world.hub.connections[0]?.driver.destroy("transport.closed", "cut in the middle");
    }
    await world.clock.runUntil(() => sent.isSettled);
    expect(sent.code).toBe("value");
    await world.clock.settle();
    // Streams that were opened for nothing are closed at once.
    expect(world.hub.connections.filter(({ closed }) => !closed)).toHaveLength(1);
    await world.clock.advance(60_000);
    expect(client.status().state).toBe("connected");
    await world.settle(client.close());
  }
});
