import { expect, test } from "vitest";
import { generationKey } from "../../src/domain/services.ts";
import type { Authentication } from "../../src/domain/services.ts";
import { createWorld, device, module, refusal, writeOf } from "../rest/world.ts";

const key = (bytes: number): string => Buffer.alloc(bytes, 7).toString("base64");
const sas = (primaryKey: string, secondaryKey: string): Authentication => ({
  type: "sas",
  primaryKey,
  secondaryKey,
});
const thumbprints = (primary?: string, secondary?: string): Authentication => ({
  type: "selfSigned",
  primaryThumbprint: primary,
  secondaryThumbprint: secondary,
});

test("a device created without authentication gets two keys of 32 bytes, a generation and an etag", async () => {
  const { identities } = createWorld();
  const created = await identities.create(writeOf(device("d")));
  const { authentication } = created;
  if (authentication.type !== "sas") throw new Error("not sas");
  expect(Buffer.from(authentication.primaryKey, "base64")).toHaveLength(32);
  expect(Buffer.from(authentication.secondaryKey, "base64")).toHaveLength(32);
  expect(authentication.primaryKey).not.toBe(authentication.secondaryKey);
  expect(created.generationId).toMatch(/^63\d{16}$/);
  expect(Buffer.from(created.etag, "base64").toString()).toMatch(/^\d{9}$/);
  expect(created).toMatchObject({ status: "enabled", statusUpdatedAtMs: undefined });
  expect(await identities.find(device("d"))).toEqual(created);
});

// Azure IoT Hub docs, identity registry; observed on live hubs.
const authenticationRules: [sentence: string, Authentication, string | undefined][] = [
  ["two keys of 16 bytes are stored", sas(key(16), key(16)), undefined],
  ["two keys of 64 bytes are stored", sas(key(64), key(64)), undefined],
  ["empty keys are made", sas("", ""), undefined],
  ["a key of 15 bytes is refused", sas(key(15), key(16)), "identity.bad_key"],
  ["a key of 65 bytes is refused", sas(key(65), key(16)), "identity.bad_key"],
  ["one key alone is refused", sas(key(16), ""), "identity.bad_key"],
  ["the other key alone is refused", sas("", key(16)), "identity.bad_key"],
  ["text that is not base64 is refused", sas("not base64 at all!!", key(16)), "identity.bad_key"],
  ["a SHA-1 thumbprint is stored", thumbprints("aB".repeat(20)), undefined],
  ["a SHA-256 thumbprint is stored", thumbprints(undefined, "0".repeat(64)), undefined],
  ["39 digits are refused", thumbprints("a".repeat(39)), "identity.bad_thumbprint"],
  ["41 digits are refused", thumbprints("a".repeat(41)), "identity.bad_thumbprint"],
  ["colons are refused", thumbprints(Array(20).fill("aa").join(":")), "identity.bad_thumbprint"],
  [
    "a bad second thumbprint is refused",
    thumbprints("a".repeat(40), "x"),
    "identity.bad_thumbprint",
  ],
  ["no thumbprint is refused", thumbprints(), "identity.bad_thumbprint"],
  ["a CA needs nothing", { type: "certificateAuthority" }, undefined],
];

test.each(authenticationRules)("authentication: %s", async (_sentence, authentication, code) => {
  const { identities } = createWorld();
  expect(await refusal(identities.create(writeOf(device("d"), { authentication })))).toBe(code);
  expect((await identities.find(device("d"))) === undefined).toBe(code !== undefined);
});

test("a thumbprint keeps the caller's case", async () => {
  const { identities } = createWorld();
  const authentication = thumbprints("aB".repeat(20));
  const created = await identities.create(writeOf(device("d"), { authentication }));
  expect(created.authentication).toEqual(authentication);
});

test.each([
  ["a", undefined],
  ["A-a.b+c%d_e#f*g?h!i(j)k,l:m=n@o$p'", undefined],
  ["x".repeat(128), undefined],
  ["x".repeat(129), "identity.bad_id"],
  ["", "identity.bad_id"],
  ["a/b", "identity.bad_id"],
  ["a b", "identity.bad_id"],
  ["ä", "identity.bad_id"],
])("device id %j is %s", async (id, code) => {
  const { identities } = createWorld();
  expect(await refusal(identities.create(writeOf(device(id))))).toBe(code);
});

test.each([
  ["m", undefined],
  ["x".repeat(128), undefined],
  ["x".repeat(129), "identity.bad_id"],
  ["$edgeHub", "identity.bad_id"],
  ["a/b", "identity.bad_id"],
])("module id %j is %s", async (id, code) => {
  const { identities } = createWorld();
  await identities.create(writeOf(device("d")));
  expect(await refusal(identities.create(writeOf(module("d", id))))).toBe(code);
});

