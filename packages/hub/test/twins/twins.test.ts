import fc from "fast-check";
import { encodeUtf8 } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { generationKey } from "../../src/domain/services.ts";
import { silentLogger } from "../../src/domain/observe.ts";
import { createTwins, twinOperationsWaitingMax } from "../../src/domain/twins/index.ts";
import { createWorld, device, failOnce, module, refusal, writeOf } from "../rest/world.ts";
import type { Sent, World } from "../rest/world.ts";

const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 2_000 : 60);

const jsonBytes = (value: unknown): Uint8Array => encodeUtf8(JSON.stringify(value));
const settle = (world: World): Promise<void> => world.clock.settle();

/** A device that is registered, connected and subscribed to everything about its twin. */
async function connected(world = createWorld()) {
  const identity = await world.identities.create(writeOf(device("d")));
  const connection = world.connections.connect(device("d"), identity.generationId, [
    "twinResponses",
    "desired",
  ]);
  return { world, twins: world.twins, connection, identity };
}

const desired = (value: unknown) => ({ properties: { desired: value } });
const desiredOf = (view: { twin: Record<string, unknown> }) =>
  (view.twin["properties"] as { desired: Record<string, unknown> }).desired;
const statuses = (sent: readonly Sent[]): unknown[] =>
  sent.map((one) => (one.type === "twin" ? `${one.rid} ${one.status}` : one.type));

test("a device that never wrote has the fresh twin, and creating it was one write", async () => {
  const { world, twins, connection } = await connected();
  twins.get(connection, "r1");
  await settle(world);
  expect(connection.sent).toEqual([
    {
      type: "twin",
      rid: "r1",
      status: 200,
      version: undefined,
      body: { desired: { $version: 1 }, reported: { $version: 1 } },
    },
  ]);
  expect(await world.stores.documents.list("twins", { limit: 1 })).toEqual([]);
});

test("a reported patch is answered 204 with its version and shows in the service's twin", async () => {
  const { world, twins, connection } = await connected();
  twins.report(connection, "r1", undefined, jsonBytes({ a: 1, b: { c: 2 } }));
  twins.report(connection, "r2", undefined, jsonBytes({ a: null }));
  await settle(world);
  expect(connection.sent).toEqual([
    { type: "twin", rid: "r1", status: 204, version: 2, body: undefined },
    { type: "twin", rid: "r2", status: 204, version: 3, body: undefined },
  ]);
  const { twin } = await twins.read(device("d"));
  expect(twin["properties"]).toMatchObject({ reported: { b: { c: 2 }, $version: 3 } });
  expect(twin["etag"]).toBe("AAAAAAAAAAE=");
});

const badReports: [
  sentence: string,
  body: Uint8Array,
  base: number | undefined,
  status: number,
  code: number,
][] = [
  ["no JSON", encodeUtf8("{"), undefined, 400, 400004],
  ["no UTF-8", Uint8Array.of(0x22, 0xff, 0x22), undefined, 400, 400004],
  ["an empty body", new Uint8Array(0), undefined, 400, 400004],
  ["an array", jsonBytes([1]), undefined, 400, 400004],
  ["null", jsonBytes(null), undefined, 400, 400004],
  ["a key with a dot", jsonBytes({ "a.b": 1 }), undefined, 400, 400004],
  ["an integer beyond 2^52", jsonBytes({ a: 2 ** 53 }), undefined, 400, 400004],
  ["eleven levels", encodeUtf8(`${'{"a":'.repeat(12)}1${"}".repeat(12)}`), undefined, 400, 400004],
  ["a thousand levels", encodeUtf8("[".repeat(1000)), undefined, 400, 400004],
  ["a string of 5 KB", jsonBytes({ a: "x".repeat(5_000) }), undefined, 400, 400004],
  [
    "more than 32 KB",
    jsonBytes(
      Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, "x".repeat(4_000)])),
    ),
    undefined,
    413,
    413001,
  ],
  ["a stale base version", jsonBytes({ a: 1 }), 7, 412, 412001],
];

