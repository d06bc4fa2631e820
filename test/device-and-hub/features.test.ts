/** Messages, methods, twins and modules of the device client against this repository's own hub, in virtual time. */
import type { C2dMessage, DesiredChange } from "@hubwire/device";
import { IotError } from "@hubwire/device";
import { expect, test } from "vitest";
import { readAllTelemetry } from "../support/find-telemetry.ts";
import { HubWorld } from "./hub-world.ts";

const message = (text: string, messageId?: string) => ({
  body: Buffer.from(text),
  properties: { system: messageId === undefined ? {} : { messageId }, application: {} },
  ack: undefined,
  expiresAtMs: undefined,
});
const call = (methodName: string, payload: unknown = null) => ({
  methodName,
  payload: Buffer.from(JSON.stringify(payload)),
  responseTimeoutS: 30,
  connectTimeoutS: 0,
});
const never = new AbortController().signal;

test("a message stays in the hub's queue until its handler has finished; a cut and a reconnect meanwhile hand it over once", async () => {
  const world = await HubWorld.start();
  const device = await world.create("d");
  const seen: C2dMessage[] = [];
  let finish = (): void => undefined;
  const client = await world.connect(device, {
    onMessage: (one) => {
      seen.push(one);
      return new Promise<void>((resolve) => (finish = resolve));
    },
  });
  await world.clock.advance(1_000);
  await world.during(world.core.c2d.send("d", message("x", "m1")));
  await world.clock.runUntil(() => seen.length === 1);
  await world.clock.advance(30_000);
  expect(await world.during(world.core.c2d.count("d"))).toBe(1);
  world.cut();
  await world.clock.runUntil(() => client.status().state === "waiting");
  await world.clock.runUntil(() => client.status().state === "connected");
  await world.clock.advance(5_000);
  expect(seen).toHaveLength(1);
  finish();
  await world.clock.advance(1_000);
  expect(await world.during(world.core.c2d.count("d"))).toBe(0);
  await world.during(client.close());
});

test("a handler that fails leaves its message to the next connection, which says that it was there before", async () => {
  const world = await HubWorld.start();
  const device = await world.create("d");
  const seen: boolean[] = [];
  const client = await world.connect(device, {
    onError: () => undefined,
    onMessage: ({ redelivered }) => {
      seen.push(redelivered);
      if (seen.length === 1) throw new Error("not now");
    },
  });
  await world.clock.advance(1_000);
  await world.during(world.core.c2d.send("d", message("x")));
  await world.clock.advance(1_000);
  expect(await world.during(world.core.c2d.count("d"))).toBe(1);
  world.cut();
  await world.clock.runUntil(() => seen.length === 2);
  await world.clock.advance(1_000);
  expect(seen).toEqual([false, true]);
  expect(await world.during(world.core.c2d.count("d"))).toBe(0);
  await world.during(client.close());
});

test("what waited for a device comes in order right behind CONNACK, before anything is subscribed anew", async () => {
  const world = await HubWorld.start();
  const device = await world.create("d");
  const first = await world.connect(device, { onMessage: () => undefined });
  await world.clock.advance(1_000);
  await world.during(first.close());
  for (let i = 0; i < 10; i++) {
    await world.during(world.core.c2d.send("d", message(`m${i}`)));
  }
  const texts: string[] = [];
  const second = await world.connect(device, { onMessage: (one) => void texts.push(one.text()) });
  await world.clock.runUntil(() => texts.length === 10);
  expect(texts).toEqual(Array.from({ length: 10 }, (_, i) => `m${i}`));
  await world.clock.advance(1_000);
  expect(await world.during(world.core.c2d.count("d"))).toBe(0);
  await world.during(second.close());
});

test("desired properties: patches, a replacement that removes, what was missed while away", async () => {
  const world = await HubWorld.start();
  const device = await world.create("d");
  const patch = (desired: object) =>
    world.during(world.core.twins.patch(device.ref, { properties: { desired } }, undefined));
  await patch({ a: 1, b: { c: 1, d: 2 } });
  const client = await world.connect(device);
  const seen: DesiredChange[] = [];
  void (async () => {
    for await (const change of client.desiredProperties()) seen.push(change);
  })();
  await world.clock.runUntil(() => seen.length === 1);
  await patch({ a: 2 });
  await world.clock.advance(10_000);
  expect(seen.at(-1)).toEqual({
    patch: { a: 2 },
    desired: { a: 2, b: { c: 1, d: 2 } },
    version: 3,
  });
  await world.during(
    world.core.twins.replace(device.ref, { properties: { desired: { b: { c: 5 } } } }, undefined),
  );
  await world.clock.advance(10_000);
  expect(seen.at(-1)).toMatchObject({ desired: { b: { c: 5 } }, version: 4 });
  expect({ ...client.twin.desired }).toEqual({ b: { c: 5 } });
  world.cut();
  await world.clock.runUntil(() => client.status().state === "waiting");
  await patch({ missed: true });
  await world.clock.runUntil(() => client.twin.desiredVersion === 5);
  expect(seen.at(-1)).toEqual({
    patch: { missed: true },
    desired: { b: { c: 5 }, missed: true },
    version: 5,
  });
  await world.during(client.close());
});