test("ids are case-sensitive", async () => {
  const { identities } = createWorld();
  await identities.create(writeOf(device("d")));
  expect(await identities.find(device("D"))).toBeUndefined();
});

test("create refuses what exists, update and delete refuse what does not", async () => {
  const { identities } = createWorld();
  expect(await refusal(identities.update(writeOf(device("d")), "*"))).toBe("device.not_found");
  expect(await refusal(identities.delete(device("d"), "*"))).toBe("device.not_found");
  expect(await refusal(identities.create(writeOf(module("d", "m"))))).toBe("device.not_found");
  expect(await refusal(identities.listModules("d"))).toBe("device.not_found");
  await identities.create(writeOf(device("d")));
  expect(await refusal(identities.create(writeOf(device("d"))))).toBe("device.already_exists");
  expect(await refusal(identities.update(writeOf(module("d", "m")), "*"))).toBe("module.not_found");
  expect(await refusal(identities.delete(module("d", "m"), "*"))).toBe("module.not_found");
  await identities.create(writeOf(module("d", "m")));
  expect(await refusal(identities.create(writeOf(module("d", "m"))))).toBe("module.already_exists");
});

test("an update needs the current etag, which it changes", async () => {
  const { identities } = createWorld();
  const { etag } = await identities.create(writeOf(device("d")));
  const updated = await identities.update(writeOf(device("d"), { statusReason: "x" }), etag);
  expect(updated.etag).not.toBe(etag);
  expect(await refusal(identities.update(writeOf(device("d")), etag))).toBe("etag.mismatch");
  expect(await refusal(identities.update(writeOf(device("d")), updated.etag))).toBeUndefined();
});

test("a delete without etag is refused, with a stale one too", async () => {
  const { identities } = createWorld();
  const { etag } = await identities.create(writeOf(device("d")));
  await identities.update(writeOf(device("d")), "*");
  expect(await refusal(identities.delete(device("d"), undefined))).toBe("etag.missing");
  expect(await refusal(identities.delete(device("d"), etag))).toBe("etag.mismatch");
  expect(await refusal(identities.delete(device("d"), "*"))).toBeUndefined();
  expect(await identities.find(device("d"))).toBeUndefined();
});

test("an update replaces every writable member, and without authentication mints new keys", async () => {
  const { identities } = createWorld();
  const before = await identities.create(
    writeOf(device("d"), { statusReason: "new", capabilities: { iotEdge: true } }),
  );
  const after = await identities.update(writeOf(device("d")), "*");
  expect(after).toMatchObject({ statusReason: undefined, capabilities: { iotEdge: false } });
  expect(after.authentication).not.toEqual(before.authentication);
  expect(after.generationId).toBe(before.generationId);
});

test("the time of a status is the time it changed", async () => {
  const { identities, clock } = createWorld();
  await identities.create(writeOf(device("d")));
  await clock.advance(5_000);
  const same = await identities.update(writeOf(device("d")), "*");
  expect(same.statusUpdatedAtMs).toBeUndefined();
  const other = await identities.update(writeOf(device("d"), { status: "disabled" }), "*");
  expect(other.statusUpdatedAtMs).toBe(clock.wallMs());
});

test("a status reason is at most 128 characters long", async () => {
  const { identities } = createWorld();
  const long = writeOf(device("d"), { statusReason: "x".repeat(129) });
  expect(await refusal(identities.create(long))).toBe("argument.invalid");
});

test("a recreated device is another one: other generation, other keys, no modules", async () => {
  const { identities, clock } = createWorld();
  const first = await identities.create(writeOf(device("d")));
  await identities.create(writeOf(module("d", "m")));
  await identities.delete(device("d"), "*");
  clock.jumpWall(-3_600_000);
  const second = await identities.create(writeOf(device("d")));
  expect(BigInt(second.generationId)).toBeGreaterThan(BigInt(first.generationId));
  expect(second.etag).not.toBe(first.etag);
  expect(await identities.find(module("d", "m"))).toBeUndefined();
  expect(await identities.listModules("d")).toEqual([]);
  expect(await refusal(identities.create(writeOf(module("d", "m"))))).toBeUndefined();
});

test("a device has at most 50 modules, however many are asked for at once", async () => {
  const { identities } = createWorld();
  await identities.create(writeOf(device("d")));
  const asked = Array.from({ length: 60 }, (_, i) =>
    refusal(identities.create(writeOf(module("d", `m${i}`)))),
  );
  const refused = (await Promise.all(asked)).filter((code) => code !== undefined);
  expect(refused).toEqual(Array(10).fill("device.too_many_modules"));
  expect(await identities.listModules("d")).toHaveLength(50);
});