test.each(badReports)(
  "a reported patch with %s is refused with a JSON body and changes nothing",
  async (_s, body, base, status, code) => {
    const { world, twins, connection } = await connected();
    twins.report(connection, "r1", base, body);
    await settle(world);
    expect(connection.sent).toMatchObject([
      { type: "twin", rid: "r1", status, version: undefined, body: { errorCode: code } },
    ]);
    const [answer] = connection.sent;
    const error = answer?.type === "twin" ? (answer.body as Record<string, unknown>) : {};
    expect(error["trackingId"]).toMatch(/^t\d+$/);
    expect(error["message"]).toMatch(/\w/);
    expect(error["timestampUtc"]).toBe("2025-01-01T00:00:00.0000000Z");
    expect(await world.stores.documents.list("twins", { limit: 1 })).toEqual([]);
  },
);

test("a reported patch with the right base version is applied", async () => {
  const { world, twins, connection } = await connected();
  twins.report(connection, "r1", 1, jsonBytes({ a: 1 }));
  await settle(world);
  expect(statuses(connection.sent)).toEqual(["r1 204"]);
});

test("a client that did not subscribe to answers gets none, and its report still counts", async () => {
  const { world, twins, connection } = await connected();
  connection.kinds.delete("twinResponses");
  twins.get(connection, "r1");
  twins.report(connection, "r2", undefined, jsonBytes({ a: 1 }));
  twins.report(connection, "r3", undefined, encodeUtf8("{"));
  await settle(world);
  expect(connection.sent).toEqual([]);
  expect((await twins.read(device("d"))).twin["version"]).toBe(3);
});

test("a desired patch is notified as it was applied, nulls included, and bumps version and etag", async () => {
  const { twins, connection } = await connected();
  await twins.patch(device("d"), desired({ a: 1, b: { c: 2 } }), undefined);
  const view = await twins.patch(device("d"), desired({ b: { c: null }, $version: 99 }), "*");
  expect(connection.sent).toEqual([
    { type: "desired", version: 2, body: { a: 1, b: { c: 2 }, $version: 2 } },
    { type: "desired", version: 3, body: { b: { c: null }, $version: 3 } },
  ]);
  expect(desiredOf(view)).toMatchObject({ a: 1, b: {}, $version: 3 });
  expect(view.etag).toBe("AAAAAAAAAAM=");
});

test("a desired patch that changes nothing still bumps and notifies", async () => {
  const { twins, connection } = await connected();
  await twins.patch(device("d"), desired({ a: 1 }), undefined);
  await twins.patch(device("d"), desired({ a: 1 }), undefined);
  await twins.patch(device("d"), desired({}), undefined);
  expect(connection.sent.map((one) => one.type === "desired" && one.version)).toEqual([2, 3, 4]);
});

test("a replacement notifies the whole desired section", async () => {
  const { twins, connection } = await connected();
  await twins.patch(device("d"), { tags: { t: 1 }, ...desired({ a: 1, b: 2 }) }, undefined);
  const view = await twins.replace(device("d"), desired({ b: 3 }), undefined);
  expect(connection.sent.at(-1)).toEqual({
    type: "desired",
    version: 3,
    body: { b: 3, $version: 3 },
  });
  expect(view.twin["tags"]).toEqual({ t: 1 });
});

test("desired: null empties the section and the device is told key by key", async () => {
  const { twins, connection } = await connected();
  await twins.patch(device("d"), desired({ a: 1, b: { c: 2 } }), undefined);
  const view = await twins.patch(device("d"), { properties: { desired: null } }, undefined);
  expect(connection.sent.at(-1)).toEqual({
    type: "desired",
    version: 3,
    body: { a: null, b: null, $version: 3 },
  });
  const { $metadata: _, ...rest } = desiredOf(view);
  expect(rest).toEqual({ $version: 3 });
});

test("tags alone notify nobody", async () => {
  const { twins, connection } = await connected();
  const view = await twins.patch(device("d"), { tags: { site: "x" } }, undefined);
  expect(connection.sent).toEqual([]);
  expect(view.etag).toBe("AAAAAAAAAAI=");
});

