import { Client } from "azure-iothub";
import { expect, test } from "vitest";
import { createOfficialWorld, errorOf } from "./official-world.ts";
import { device, module } from "./world.ts";

test("azure-iothub creates, reads, updates, lists and deletes devices", async () => {
  const { registry, identities } = await createOfficialWorld();
  const { responseBody: created } = await registry.create({
    deviceId: "dev_1#x",
  });
  expect(created.deviceId).toBe("dev_1#x");
  expect(created.authentication?.symmetricKey?.primaryKey).toMatch(/^.{43}=$/);
  const { responseBody: read } = await registry.get("dev_1#x");
  expect(JSON.stringify(read)).toBe(JSON.stringify(created));

  const { responseBody: updated } = await registry.update({
    deviceId: "dev_1#x",
    status: "disabled",
  });
  expect(updated.status).toBe("disabled");
  // The client sends empty keys by itself, which ask for new ones.
  expect(updated.authentication?.symmetricKey?.primaryKey).not.toBe(
    created.authentication?.symmetricKey?.primaryKey,
  );
  const { responseBody: listed } = await registry.list();
  expect(listed.map(({ deviceId }) => deviceId)).toEqual(["dev_1#x"]);
  const { httpResponse } = await registry.delete("dev_1#x");
  expect(httpResponse.statusCode).toBe(204);
  expect(await identities.find(device("dev_1#x"))).toBeUndefined();
});

test("azure-iothub names the errors of devices", async () => {
  const { registry, registryAs } = await createOfficialWorld();
  await registry.create({ deviceId: "d" });
  expect(await errorOf(registry.create({ deviceId: "d" }))).toMatch(/^DeviceAlreadyExistsError: /);
  expect(await errorOf(registry.get("x"))).toMatch(/^DeviceNotFoundError: /);
  expect(await errorOf(registry.update({ deviceId: "x" }))).toMatch(/^DeviceNotFoundError: /);
  expect(await errorOf(registry.delete("x"))).toMatch(/^DeviceNotFoundError: /);
  expect(await errorOf(registry.create({ deviceId: "a b" }))).toMatch(/^ArgumentError: /);
  expect(await errorOf(registryAs("service").get("d"))).toMatch(/^UnauthorizedError: /);
});

test("azure-iothub adds, updates and removes devices in bulk", async () => {
  const { registry, identities } = await createOfficialWorld();
  const added = await registry.addDevices([{ deviceId: "a" }, { deviceId: "b" }]);
  expect(added.responseBody).toEqual({ isSuccessful: true, errors: [], warnings: [] });
  const { responseBody: a } = await registry.get("a");

  const changed = { deviceId: "a", status: "disabled" as const, etag: a.etag };
  const updated = await registry.updateDevices([changed], false);
  expect(updated.responseBody.isSuccessful).toBe(true);
  expect((await identities.find(device("a")))?.status).toBe("disabled");
  expect(await errorOf(registry.updateDevices([changed], false))).toMatch(/^ArgumentError: /);
  expect((await registry.updateDevices([changed], true)).responseBody.isSuccessful).toBe(true);

  expect(await errorOf(registry.addDevices([{ deviceId: "b" }, { deviceId: "c" }]))).toMatch(
    /^ArgumentError: /,
  );
  expect(await identities.find(device("c"))).toBeDefined();
  expect(await errorOf(registry.removeDevices([changed], false))).toMatch(/^ArgumentError: /);
  const removed = await registry.removeDevices([{ deviceId: "a" }, { deviceId: "b" }], true);
  expect(removed.responseBody.isSuccessful).toBe(true);
  expect((await registry.list()).responseBody.map(({ deviceId }) => deviceId)).toEqual(["c"]);
});

test("azure-iothub adds, reads, updates, lists and removes modules", async () => {
  const { registry, identities } = await createOfficialWorld();
  await registry.create({ deviceId: "d" });
  await registry.addModule({ deviceId: "d", moduleId: "m" });
  const { responseBody: read } = await registry.getModule("d", "m");
  expect(read).toMatchObject({ deviceId: "d", moduleId: "m", connectionState: "Disconnected" });
  await registry.updateModule({ ...read, managedBy: "me" });
  expect(await errorOf(registry.updateModule({ ...read, managedBy: "you" }, false))).toMatch(
    /^InvalidEtagError: /,
  );
  const { responseBody: listed } = await registry.getModulesOnDevice("d");
  expect(listed).toMatchObject([{ moduleId: "m", managedBy: "me" }]);
  await registry.removeModule("d", "m");
  expect(await identities.find(module("d", "m"))).toBeUndefined();
  expect(await errorOf(registry.getModule("d", "m"))).toMatch(/^Error: /);
});