test("a module shows its device's status", async () => {
  const { identities } = createWorld();
  await identities.create(writeOf(device("d")));
  await identities.create(writeOf(module("d", "m"), { managedBy: "me" }));
  await identities.update(writeOf(device("d"), { status: "disabled", statusReason: "lost" }), "*");
  const found = await identities.find(module("d", "m"));
  expect(found).toMatchObject({ status: "disabled", statusReason: "lost", managedBy: "me" });
});

test("devices are listed in order of their ids, without modules, up to a number", async () => {
  const { identities } = createWorld();
  for (const id of ["b", "a!", "a", "c"]) await identities.create(writeOf(device(id)));
  await identities.create(writeOf(module("a", "m")));
  const ids = async (top: number) => (await identities.listDevices(top)).map((d) => d.deviceId);
  expect(await ids(1000)).toEqual(["a", "a!", "b", "c"]);
  expect(await ids(2)).toEqual(["a", "a!"]);
});

test("listing and counting go beyond one page of the store", async () => {
  const { identities } = createWorld();
  const writes = Array.from({ length: 1_203 }, (_, i) =>
    identities.create(writeOf(device(`d${i}`), { status: i % 3 === 0 ? "disabled" : "enabled" })),
  );
  await Promise.all(writes);
  expect(await identities.listDevices(1_000)).toHaveLength(1_000);
  expect(await identities.statistics()).toEqual({ total: 1_203, enabled: 802, disabled: 401 });
});

// What ends a connection: something that let the device in no longer does.
const a = key(20);
const b = key(21);
const c = key(22);
const print = (digit: string): string => digit.repeat(40);
const revocations: [sentence: string, Authentication, Authentication, boolean][] = [
  ["the same keys again", sas(a, b), sas(a, b), false],
  ["the keys swapped", sas(a, b), sas(b, a), false],
  ["a new secondary key", sas(a, b), sas(a, c), true],
  ["a new primary key", sas(a, b), sas(c, b), true],
  ["keys made anew", sas(a, b), sas("", ""), true],
  ["another type", sas(a, b), { type: "certificateAuthority" }, true],
  ["a thumbprint in another case", thumbprints(print("a")), thumbprints(print("A")), false],
  ["a second thumbprint", thumbprints(print("a")), thumbprints(print("a"), print("b")), false],
  ["another thumbprint", thumbprints(print("a")), thumbprints(print("b")), true],
];

test.each(revocations)(
  "an update with %s revokes what it takes away",
  async (_, from, to, ends) => {
    const { identities, revoked } = createWorld();
    await identities.create(writeOf(device("d"), { authentication: from }));
    await identities.update(writeOf(device("d"), { authentication: to }), "*");
    const revocation = { key: "d", code: "connection.identity_revoked" };
    expect(revoked).toMatchObject(ends ? [revocation] : []);
  },
);

test("disabling or deleting a device revokes it and its modules, once it is committed", async () => {
  const { identities, revoked, faults } = createWorld();
  const authentication = sas(a, b);
  await identities.create(writeOf(device("d"), { authentication }));
  await identities.create(writeOf(module("d", "m")));
  const disable = writeOf(device("d"), { authentication, status: "disabled" });
  faults.next = ({ name }) => (name === "put" ? "reject" : undefined);
  expect(await refusal(identities.update(disable, "*"))).toBe("store.unavailable");
  expect(revoked).toEqual([]);
  faults.next = undefined;
  await identities.update(disable, "*");
  expect(revoked.splice(0).map((one) => one.key)).toEqual(["d", "d/m"]);
  await identities.update(disable, "*");
  expect(revoked).toEqual([]);
  await identities.delete(device("d"), "*");
  expect(revoked.map((one) => one.key)).toEqual(["d", "d/m"]);
});

test("deleting a module revokes the module alone", async () => {
  const { identities, revoked } = createWorld();
  await identities.create(writeOf(device("d")));
  await identities.create(writeOf(module("d", "m")));
  await identities.delete(module("d", "m"), "*");
  expect(revoked.map((one) => one.key)).toEqual(["d/m"]);
  expect(await identities.find(device("d"))).toBeDefined();
});

test("of two updates with the same etag exactly one wins", async () => {
  const { identities } = createWorld();
  const { etag } = await identities.create(writeOf(device("d")));
  const outcomes = await Promise.all([
    refusal(identities.update(writeOf(device("d"), { statusReason: "one" }), etag)),
    refusal(identities.update(writeOf(device("d"), { statusReason: "two" }), etag)),
  ]);
  expect(outcomes).toEqual([undefined, "etag.mismatch"]);
  expect((await identities.find(device("d")))?.statusReason).toBe("one");
});

test("of two creates of the same id exactly one wins", async () => {
  const { identities } = createWorld();
  const create = () => refusal(identities.create(writeOf(device("d"))));
  expect(await Promise.all([create(), create()])).toEqual([undefined, "device.already_exists"]);
});

