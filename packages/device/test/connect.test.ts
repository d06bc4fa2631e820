import { IotError } from "@hubwire/protocol";
import { expect, test } from "vitest";
import type { DeviceStatus } from "@hubwire/device";
import { Outcome, World } from "./support/world.ts";
import type { HubScript } from "./support/script.ts";

const noWay = (): never => {
  throw new IotError("transport.unreachable", "no route to the hub");
};
const hang = (): Promise<void> => new Promise(() => undefined);

test("CONNECT carries what Azure IoT Hub wants", async () => {
  const world = new World();
  await world.connect({ modelId: "dtmi:com:example:Thermostat;1" });
  const { request } = world.hub.current;
  expect(request).toMatchObject({ clientId: "dev1", cleanSession: false, keepAliveS: 60 });
  expect(request?.will).toBeUndefined();
  expect(request?.username).toMatch(
    /^hub\.example\/dev1\/\?api-version=2021-04-12&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1&DeviceClientType=hubwire-device%2F/,
  );
  expect(Buffer.from(request?.password ?? []).toString()).toMatch(
    /^SharedAccessSignature sr=hub\.example%2Fdevices%2Fdev1&sig=[^&]+&se=1767229200$/,
  );
});

test.each([
  [1, "device.refused_protocol_version", false],
  [2, "device.refused_identifier", false],
  [3, "device.refused_unavailable", true],
  [4, "device.refused_credentials", false],
  [5, "device.refused_not_authorized", false],
] as const)("CONNACK %i at first: %s", async (returnCode, code, retryable) => {
  const world = new World({ refuse: () => returnCode });
  const opening = world.connecting({ connectTimeoutMs: 30_000 });
  await world.clock.runUntil(() => opening.isSettled);
  if (retryable) {
    expect(opening.code).toBe("device.connect_timeout");
    expect(opening.error.cause).toMatchObject({ code, retryable });
    expect(world.hub.opened).toBeGreaterThan(1);
  } else {
    expect(opening.error).toMatchObject({ code, retryable });
    expect(opening.error.message).toContain("hub.example refused dev1");
    expect(opening.error.message).toContain("token good until 2026-01-01T01:00:00.000Z");
    expect(world.hub.opened).toBe(1);
  }
});

test.each([1, 2, 3, 4, 5] as const)("CONNACK %i later is retried for ever", async (returnCode) => {
  const world = new World({
    refuse: (number) => (number === 1 || number > 30 ? undefined : returnCode),
  });
  const client = await world.connect();
  world.hub.cut();
  // The fake hub counts only CONNECTs it accepted, so it goes on refusing until told otherwise.
  await world.clock.advance(600_000);
  const status = client.status();
  expect(status.state === "waiting" || status.state === "connecting").toBe(true);
  expect(world.hub.refusals.length).toBeGreaterThan(10);
  world.hub.script.refuse = () => undefined;
  await world.settle(client.sendTelemetry("after all"));
  expect(world.hub.texts).toEqual(["after all"]);
});

test("failFast: false waits out a refusal that a person may heal", async () => {
  let refusing = true;
  const world = new World({ refuse: () => (refusing ? 5 : undefined) });
  const opening = world.connecting({ failFast: false });
  await world.clock.advance(5_000);
  expect(opening.code).toBe("pending");
  refusing = false;
  await world.clock.runUntil(() => opening.isSettled);
  expect(opening.code).toBe("value");
});

const silentAt = (type: string): HubScript => ({
  onEffect: (effect) => (effect.type === type ? "taken" : undefined),
});
const closesAt = (type: string): HubScript => ({
  onEffect: (effect, { driver }) => {
    if (effect.type !== type) return undefined;
    driver.destroy("transport.closed", "by the script");
    return "taken";
  },
});

