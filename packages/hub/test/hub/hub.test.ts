import { connect } from "@hubwire/device";
import { createHub, createMemoryStores, startHub } from "@hubwire/hub";
import type { Hub, TelemetryEvent } from "@hubwire/hub";
import { emptyApplicationProperties } from "@hubwire/protocol";
import { systemClock } from "@hubwire/transport";
import { expect, test } from "vitest";
import { call, canListen, recordingLogger, sign } from "./world.ts";

const version = "api-version=2021-04-12";
const everything = { recordsMax: 10_000, bytesMax: 1e9 };
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

async function stored(hub: Hub): Promise<TelemetryEvent[]> {
  const events: TelemetryEvent[] = [];
  for (let partition = 0; partition < hub.telemetry.partitionCount; partition++) {
    events.push(...(await hub.telemetry.read(partition, "first", everything)));
  }
  return events;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test("a device talks to a hub: telemetry, C2D, method, twin read, reported, desired", async () => {
  await using hub = await startHub();
  const { identity, connectionString } = await hub.createDevice({ deviceId: "d-1" });
  expect(connectionString).toBe(await hub.deviceConnectionString("d-1"));
  await using device = await connect({
    connectionString,
    ca: hub.caPem,
    methods: { reboot: ({ payload }) => ({ status: 202, payload: { asked: payload } }) },
  });
  expect(hub.connections).toBe(1);

  await device.sendTelemetry({ temperature: 21.5 }, { properties: { room: "kitchen" } });
  const [event] = await stored(hub);
  expect(event).toMatchObject({
    deviceId: "d-1",
    generationId: identity.generationId,
    sequenceNumber: 0,
    properties: { application: { room: "kitchen" } },
  });
  expect(text(event!.body)).toBe('{"temperature":21.5}');

  const messages = device.messages()[Symbol.asyncIterator]();
  const { messageId } = await hub.sendToDevice("d-1", "open the window", {
    properties: { application: { urgency: "high" } },
  });
  const { value: message } = await messages.next();
  expect(message).toMatchObject({ messageId, properties: { urgency: "high" } });
  expect(message!.text()).toBe("open the window");
  await message!.complete();

  expect(await hub.invokeMethod("d-1", "reboot", { delay: 5 }, { connectTimeoutS: 5 })).toEqual({
    status: 202,
    payload: { asked: { delay: 5 } },
  });

  await device.reportProperties({ firmware: "1.0" });
  const ref = { deviceId: "d-1", moduleId: undefined };
  await hub.twins.patch(ref, { properties: { desired: { intervalS: 5 } } }, undefined);
  for await (const { desired } of device.desiredProperties()) {
    if (desired["intervalS"] === 5) break;
  }
  const twin = await device.getTwin();
  expect(twin).toMatchObject({ desired: { intervalS: 5 }, reported: { firmware: "1.0" } });
  for (;;) if ((await hub.c2d.count("d-1")) === 0) break;
});

test("a back end sees the same hub over HTTPS, with each policy's own rights", async () => {
  await using hub = await startHub({ logLevel: "error" });
  const created = await call(hub, "PUT", `/devices/d-2?${version}`, { body: { deviceId: "d-2" } });
  expect(created.status).toBe(200);
  expect((await hub.identities.find({ deviceId: "d-2", moduleId: undefined }))?.status).toBe(
    "enabled",
  );
  const twin = await call(hub, "GET", `/twins/d-2?${version}`, { policy: "service" });
  expect(twin).toMatchObject({ status: 200, body: { deviceId: "d-2" } });
  const refused = await call(hub, "DELETE", `/devices/d-2?${version}`, { policy: "registryRead" });
  expect(refused.status).toBe(401);
  await hub.c2d.send("d-2", {
    properties: { system: {}, application: emptyApplicationProperties() },
    ack: undefined,
    expiresAtMs: undefined,
    body: new Uint8Array(2),
  });
  expect(await hub.c2d.count("d-2")).toBe(1);
  expect(await call(hub, "GET", "/healthz")).toMatchObject({ status: 200 });
  expect(await call(hub, "GET", "/readyz")).toMatchObject({ status: 200 });
  const metrics = await call(hub, "GET", "/metrics");
  expect(metrics.body).toContain("hubwire_c2d_enqueued_total 1");
});

test("two hubs in one process are apart", async () => {
  await using one = await startHub();
  await using two = await startHub({
    partitions: 2,
    hostName: "two.localhost",
    logLevel: "error",
  });
  expect(two.mqttPort).not.toBe(one.mqttPort);
  expect(two.telemetry.partitionCount).toBe(2);
  expect(two.hostName).toBe("two.localhost");
  expect(one.connectionString()).not.toBe(two.connectionString());
  const { connectionString } = await one.createDevice({ deviceId: "d" });
  const elsewhere = connectionString.replace(String(one.mqttPort), String(two.mqttPort));
  const attempt = connect({ connectionString: elsewhere, ca: two.caPem, failFast: true });
  await expect(attempt).rejects.toMatchObject({ retryable: false });
});

test("a refused CONNECT gives one line with the check that failed, what to do, and no secret", async () => {
  const logger = recordingLogger();
  await using hub = await startHub({ logger });
  const { connectionString, identity } = await hub.createDevice({ deviceId: "d" });
  if (identity.authentication.type !== "sas") throw new Error("expected keys");
  const { primaryKey } = identity.authentication;
  const otherKey = Buffer.alloc(32, 7).toString("base64");
  const wrongKey = connectionString.replace(primaryKey, otherKey);
  const attempt = connect({ connectionString: wrongKey, ca: hub.caPem, failFast: true });
  await expect(attempt).rejects.toMatchObject({ name: "IotError" });
  const refusals = logger.of("connect_refused");
  expect(refusals).toHaveLength(1);
  expect(refusals[0]).toMatchObject({
    level: "warn",
    code: "auth.token_signature",
    remedy: expect.stringContaining("key") as string,
    clientId: "d",
  });
  const all = JSON.stringify(logger.lines);
  for (const secret of [primaryKey, otherKey, "SharedAccessSignature", "sig="]) {
    expect(all).not.toContain(secret);
  }
});

test("a hub whose store fails says so on /readyz and in its log, and is ready again when it heals", async () => {
  const logger = recordingLogger();
  let broken = false;
  const stores = createMemoryStores({
    clock: systemClock(),
    fault: () => (broken ? "reject" : undefined),
  });
  await using hub = await startHub({ logger, stores });
  broken = true;
  await expect(hub.createDevice({ deviceId: "d" })).rejects.toMatchObject({
    code: "store.unavailable",
  });
  expect(hub.unreadyReason).toBeTypeOf("string");
  expect(await call(hub, "GET", "/readyz")).toMatchObject({ status: 503 });
  expect(await call(hub, "GET", "/healthz")).toMatchObject({ status: 200 });
  broken = false;
  await until(() => hub.unreadyReason === undefined);
  expect(await call(hub, "GET", "/readyz")).toMatchObject({ status: 200 });
  expect(logger.of("store_unhealthy")).toHaveLength(1);
  expect(logger.of("store_healthy")).toHaveLength(1);
  await hub.createDevice({ deviceId: "d" });
});

test("stop finishes what was accepted: what is acknowledged is stored, a method call gets its answer", async () => {
  const clock = systemClock();
  const stores = createMemoryStores({ clock });
  const hub = await startHub({ stores });
  const { connectionString } = await hub.createDevice({ deviceId: "d" });
  let asked = (): void => {};
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  let answer: (response: { status: number }) => void = () => {};
  await using device = await connect({
    connectionString,
    ca: hub.caPem,
    methods: {
      slow: () => {
        asked();
        return new Promise<{ status: number }>((resolve) => (answer = resolve));
      },
    },
  });
  const givenUp = new AbortController();
  const acknowledged = new Set<string>();
  const sending = Array.from({ length: 2_000 }, (_, n) =>
    device.sendTelemetry(`message ${n}`, { signal: givenUp.signal }).then(
      () => acknowledged.add(`message ${n}`),
      () => {},
    ),
  );
  const invoked = call(hub, "POST", `/twins/d/methods?${version}`, {
    body: { methodName: "slow", responseTimeoutInSeconds: 30, connectTimeoutInSeconds: 5 },
  });
  await isAsked;
  const stopped = hub.stop();
  answer({ status: 207 });
  expect(await invoked).toMatchObject({ status: 200, body: { status: 207 } });
  await stopped;
  givenUp.abort();
  await Promise.all(sending);

  await using later = await startHub({
    stores: createMemoryStores({ clock, image: stores.image }),
  });
  const kept = (await stored(later)).map(({ body }) => text(body));
  expect(acknowledged.size).toBeGreaterThan(0);
  expect([...acknowledged].filter((body) => !kept.includes(body))).toEqual([]);
  expect(await later.deviceConnectionString("d")).toContain(";DeviceId=d;");
});

test("stop can be called again, frees the ports, and leaves nothing to talk to", async () => {
  const hub = await startHub();
  const { connectionString } = await hub.createDevice({ deviceId: "d" });
  const device = await connect({ connectionString, ca: hub.caPem });
  const first = hub.stop();
  expect(hub.stop()).toBe(first);
  await first;
  await hub[Symbol.asyncDispose]();
  expect(await canListen(hub.mqttPort)).toBe(true);
  expect(await canListen(hub.httpsPort)).toBe(true);
  await expect(hub.createDevice({ deviceId: "e" })).rejects.toMatchObject({
    code: "client.closed",
  });
  await device.close({ timeoutMs: 100 }).catch(() => {});
});

test("stop comes to an end when the store does not, and says so", async () => {
  const logger = recordingLogger();
  let hangs = false;
  const stores = createMemoryStores({
    clock: systemClock(),
    schedule: (complete) => {
      if (!hangs) setImmediate(complete);
    },
  });
  const hub = await startHub({ stores, logger });
  hangs = true;
  void hub.createDevice({ deviceId: "d" });
  await hub.stop({ timeoutMs: 10 });
  expect(logger.of("stop_cut_short")).toHaveLength(1);
  expect(await canListen(hub.mqttPort)).toBe(true);
});

test("a method call that waits for its device when the hub stops is told so", async () => {
  const hub = await startHub();
  await hub.createDevice({ deviceId: "d" });
  const waiting = hub.invokeMethod("d", "m", {}, { connectTimeoutS: 300 });
  const outcome = expect(waiting).rejects.toMatchObject({ code: "hub.stopping" });
  await hub.stop();
  await outcome;
});

test("X.509 devices get a connection string that says so, and modules theirs", async () => {
  await using hub = await startHub();
  const { connectionString } = await hub.createDevice({
    deviceId: "cam",
    authentication: { type: "certificateAuthority" },
  });
  expect(connectionString).toBe(`HostName=localhost:${hub.mqttPort};DeviceId=cam;x509=true`);
  const module = await hub.createDevice({ deviceId: "cam", moduleId: "m1" });
  expect(module.connectionString).toContain(";DeviceId=cam;ModuleId=m1;SharedAccessKey=");
  expect(await hub.deviceConnectionString("cam", "m1")).toBe(module.connectionString);
  await expect(hub.deviceConnectionString("nobody")).rejects.toMatchObject({
    code: "device.not_found",
  });
  await expect(hub.deviceConnectionString("cam", "m2")).rejects.toMatchObject({
    code: "module.not_found",
  });
  expect(() => hub.connectionString("nobody")).toThrow(
    expect.objectContaining({ code: "auth.policy_unknown" }) as Error,
  );
});

test("tokens for any of the hub's names are taken, for others refused", async () => {
  await using hub = await startHub({ hostNames: ["plant-7.example"], logLevel: "error" });
  const { identity } = await hub.createDevice({ deviceId: "d" });
  if (identity.authentication.type !== "sas") throw new Error("expected keys");
  const { primaryKey } = identity.authentication;
  const admitted = async (name: string): Promise<boolean> => {
    const attempt = connect({
      hostName: "localhost",
      clientId: "d",
      port: hub.mqttPort,
      username: `${name}/d/?${version}`,
      password: await sign(`${name}/devices/d`, primaryKey),
      ca: hub.caPem,
      failFast: true,
    });
    return attempt.then(
      async (device) => {
        await device.close();
        return true;
      },
      () => false,
    );
  };
  for (const name of ["localhost", "127.0.0.1", "plant-7.example", "PLANT-7.example"]) {
    expect(await admitted(name), name).toBe(true);
  }
  expect(await admitted("plant-8.example")).toBe(false);
});

test("a wrong configuration is refused before anything is opened", async () => {
  await expect(createHub({ mqttPort: 70_000 })).rejects.toMatchObject({ code: "argument.invalid" });
  await expect(startHub({ deviceCas: ["no PEM"] })).rejects.toMatchObject({
    code: "argument.invalid",
  });
});