test("reports arrive merged and in order; a patch for an older version is refused by the hub", async () => {
  const world = await HubWorld.start();
  const device = await world.create("d");
  const client = await world.connect(device);
  await world.during(client.followTwin());
  const versions = await world.during(
    Promise.all(
      Array.from({ length: 50 }, (_, i) => client.reportProperties({ [`k${i % 5}`]: i, at: i })),
    ),
  );
  expect(versions[0]).toEqual({ version: 2 });
  expect(new Set(versions.slice(1).map(({ version }) => version))).toEqual(new Set([3]));
  await expect(
    world.during(client.reportProperties({ x: 1 }, { ifVersion: 2 })),
  ).rejects.toMatchObject({ code: "device.twin_conflict" });
  expect(await world.during(client.reportProperties({ x: 1 }, { ifVersion: 3 }))).toEqual({
    version: 4,
  });
  const { reported } = await world.during(client.getTwin());
  expect(reported).toEqual({ k0: 45, k1: 46, k2: 47, k3: 48, k4: 49, at: 49, x: 1 });
  expect({ ...client.twin.reported }).toEqual(reported);
  await world.during(client.close());
});

test("a method's answers reach the caller: a value, an unknown name, a crash, too long", async () => {
  const world = await HubWorld.start();
  const device = await world.create("d");
  const client = await world.connect(device, { onError: () => undefined, methodTimeoutMs: 5_000 });
  client.onMethod("double", ({ payload }) => ({ payload: (payload as number) * 2 }));
  client.onMethod("crash", () => {
    throw new Error("secret");
  });
  client.onMethod("hang", () => new Promise<void>(() => undefined));
  await world.clock.advance(1_000);
  const invoke = async (name: string, payload?: unknown) => {
    const { status, payload: body } = await world.during(
      world.core.methods.invoke(device.ref, call(name, payload), never),
    );
    return [status, JSON.parse(JSON.stringify(body))] as unknown[];
  };
  expect(await invoke("double", 21)).toEqual([200, 42]);
  expect(await invoke("other")).toMatchObject([404, { code: "device.method_unknown" }]);
  expect(await invoke("crash")).toMatchObject([500, { code: "device.method_failed" }]);
  expect(await invoke("hang")).toMatchObject([504, { code: "device.method_timeout" }]);
  expect(client.status().state).toBe("connected");
  await world.during(client.close());
});

test("a module has telemetry with outputs, methods and a twin of its own beside its device's", async () => {
  const world = await HubWorld.start();
  const device = await world.create("d");
  const module = await world.create("d", "m");
  const onDevice = await world.connect(device);
  const onModule = await world.connect(module, { methods: { who: () => ({ payload: "m" }) } });
  onDevice.onMethod("who", () => ({ payload: "d" }));
  await world.clock.advance(1_000);
  await world.during(onModule.sendTelemetry({ t: 1 }, { outputName: "alerts" }));
  const [event] = await world.during(readAllTelemetry(world.core.telemetry));
  expect(event).toMatchObject({ deviceId: "d", moduleId: "m" });
  expect(JSON.stringify(event)).toContain("alerts");
  await world.during(onModule.reportProperties({ of: "module" }));
  await world.during(onDevice.reportProperties({ of: "device" }));
  expect((await world.during(onModule.getTwin())).reported).toEqual({ of: "module" });
  expect((await world.during(onDevice.getTwin())).reported).toEqual({ of: "device" });
  for (const { ref } of [device, module]) {
    const result = await world.during(world.core.methods.invoke(ref, call("who"), never));
    expect(result).toMatchObject({ status: 200, payload: ref.moduleId ?? "d" });
  }
  // The hub grants inputs; messages come to them from a gateway only.
  const inputs = onModule.inputs();
  void inputs.next();
  await world.clock.advance(1_000);
  expect(onModule.status()).toMatchObject({ state: "connected", cause: undefined });
  expect(() => onDevice.inputs()).toThrow(IotError);
  await world.during(onModule.close());
  await world.during(onDevice.close());
});