test("reported properties sent by a service are ignored", async () => {
  const { twins } = await connected();
  const view = await twins.patch(device("d"), { properties: { reported: { a: 1 } } }, undefined);
  expect(view.twin["properties"]).toMatchObject({ reported: { $version: 1 } });
  expect(view.twin["properties"]).not.toHaveProperty("reported.a");
});

test("a device that did not subscribe to desired properties is not told, and misses nothing it can GET", async () => {
  const { world, twins, connection } = await connected();
  connection.kinds.delete("desired");
  await twins.patch(device("d"), desired({ a: 1 }), undefined);
  twins.get(connection, "r1");
  await settle(world);
  expect(connection.sent).toMatchObject([{ rid: "r1", body: { desired: { a: 1, $version: 2 } } }]);
});

test("two hubs on one store share a twin without losing a version", async () => {
  const { world, twins, connection } = await connected();
  const other = createTwins({
    documents: world.stores.documents,
    identities: world.identities,
    connections: world.connections,
    clock: world.clock,
    trackingId: () => "t",
    logger: silentLogger,
  });
  const { etag } = await twins.read(device("d"));
  const writes = [0, 1, 2, 3].map((value) =>
    (value % 2 === 0 ? twins : other).patch(
      device("d"),
      desired({ [`k${value}`]: value }),
      undefined,
    ),
  );
  const versions = (await Promise.all(writes)).map((view) => desiredOf(view)["$version"]);
  expect(new Set(versions)).toEqual(new Set([2, 3, 4, 5]));
  expect(desiredOf(await other.read(device("d")))).toMatchObject({ k0: 0, k1: 1, k2: 2, k3: 3 });
  expect(connection.sent).toHaveLength(4);
  expect(await refusal(other.patch(device("d"), desired({}), etag))).toBe("etag.mismatch");
});

test("a service can send back the whole twin it read", async () => {
  const { twins } = await connected();
  const { twin, etag } = await twins.patch(device("d"), desired({ a: 1 }), undefined);
  const again = await twins.patch(device("d"), twin, etag);
  expect(desiredOf(again)).toMatchObject({ a: 1, $version: 3 });
});

test.each(["patch", "replace"] as const)(
  "a %s with a stale etag is refused and changes nothing",
  async (how) => {
    const { twins, connection } = await connected();
    const { etag } = await twins.read(device("d"));
    await twins.patch(device("d"), { tags: { a: 1 } }, etag);
    expect(await refusal(twins[how](device("d"), desired({ a: 1 }), etag))).toBe("etag.mismatch");
    expect(connection.sent).toEqual([]);
    expect(desiredOf(await twins.read(device("d")))["$version"]).toBe(1);
  },
);

test("of two patches with the same etag exactly one wins", async () => {
  const { twins } = await connected();
  const { etag } = await twins.read(device("d"));
  const outcomes = await Promise.all(
    [1, 2].map((value) => refusal(twins.patch(device("d"), desired({ value }), etag))),
  );
  expect(outcomes).toEqual([undefined, "etag.mismatch"]);
  expect(desiredOf(await twins.read(device("d")))).toMatchObject({ value: 1, $version: 2 });
});

test("a patch and a delete of the device at once: afterwards there is no twin", async () => {
  const { world, twins } = await connected();
  await Promise.all([
    refusal(twins.patch(device("d"), desired({ a: 1 }), undefined)),
    world.identities.delete(device("d"), "*"),
  ]);
  expect(await refusal(twins.read(device("d")))).toBe("device.not_found");
  await world.identities.create(writeOf(device("d")));
  expect((await twins.read(device("d"))).twin["version"]).toBe(2);
  await world.identities.sweep();
  expect(await world.stores.documents.list("twins", { limit: 1 })).toEqual([]);
});

test("unknown devices and modules are both answered 404001", async () => {
  const { twins } = await connected();
  expect(await refusal(twins.read(device("x")))).toBe("device.not_found");
  expect(await refusal(twins.patch(device("x"), {}, undefined))).toBe("device.not_found");
  expect(await refusal(twins.read(module("d", "x")))).toBe("device.not_found");
});

