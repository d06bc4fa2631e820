import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Assignment, AssignmentStore } from "@hubwire/device";
import { IotError } from "@hubwire/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileAssignmentStore } from "../src/provisioning/file-assignment-store.ts";
import { hostName } from "./support/fake-hub.ts";
import { memoryAssignmentStore } from "./support/memory-store.ts";
import { ProvisionedWorld, registrationId } from "./support/provisioned-world.ts";

const remembered = (change: Partial<Assignment> = {}): Assignment => ({
  provisioningHost: "global.azure-devices-provisioning.net",
  idScope: "0ne0000ABCD",
  registrationId,
  assignedHub: hostName,
  deviceId: "dev1",
  assignedAt: "2026-01-01T00:00:00.000Z",
  ...change,
});

async function storeWith(change: Partial<Assignment> = {}): Promise<AssignmentStore> {
  const store = memoryAssignmentStore();
  await store.save(remembered(change));
  return store;
}

test("the second start asks nobody", async () => {
  const world = new ProvisionedWorld().enrol();
  const remember = memoryAssignmentStore();
  const first = await world.open({ remember, payload: "p" });
  await world.settle(first.close());
  const second = await world.open({ remember });
  await world.settle(second.sendTelemetry("again"));
  expect(world.service.opened).toBe(1);
  expect(second.provisioned).toEqual({ ...first.provisioned, remembered: true });
  expect(second.provisioned?.payload).toEqual({ echo: "p" });
});

test.each([
  { registrationId: "another" },
  { idScope: "0ne99999999" },
  { provisioningHost: "own.example" },
])("what belongs to another registration is not used: %j", async (change) => {
  const world = new ProvisionedWorld().enrol();
  const remember = await storeWith({ ...change, assignedHub: "elsewhere.example" });
  const client = await world.open({ remember });
  expect(client.provisioned).toMatchObject({ assignedHub: hostName, remembered: false });
  expect(await remember.load()).toMatchObject({ registrationId, assignedHub: hostName });
});

test("a remembered hub that refuses is not final: the service is asked after three refusals", async () => {
  const world: ProvisionedWorld = new ProvisionedWorld(
    {},
    { refuse: () => (world.hub.refusals.length < 3 ? 5 : undefined) },
  ).enrol();
  const remember = await storeWith({ assignedHub: "old.example" });
  const client = await world.open({ remember });
  expect(client.provisioned).toMatchObject({ assignedHub: hostName, remembered: false });
  expect(world.hub.refusals).toHaveLength(3);
  expect(await remember.load()).toMatchObject({ assignedHub: hostName });
});

test("refused by the remembered hub, by the service and by the hub again: connect() fails, and says who refused", async () => {
  const world = new ProvisionedWorld({}, { refuse: () => 5 }).enrol();
  const opening = world.opening({ remember: await storeWith() });
  await world.clock.runUntil(() => opening.isSettled);
  expect(opening.code).toBe("device.refused_not_authorized");
  expect(world.service.requests.length).toBe(2);
  const disabled = new ProvisionedWorld({ refuse: () => 5 }, { refuse: () => 5 }).enrol();
  const failing = disabled.opening({ remember: await storeWith() });
  await disabled.clock.runUntil(() => failing.isSettled);
  expect(failing.code).toBe("device.refused_not_authorized");
  expect(disabled.service.opened).toBe(1);
});

test("a hub whose name is gone is a hub that refuses", async () => {
  const world = new ProvisionedWorld(
    {},
    {
      onOpen: (number) => {
        if (number <= 3) throw new IotError("transport.dns", "no such host");
      },
    },
  ).enrol();
  const client = await world.open({ remember: await storeWith({ assignedHub: "gone.example" }) });
  expect(client.provisioned?.assignedHub).toBe(hostName);
});

test("at-start: asked at every start; without the service the remembered hub serves", async () => {
  const world = new ProvisionedWorld().enrol();
  const remember = await storeWith({ payload: "old" });
  const client = await world.open({ remember, reprovision: "at-start" });
  expect(client.provisioned).toMatchObject({ remembered: false });
  await world.settle(client.close());
  const offline = new ProvisionedWorld({
    onOpen: () => {
      throw new IotError("transport.dns", "no such host");
    },
  });
  const served = await offline.open({ remember: await storeWith(), reprovision: "at-start" });
  expect(served.provisioned).toMatchObject({ assignedHub: hostName, remembered: true });
});

test("never: what is remembered holds", async () => {
  const world = new ProvisionedWorld({}, { refuse: () => 5 }).enrol();
  const opening = world.opening({ remember: await storeWith(), reprovision: "never" });
  await world.clock.runUntil(() => opening.isSettled);
  expect(opening.code).toBe("device.refused_not_authorized");
  expect(world.service.opened).toBe(0);
});

