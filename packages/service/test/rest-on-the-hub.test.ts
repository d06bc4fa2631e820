import { connect } from "@hubwire/device";
import { createServiceClient } from "@hubwire/service";
import { createNodeFetch } from "@hubwire/service/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hubWorld, type HubWorld } from "./support/hub-world.ts";

let world: HubWorld;
beforeAll(async () => {
  world = await hubWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const oddId = "n@m.et#st%2F?=+'$";

test.each(["plain", oddId])("a device %s lives from create to delete", async (deviceId) => {
  const { identities } = world.client;
  const created = await identities.create({ deviceId, status: "enabled" });
  expect(created).toMatchObject({ deviceId, status: "enabled", connectionState: "Disconnected" });
  expect(await identities.get(deviceId)).toEqual(created);
  expect((await identities.list()).map((device) => device.deviceId)).toContain(deviceId);
  const updated = await identities.update({ ...created, status: "disabled", statusReason: "why" });
  expect(updated).toMatchObject({ status: "disabled", statusReason: "why" });
  expect(updated.authentication).toEqual(created.authentication);
  // What was read first is stale now.
  await expect(identities.update(created)).rejects.toMatchObject({ code: "etag.mismatch" });
  await identities.update(created, { ifMatch: "*" });
  await expect(identities.create({ deviceId })).rejects.toMatchObject({
    code: "device.already_exists",
    cause: { status: 409, errorName: "DeviceAlreadyExists" },
  });
  await identities.delete(deviceId);
  await expect(identities.get(deviceId)).rejects.toMatchObject({
    code: "device.not_found",
    cause: { status: 404, trackingId: expect.stringMatching(/\S/u) as unknown },
  });
});

test("a module lives on its device", async () => {
  const { identities, modules } = world.client;
  await identities.create({ deviceId: "carrier" });
  const ref = { deviceId: "carrier", moduleId: "m+1" };
  const created = await modules.create({ ...ref, managedBy: "me" });
  expect(created).toMatchObject({ ...ref, managedBy: "me" });
  expect(await modules.list("carrier")).toEqual([created]);
  expect(await modules.get("carrier", "m+1")).toEqual(created);
  const updated = await modules.update({ ...created, managedBy: "you" });
  expect(updated).toMatchObject({ ...ref, managedBy: "you" });
  await expect(modules.update(created)).rejects.toMatchObject({ code: "etag.mismatch" });
  await modules.delete("carrier", "m+1");
  await expect(modules.get("carrier", "m+1")).rejects.toMatchObject({ code: "module.not_found" });
});

test("twins are read, merged into and replaced, of devices and modules, under their etag", async () => {
  const { identities, modules, twins } = world.client;
  await identities.create({ deviceId: "twinned" });
  await modules.create({ deviceId: "twinned", moduleId: "m" });
  for (const ref of ["twinned", { deviceId: "twinned", moduleId: "m" }]) {
    const fresh = await twins.get(ref);
    const first = await twins.update(ref, { tags: { a: 1 }, properties: { desired: { b: 2 } } });
    expect(first).toMatchObject({ tags: { a: 1 }, properties: { desired: { b: 2 } } });
    const stale = twins.update(ref, { tags: { a: 3 } }, { ifMatch: fresh.etag });
    await expect(stale).rejects.toMatchObject({ code: "etag.mismatch" });
    await twins.update(ref, { tags: { a: null, c: 4 } }, { ifMatch: first.etag });
    expect((await twins.get(ref)).tags).toEqual({ c: 4 });
    const replaced = await twins.replace(ref, { tags: { d: 5 } }, { ifMatch: "*" });
    expect(replaced.tags).toEqual({ d: 5 });
    expect(replaced.properties.desired["b"]).toBe(2);
  }
});

test("a method call brings the device's answer, and its troubles by name", async () => {
  const { identities, methods } = world.client;
  await identities.create({ deviceId: "callee" });
  const offline = methods.invoke("callee", { name: "m" });
  await expect(offline).rejects.toMatchObject({
    code: "device.not_online",
    cause: { status: 404, number: 404103 },
  });
  await using device = await connect({
    connectionString: await world.hub.deviceConnectionString("callee"),
    ca: world.hub.caPem,
    methods: { echo: ({ payload }) => ({ status: 418, payload: { got: payload } }) },
  });
  const call = { name: "echo", payload: [1, { å: null }], connectTimeoutS: 10 };
  expect(await methods.invoke("callee", call)).toEqual({
    status: 418,
    payload: { got: [1, { å: null }] },
  });
  expect(device.status().state).toBe("connected");
  const bad = methods.invoke("callee", { name: "m", responseTimeoutS: 1 });
  await expect(bad).rejects.toMatchObject({ code: "argument.invalid" });
});

test("statistics count devices, and purge empties a queue", async () => {
  const { identities, statistics, c2d } = world.client;
  const before = await statistics.devices();
  await identities.create({ deviceId: "counted", status: "disabled" });
  const after = await statistics.devices();
  expect(after.totalDeviceCount).toBe(before.totalDeviceCount + 1);
  expect(after.disabledDeviceCount).toBe(before.disabledDeviceCount + 1);
  expect(await statistics.service()).toEqual({ connectedDeviceCount: 0 });
  await world.hub.sendToDevice("counted", "one");
  await world.hub.sendToDevice("counted", "two");
  expect(await c2d.purge("counted")).toEqual({
    deviceId: "counted",
    moduleId: null,
    totalMessagesPurged: 2,
  });
});

test("a policy may do what its permissions say, and no more", async () => {
  using fetch = createNodeFetch({ ca: world.hub.caPem });
  const connectionString = world.hub.connectionString("service");
  const client = createServiceClient({ connectionString, fetch });
  await expect(client.identities.list()).rejects.toMatchObject({ code: "auth.policy_permission" });
  await expect(client.twins.get("nobody")).rejects.toMatchObject({ code: "device.not_found" });
});

test("a call ends with its signal, and with its time", async () => {
  const { identities, methods } = world.client;
  await identities.create({ deviceId: "absent" });
  const wait = { name: "m", connectTimeoutS: 60 };
  const controller = new AbortController();
  const aborted = methods.invoke("absent", wait, { signal: controller.signal });
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ code: "call.aborted" });
  const late = methods.invoke("absent", wait, { timeoutMs: 20 });
  await expect(late).rejects.toMatchObject({ code: "call.timeout" });
  const before = identities.list({ signal: AbortSignal.abort() });
  await expect(before).rejects.toMatchObject({ code: "call.aborted" });
});