test("an update and a delete at once leave no half device", async () => {
  const { identities } = createWorld();
  const { etag } = await identities.create(writeOf(device("d")));
  const [updated, deleted] = await Promise.all([
    refusal(identities.update(writeOf(device("d")), etag)),
    refusal(identities.delete(device("d"), etag)),
  ]);
  expect([updated, deleted]).toEqual([undefined, "etag.mismatch"]);
  const [second, again] = await Promise.all([
    refusal(identities.delete(device("d"), "*")),
    refusal(identities.update(writeOf(device("d")), "*")),
  ]);
  expect([second, again]).toEqual([undefined, "device.not_found"]);
});

test("another hub on the same store is noticed: an update with * is repeated on what it left", async () => {
  const world = createWorld();
  const { identities, stores } = world;
  await identities.create(writeOf(device("d")));
  let meddled = false;
  world.faults.next = ({ name }) => {
    if (name !== "get" || meddled) return undefined;
    meddled = true;
    const stored = stores.documents;
    void stored
      .get("identities", "d")
      .then((found) =>
        stored.put("identities", "d", { ...(found?.value as object), counter: 5 }, "any"),
      );
    return undefined;
  };
  const updated = await identities.update(writeOf(device("d")), "*");
  expect(Buffer.from(updated.etag, "base64").toString()).toBe("6");
});

test.each(["put", "delete"])(
  "when the store loses its answer to a %s, the document decides",
  async (name) => {
    const world = createWorld();
    const { identities, faults } = world;
    await identities.create(writeOf(device("d")));
    const act = () =>
      refusal(
        name === "put"
          ? identities.update(writeOf(device("d"), { statusReason: "x" }), "*")
          : identities.delete(device("d"), "*"),
      );
    let failures = 0;
    faults.next = (operation) =>
      operation.name === name && failures++ === 0 ? "reject" : undefined;
    expect(await act()).toBe("store.unavailable");
    expect((await identities.find(device("d")))?.statusReason).toBeUndefined();
    failures = 0;
    faults.next = (operation) =>
      operation.name === name && failures++ === 0 ? "applyThenReject" : undefined;
    expect(await act()).toBeUndefined();
    expect((await identities.find(device("d")))?.statusReason).toBe(
      name === "put" ? "x" : undefined,
    );
  },
);

test("deleting a device removes its twin, session, queue and modules", async () => {
  const { identities, stores } = createWorld();
  const { generationId } = await identities.create(writeOf(device("d")));
  const life = generationKey(device("d"), generationId);
  const { generationId: moduleLife } = await identities.create(writeOf(module("d", "m")));
  await stores.documents.put("twins", life, { any: 1 }, "absent");
  await stores.documents.put("sessions", life, { any: 1 }, "absent");
  await stores.documents.put("twins", generationKey(module("d", "m"), moduleLife), {}, "absent");
  const message = { enqueuedAtMs: 0, expiresAtMs: 1e15, properties: {}, body: new Uint8Array(1) };
  await stores.c2d.enqueue(life, message, 50);
  await identities.delete(device("d"), "*");
  expect(await stores.documents.list("twins", { limit: 9 })).toEqual([]);
  expect(await stores.documents.list("sessions", { limit: 9 })).toEqual([]);
  expect(await stores.c2d.queues()).toEqual([]);
});

test("the sweep removes what dead lives left and nothing that lives", async () => {
  const { identities, stores } = createWorld();
  const alive = await identities.create(writeOf(device("live@device")));
  const life = generationKey(device("live@device"), alive.generationId);
  await identities.create(writeOf(module("live@device", "m")));
  const gone = await identities.create(writeOf(device("gone")));
  const dead = generationKey(device("gone"), gone.generationId);
  await identities.create(writeOf(module("gone", "m")));
  // The delete as a crash leaves it: its one write and nothing more.
  await stores.documents.delete("identities", "gone", "any");
  const message = { enqueuedAtMs: 0, expiresAtMs: 1e15, properties: {}, body: new Uint8Array(1) };
  for (const at of [life, dead, generationKey(device("live@device"), "1")]) {
    await stores.documents.put("twins", at, {}, "absent");
    await stores.documents.put("sessions", at, {}, "absent");
    await stores.c2d.enqueue(at, message, 50);
  }
  expect(await identities.sweep()).toEqual({ removed: 7 });
  const keys = async (collection: "identities" | "twins" | "sessions") =>
    (await stores.documents.list(collection, { limit: 9 })).map((one) => one.key);
  expect(await keys("identities")).toEqual(["live@device", "live@device/m"]);
  expect(await keys("twins")).toEqual([life]);
  expect(await keys("sessions")).toEqual([life]);
  expect(await stores.c2d.queues()).toEqual([life]);
  expect(await identities.sweep()).toEqual({ removed: 0 });
});