test("a module has a twin of its own", async () => {
  const { world, twins, connection } = await connected();
  const { generationId } = await world.identities.create(writeOf(module("d", "m")));
  const ofModule = world.connections.connect(module("d", "m"), generationId, ["desired"]);
  const { twin } = await twins.patch(module("d", "m"), desired({ a: 1 }), undefined);
  expect(twin).toMatchObject({ deviceId: "d", moduleId: "m" });
  expect(statuses(ofModule.sent)).toEqual(["desired"]);
  expect(connection.sent).toEqual([]);
});

test("the whole twin tells what the registry and the connections know", async () => {
  const { world, twins, identity } = await connected();
  world.connections.lastActivityAtMs = Date.UTC(2025, 0, 2);
  await world.c2d.service.send("d", {
    properties: { system: {}, application: {} },
    ack: undefined,
    expiresAtMs: undefined,
    body: new Uint8Array(1),
  });
  const { twin } = await twins.read(device("d"));
  expect(twin).toMatchObject({
    deviceId: "d",
    etag: "AAAAAAAAAAE=",
    deviceEtag: identity.etag,
    status: "enabled",
    statusUpdateTime: "0001-01-01T00:00:00Z",
    connectionState: "Connected",
    lastActivityTime: "2025-01-02T00:00:00.0000000Z",
    cloudToDeviceMessageCount: 1,
    authenticationType: "sas",
    x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
    modelId: "",
    version: 2,
    capabilities: { iotEdge: false },
  });
  expect(twin).not.toHaveProperty("statusReason");
  expect(twin).not.toHaveProperty("deviceScope");
});

test("a disabled X.509 edge device shows its thumbprint, reason and scope", async () => {
  const world = createWorld();
  const authentication = {
    type: "selfSigned" as const,
    primaryThumbprint: "a".repeat(40),
    secondaryThumbprint: undefined,
  };
  const wanted = { authentication, status: "disabled" as const, statusReason: "lost" };
  const more = { ...wanted, capabilities: { iotEdge: true } };
  const { generationId } = await world.identities.create(writeOf(device("d"), more));
  const { twin } = await world.twins.read(device("d"));
  expect(twin).toMatchObject({
    status: "disabled",
    statusReason: "lost",
    connectionState: "Disconnected",
    lastActivityTime: "0001-01-01T00:00:00Z",
    authenticationType: "selfSigned",
    x509Thumbprint: { primaryThumbprint: "a".repeat(40), secondaryThumbprint: null },
    capabilities: { iotEdge: true },
    deviceScope: `ms-azure-iot-edge://d-${generationId}`,
  });
});

test("the announced model id stays with the twin", async () => {
  const { twins, identity } = await connected();
  await twins.announceModel(device("d"), identity.generationId, "dtmi:com:example:T;1");
  await twins.announceModel(device("d"), identity.generationId, "dtmi:com:example:T;1");
  await twins.patch(device("d"), { tags: { a: 1 } }, undefined);
  const { twin } = await twins.read(device("d"));
  expect(twin).toMatchObject({ modelId: "dtmi:com:example:T;1", version: 3 });
});

test("a connection of an earlier life is not told of the new life's desired properties", async () => {
  const { world, twins, connection } = await connected();
  await world.identities.delete(device("d"), "*");
  await world.identities.create(writeOf(device("d")));
  world.connections.connect(device("d"), connection.generationId, ["desired"]);
  await twins.patch(device("d"), desired({ a: 1 }), undefined);
  expect(world.connections.find(device("d"))?.sent).toEqual([]);
});