test("azure-iothub reads and patches twins of devices and modules", async () => {
  const { registry } = await createOfficialWorld();
  await registry.create({ deviceId: "d" });
  await registry.addModule({ deviceId: "d", moduleId: "m" });
  const { responseBody: twin } = await registry.getTwin("d");
  await twin.update({ tags: { a: 1 }, properties: { desired: { b: { c: 2 } } } });
  const { responseBody: updated } = await registry.getTwin("d");
  expect(updated.tags).toEqual({ a: 1 });
  expect(updated.properties.desired).toMatchObject({ b: { c: 2 }, $version: 2 });
  expect(await errorOf(registry.updateTwin("d", { tags: {} }, "AAAAAAAAAAE="))).toMatch(
    /^InvalidEtagError: /,
  );
  const nulled = await registry.updateTwin("d", { properties: { desired: null } }, updated.etag);
  expect(Object.keys(nulled.responseBody.properties.desired)).toEqual(["$metadata", "$version"]);
  await registry.updateModuleTwin("d", "m", { tags: { m: true } }, "*");
  const { responseBody: ofModule } = await registry.getModuleTwin("d", "m");
  expect(ofModule).toMatchObject({ deviceId: "d", moduleId: "m", tags: { m: true } });
  expect(await errorOf(registry.getTwin("x"))).toMatch(/^DeviceNotFoundError: /);
});

test("azure-iothub calls methods and tells the failures apart", async () => {
  const { registry, connectionString, connections, identities, methods } =
    await createOfficialWorld();
  await registry.create({ deviceId: "d" });
  const client = Client.fromConnectionString(connectionString("service"));
  const call = { methodName: "m", payload: { x: 1 }, responseTimeoutInSeconds: 5 };
  expect(await errorOf(client.invokeDeviceMethod("d", call))).toMatch(/^Error: Not found/);
  expect(await errorOf(client.invokeDeviceMethod("x", call))).toMatch(/^DeviceNotFoundError: /);

  const { generationId = "" } = (await identities.find(device("d"))) ?? {};
  const connection = connections.connect(device("d"), generationId, ["methods"]);
  connection.sendMethod = (rid, _name, payload) => {
    methods.respond(connection, rid, 404, payload);
  };
  const { result } = await client.invokeDeviceMethod("d", call);
  expect(result).toEqual({ status: 404, payload: { x: 1 } });
  connection.sendMethod = (rid) => {
    methods.respond(connection, rid, 200, Buffer.from("{"));
  };
  expect(await errorOf(client.invokeDeviceMethod("d", call))).toMatch(/^BadDeviceResponseError: /);
  connection.sendMethod = () => connections.drop(connection);
  expect(await errorOf(client.invokeDeviceMethod("d", call))).toMatch(/^GatewayTimeoutError: /);
});

test("azure-iothub reads the statistics", async () => {
  const { registry } = await createOfficialWorld();
  await registry.addDevices([{ deviceId: "a" }, { deviceId: "b", status: "disabled" }]);
  const { responseBody } = await registry.getRegistryStatistics();
  expect(responseBody).toEqual({
    totalDeviceCount: 2,
    enabledDeviceCount: 1,
    disabledDeviceCount: 1,
  });
});

test("azure-iothub is told that configurations and jobs are absent", async () => {
  const { registry } = await createOfficialWorld();
  expect(await errorOf(registry.listJobs())).toMatch(/^Error: Not found/);
  expect(await errorOf(registry.getJob("j"))).toMatch(/^Error: Not found/);
  await registry.create({ deviceId: "d" });
  const content = { deviceContent: {} };
  expect(await errorOf(registry.applyConfigurationContentOnDevice("d", content as never))).not.toBe(
    "no error",
  );
});
