import { systemClock } from "@hubwire/transport";
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { ensurePolicies, serviceConnectionString } from "../../src/domain/auth/index.ts";
import { createMemoryStores } from "../../src/stores/memory/index.ts";

const documentsOf = () => createMemoryStores({ clock: systemClock() }).documents;

test("a new hub has the five built-in policies, each with two keys of its own", async () => {
  const policies = await ensurePolicies(documentsOf(), randomBytes);
  expect(policies.map(({ name, permissions }) => [name, permissions])).toEqual([
    ["iothubowner", ["RegistryRead", "RegistryReadWrite", "ServiceConnect", "DeviceConnect"]],
    ["service", ["ServiceConnect"]],
    ["device", ["DeviceConnect"]],
    ["registryRead", ["RegistryRead"]],
    ["registryReadWrite", ["RegistryRead", "RegistryReadWrite"]],
  ]);
  const keys = policies.flatMap(({ primaryKey, secondaryKey }) => [primaryKey, secondaryKey]);
  expect(new Set(keys).size).toBe(10);
  for (const key of keys) expect(Buffer.from(key, "base64")).toHaveLength(32);
});

test("the keys stay the same from start to start, and two hubs have different ones", async () => {
  const documents = documentsOf();
  const first = await ensurePolicies(documents, randomBytes);
  expect(await ensurePolicies(documents, randomBytes)).toEqual(first);
  expect(await ensurePolicies(documentsOf(), randomBytes)).not.toEqual(first);
});

test("of two that start at once on one store, both use the same keys", async () => {
  const documents = documentsOf();
  const [one, other] = await Promise.all([
    ensurePolicies(documents, randomBytes),
    ensurePolicies(documents, randomBytes),
  ]);
  expect(one).toEqual(other);
});

test("a document that holds no policies is damage, not a reason to make new keys", async () => {
  const documents = documentsOf();
  await documents.put("hub", "policies", { something: "else" }, "absent");
  await expect(ensurePolicies(documents, randomBytes)).rejects.toMatchObject({
    code: "hub.data_corrupt",
  });
});

test("the service's connection string names host, policy and primary key", async () => {
  const policies = await ensurePolicies(documentsOf(), randomBytes);
  const service = policies.find(({ name }) => name === "service")!;
  expect(serviceConnectionString(policies, "localhost", "service")).toBe(
    `HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=${service.primaryKey}`,
  );
  expect(serviceConnectionString(policies, "localhost")).toContain(
    "SharedAccessKeyName=iothubowner;",
  );
  expect(() => serviceConnectionString(policies, "localhost", "nobody")).toThrow(
    /no policy named nobody/,
  );
});