test("keys that are traps elsewhere are keys like any other", async () => {
  const { world, twins, connection } = await connected();
  const text = '{"__proto__":{"polluted":1},"constructor":{"prototype":2},"toString":3}';
  twins.report(connection, "r1", undefined, encodeUtf8(text));
  const body = JSON.parse(`{"properties":{"desired":${text}}}`) as unknown;
  await twins.patch(device("d"), body, undefined);
  twins.get(connection, "r2");
  await settle(world);
  const last = connection.sent.at(-1);
  expect(JSON.stringify(last?.type === "twin" && last.body)).toBe(
    `{"desired":${text.slice(0, -1)},"$version":2},"reported":${text.slice(0, -1)},"$version":2}}`,
  );
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

test("a device that asks without end is answered 429 beyond a bound, and nothing leaks", async () => {
  const { world, twins, connection } = await connected();
  const asked = twinOperationsWaitingMax + 11;
  for (let i = 0; i < asked; i++) twins.get(connection, `r${i}`);
  await settle(world);
  const counts = { 200: 0, 429: 0 };
  for (const one of connection.sent) if (one.type === "twin") counts[one.status as 200]++;
  expect(counts).toEqual({ 200: twinOperationsWaitingMax + 1, 429: 10 });
  expect(twins.busy).toBe(0);
});

test("a report whose commit the store left open is read again before it is answered", async () => {
  const { world, twins, connection } = await connected();
  failOnce(world, "put", "applyThenReject");
  twins.report(connection, "lost answer", undefined, jsonBytes({ a: 1 }));
  await settle(world);
  failOnce(world, "put", "reject");
  twins.report(connection, "nothing written", undefined, jsonBytes({ a: 2 }));
  await settle(world);
  twins.report(connection, "all well", undefined, jsonBytes({ a: 3 }));
  await settle(world);
  expect(connection.sent).toMatchObject([
    { rid: "lost answer", status: 204, version: 2 },
    { rid: "nothing written", status: 503, body: { errorCode: 503001 } },
    { rid: "all well", status: 204, version: 3 },
  ]);
});

test("a desired patch whose commit the store left open notifies exactly when it happened", async () => {
  const { world, twins, connection } = await connected();
  failOnce(world, "put", "applyThenReject");
  await twins.patch(device("d"), desired({ a: 1 }), undefined);
  failOnce(world, "put", "reject");
  expect(await refusal(twins.patch(device("d"), desired({ a: 2 }), undefined))).toBe(
    "store.unavailable",
  );
  expect(connection.sent).toMatchObject([{ type: "desired", version: 2, body: { a: 1 } }]);
});

type Step = { who: "device" | "service" | "replace" | "get"; value: number };
const anyStep: fc.Arbitrary<Step> = fc.record({
  who: fc.constantFrom("device", "service", "replace", "get"),
  value: fc.nat(3),
});

test("whatever is asked at once and whatever the store does: versions grow by one, answers and notifications follow", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 30 }), fc.nat(), async (steps, seed) => {
      const { world, twins, connection, identity } = await connected(createWorld(seed));
      world.faults.next = ({ name, key }) => {
        if (name !== "put" || key !== generationKey(device("d"), identity.generationId))
          return undefined;
        const roll = world.random.int(4);
        return roll === 0 ? "reject" : roll === 1 ? "applyThenReject" : undefined;
      };
      const service: Promise<string | undefined>[] = [];
      steps.forEach(({ who, value }, i) => {
        if (who === "get") twins.get(connection, `g${i}`);
        else if (who === "device")
          twins.report(connection, `r${i}`, undefined, jsonBytes({ value }));
        else {
          const how = who === "service" ? "patch" : "replace";
          service.push(refusal(twins[how](device("d"), desired({ value }), undefined)));
        }
      });
      await settle(world);
      const applied = (await Promise.all(service)).filter((code) => code === undefined).length;
      const notified = connection.sent.flatMap((one) =>
        one.type === "desired" ? [one.version] : [],
      );
      expect(notified).toEqual(Array.from({ length: applied }, (_, i) => i + 2));
      let desiredVersion = 1;
      let reportedVersion = 1;
      for (const one of connection.sent) {
        if (one.type === "desired") desiredVersion = one.version;
        else if (one.type === "twin" && one.status === 204) {
          expect(one.version).toBe(++reportedVersion);
        } else if (one.type === "twin" && one.status === 200) {
          expect(one.body).toMatchObject({
            desired: { $version: desiredVersion },
            reported: { $version: reportedVersion },
          });
        }
      }
      expect(twins.busy).toBe(0);
    }),
    { numRuns: runs },
  );
});