test.each([
  ["no stream opens", { onOpen: hang }, "device.attempt_timeout", "opening the stream"],
  ["CONNECT is not answered", silentAt("connect"), "device.attempt_timeout", "waiting for CONNACK"],
  [
    "the hub closes on CONNECT",
    closesAt("connect"),
    "device.connection_lost",
    "before it answered",
  ],
  [
    "the stream cannot be opened",
    {
      onOpen: () => {
        throw new IotError("transport.refused", "nobody listens");
      },
    },
    "transport.refused",
    "nobody listens",
  ],
] satisfies [string, HubScript, string, string][])(
  "connect() settles when %s",
  async (_name, script, code, words) => {
    const world = new World(script);
    const opening = world.connecting({ connectTimeoutMs: 50_000, attemptTimeoutMs: 10_000 });
    await world.clock.runUntil(() => opening.isSettled);
    expect(world.clock.nowMs()).toBe(50_000);
    expect(opening.code).toBe("device.connect_timeout");
    const cause = opening.error.cause as IotError;
    expect(cause.code).toBe(code);
    expect(cause.message).toContain(words);
    expect(opening.error.message).toContain(words);
    expect(world.hub.opened).toBeGreaterThan(2);
    // Nothing goes on behind the caller's back.
    const { opened } = world.hub;
    await world.clock.advance(600_000);
    expect(world.hub.opened).toBe(opened);
    expect(world.clock.nextMs).toBe(Infinity);
  },
);

test.each([
  ["no stream opens", { onOpen: hang }],
  ["CONNECT is not answered", silentAt("connect")],
  ["it waits for the next attempt", closesAt("connect")],
] satisfies [string, HubScript][])("connect() can be aborted while %s", async (_name, script) => {
  const world = new World(script);
  const controller = new AbortController();
  const opening = world.connecting({ signal: controller.signal });
  await world.clock.advance(100);
  controller.abort();
  await world.clock.settle();
  expect(opening.code).toBe("call.aborted");
  const { opened } = world.hub;
  await world.clock.advance(600_000);
  expect(world.hub.opened).toBe(opened);
});

test("an aborted signal keeps connect() from starting", async () => {
  const world = new World();
  const opening = world.connecting({ signal: AbortSignal.abort() });
  await world.clock.settle();
  expect(opening.code).toBe("call.aborted");
  expect(world.hub.opened).toBe(0);
});

test("a stream that opens after connect() was given up is closed", async () => {
  let open = (): void => undefined;
  const world = new World({ onOpen: () => new Promise((resolve) => (open = resolve)) });
  const controller = new AbortController();
  const opening = world.connecting({ signal: controller.signal });
  await world.clock.settle();
  controller.abort();
  await world.clock.settle();
  open();
  await world.clock.settle();
  expect(opening.code).toBe("call.aborted");
  expect(world.hub.isConnected).toBe(false);
  expect(world.hub.connections.every(({ closed }) => closed)).toBe(true);
});

test("waitForConnection: false gives a client that takes messages before there is a connection", async () => {
  const world = new World({
    refuse: (number) => (world.clock.nowMs() < 20_000 && number > 0 ? 5 : undefined),
  });
  const client = await world.connect({ waitForConnection: false });
  expect(client.status().state).not.toBe("connected");
  await world.settle(client.sendTelemetry("early"));
  expect(world.hub.texts).toEqual(["early"]);
});

test("a device reconnects after every kind of end, and back-off grows from 1 to 30 seconds", async () => {
  const world = new World();
  const client = await world.connect();
  const waits: number[] = [];
  world.hub.script.onOpen = noWay;
  const changes = client.statusChanges();
  void (async () => {
    for await (const status of changes) {
      if (status.state === "waiting")
        waits.push(status.nextAttemptAt.getTime() - world.clock.wallMs());
    }
  })();
  world.hub.cut();
  await world.clock.advance(600_000);
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(1_000);
  expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
  expect(Math.max(...waits)).toBeGreaterThan(15_000);
  expect(waits[0]).toBeLessThanOrEqual(2_000);
  // Jitter: no two devices, and no two waits, are alike.
  expect(new Set(waits).size).toBeGreaterThan(waits.length / 2);
});