const broken = (): Promise<never> => Promise.reject(new Error("bad flash"));

test.each<[string, AssignmentStore, number]>([
  ["cannot be read", { load: broken, save: () => Promise.resolve() }, 0],
  ["cannot be written", { load: () => Promise.resolve(undefined), save: broken }, 0],
  ["never answers", { load: () => new Promise(() => undefined), save: broken }, 10_000],
])(
  "a store that %s costs a question and a notice, not the connection",
  async (_n, remember, ms) => {
    const world = new ProvisionedWorld().enrol();
    const noticed: string[] = [];
    const onError = (error: unknown, where: string): void =>
      void noticed.push(`${where}: ${(error as Error).message}`);
    const client = await world.open({ remember }, { onError });
    expect(client.status().state).toBe("connected");
    expect(noticed.length).toBeGreaterThan(0);
    expect(noticed[0]).toMatch(/^provisioning\.remember: /);
    expect(world.service.requestTimesMs[0]).toBe(ms);
  },
);

test("a certificate the service issues is remembered with the assignment", async () => {
  const world = new ProvisionedWorld();
  const chain = ["TUlJQ0xlYWY=", "TUlJQ0NB"];
  let csr: string | undefined;
  world.service.enrol({
    registrationId,
    deviceId: "dev1",
    primaryKey: world.key,
    allocate: (request) => {
      ({ csr } = request);
      return { assignedHub: hostName, issuedCertificateChain: chain };
    },
  });
  const remember = memoryAssignmentStore();
  const pem =
    "-----BEGIN CERTIFICATE REQUEST-----\nTUlJQ1JF\nUVFV\n-----END CERTIFICATE REQUEST-----\n";
  const client = await world.open({ remember, certificateRequest: { csr: pem, key: "k" } });
  expect(csr).toBe("TUlJQ1JFUVFV");
  expect(world.service.usernames[0]).toContain("api-version=2025-07-01-preview");
  expect(client.provisioned?.issuedCertificateChain).toEqual(chain);
  expect(await remember.load()).toMatchObject({ issuedCertificateChain: chain });
  // The hub sees the certificate, not a token of the enrolment's key.
  expect(world.hub.current.request?.password).toBeUndefined();
});

// --- the file ---

let folder = "";
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), "hubwire-assignment-"))));
afterAll(() => rmSync(folder, { recursive: true }));

test("a file gives back what was saved, only this user may read it, and nothing is left beside it", async () => {
  const path = join(folder, "one.json");
  const store = fileAssignmentStore(path);
  expect(await store.load()).toBeUndefined();
  const first = remembered({ payload: { deep: [1, null] }, substatus: "initialAssignment" });
  await store.save(first);
  expect(await store.load()).toEqual(first);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await chmod(path, 0o644);
  const second = remembered({ assignedHub: "b.example", issuedCertificateChain: ["TUlJ"] });
  await store.save(second);
  expect(await store.load()).toEqual(second);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["one.json"]);
});

test.each([
  ["half of it", (text: string) => text.slice(0, text.length / 2)],
  ["nothing", () => ""],
  ["another format", (text: string) => text.replace('"format": 1', '"format": 2')],
  ["no device id", (text: string) => text.replace("deviceId", "deviceID")],
  ["too much", (text: string) => text + " ".repeat(1024 * 1024)],
])("a file that holds %s is said to be unusable, and replaced", async (_name, spoil) => {
  const path = join(folder, "spoilt.json");
  const store = fileAssignmentStore(path);
  await store.save(remembered());
  writeFileSync(path, spoil(readFileSync(path, "utf8")));
  await expect(store.load()).rejects.toMatchObject({ code: "provisioning.store_unusable" });
  await store.save(remembered());
  expect(await store.load()).toEqual(remembered());
});

test("a folder that is not there is said so", async () => {
  const store = fileAssignmentStore(join(folder, "missing", "a.json"));
  expect(await store.load()).toBeUndefined();
  await expect(store.save(remembered())).rejects.toMatchObject({
    code: "provisioning.store_unusable",
    retryable: true,
  });
});

test("the file holds no key and no token", async () => {
  const world = new ProvisionedWorld().enrol();
  const path = join(folder, "secretless.json");
  const store = fileAssignmentStore(path);
  let done = (): void => undefined;
  const saved = new Promise<void>((resolve) => (done = resolve));
  const remember: AssignmentStore = {
    load: () => Promise.resolve(undefined),
    async save(assignment) {
      await store.save(assignment);
      done();
    },
  };
  await world.open({ remember });
  await saved;
  const text = readFileSync(path, "utf8");
  expect(text).toContain(hostName);
  expect(text).not.toContain(world.key);
  expect(text).not.toContain("SharedAccessSignature");
});