test("back-off begins anew after a connection that lasted a minute", async () => {
  const world = new World();
  const client = await world.connect();
  // Four young connections closed in a row would look like a second client.
  for (let i = 0; i < 3; i++) {
    world.hub.cut();
    await world.clock.runUntil(() => client.status().state === "connected");
  }
  await world.clock.advance(61_000);
  const startMs = world.clock.nowMs();
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "connected");
  // Spread over ten seconds: whatever ended it may have ended many connections.
  expect(world.clock.nowMs() - startMs).toBeLessThanOrEqual(10_000);
});

test("reconnectDelay sets the bounds of the waits", async () => {
  const world = new World();
  const client = await world.connect({ reconnectDelay: { minMs: 100, maxMs: 400 } });
  world.hub.script.onOpen = noWay;
  world.hub.cut();
  await world.clock.advance(60_000);
  expect(world.hub.opened).toBeGreaterThan(100);
  await world.settle(client.close());
});

test("a hub that does not answer pings is left", async () => {
  const world = new World({ keepAliveTimeoutMs: 3_600_000 });
  const client = await world.connect({ keepAliveS: 10 });
  // The hub's side of the cable takes bytes and gives none back.
  world.hub.current.driver.stream.pause();
  await world.clock.runUntil(() => client.status().state !== "connected");
  expect(client.status()).toMatchObject({ cause: { code: "mqtt.ping_timeout" } });
  expect(world.clock.nowMs()).toBeLessThanOrEqual(20_000);
});

test("status tells the whole story, to onStatus and to statusChanges alike", async () => {
  const world = new World();
  const heard: DeviceStatus[] = [];
  const client = await world.connect({ onStatus: (status) => heard.push(status) });
  const read: DeviceStatus[] = [];
  const reading = (async () => {
    for await (const status of client.statusChanges()) read.push(status);
  })();
  await world.clock.settle();
  world.hub.cut();
  await world.clock.runUntil(() => client.status().state === "connected");
  await world.settle(client.close());
  await world.settle(reading);
  expect(heard.map(({ state }) => state)).toEqual([
    "connecting",
    "connected",
    "waiting",
    "connecting",
    "connected",
    "closed",
  ]);
  expect(read).toEqual(heard.slice(1));
  expect(heard[1]).toMatchObject({
    sessionPresent: false,
    since: new Date("2026-01-01T00:00:00.000Z"),
    tokenExpiresAt: new Date("2026-01-01T01:00:00.000Z"),
    cause: undefined,
  });
  expect(heard[2]).toMatchObject({ attempt: 0, cause: { code: "device.connection_lost" } });
  expect(heard[3]).toMatchObject({ attempt: 1, cause: { code: "device.connection_lost" } });
  expect(heard[4]).toMatchObject({ sessionPresent: true });
});

test("a status listener that throws harms nothing", async () => {
  const world = new World();
  const where: string[] = [];
  const client = await world.connect({
    onStatus: () => {
      throw new Error("oops");
    },
    onError: (_error, place) => where.push(place),
  });
  await world.settle(client.sendTelemetry("x"));
  expect(new Set(where)).toEqual(new Set(["onStatus"]));
});

test("two clients with one identity: the later one wins, the earlier one is told and tries again", async () => {
  const world = new World();
  const first = await world.connect();
  const second = await world.connect();
  await world.clock.settle();
  expect(first.status()).toMatchObject({
    state: "waiting",
    cause: { code: "device.connection_lost" },
  });
  expect(second.status().state).toBe("connected");
});

test("a big window of big messages comes back after a cut", async () => {
  let silent = true;
  const world = new World({
    onEffect: (effect) => (silent && effect.type === "message" ? "taken" : undefined),
  });
  const client = await world.connect({ maxInflight: 1_000, queueBytesMax: 2 ** 30 });
  const body = Buffer.alloc(100_000);
  const all = Array.from({ length: 200 }, () => new Outcome(client.sendTelemetry(body)));
  await world.clock.settle();
  silent = false;
  world.hub.cut();
  await world.clock.runUntil(() => all.every(({ isSettled }) => isSettled));
  expect(new Set(all.map(({ code }) => code))).toEqual(new Set(["value"]));
  expect(world.hub.opened).toBe(2);
});
