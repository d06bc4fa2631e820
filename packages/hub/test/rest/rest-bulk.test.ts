import { expect, test } from "vitest";
import { createRestWorld, faceOf, jsonOf, version } from "./rest-world.ts";
import { device, module, writeOf } from "./world.ts";

const target = `/devices?${version}`;
const done = { isSuccessful: true, errors: [], warnings: [] };

/** Two devices of which `old` has a module `m`; `post` sends an array. */
async function createBulkWorld() {
  const world = await createRestWorld();
  const old = await world.identities.create(writeOf(device("old")));
  await world.identities.create(writeOf(module("old", "m")));
  const post = (body: unknown) => world.call("POST", target, { body });
  return { ...world, old, post };
}

type BulkWorld = Awaited<ReturnType<typeof createBulkWorld>>;
const statusOf = async ({ identities }: BulkWorld, id: string) =>
  (await identities.find(device(id)))?.status;

/** Azure IoT Hub REST API reference, "Bulk Registry"; modes in the letters of the docs and of azure-iothub 1.16. */
const good: [mode: string, id: string, after: string | undefined][] = [
  ["create", "new", "disabled"],
  ["Create", "new", "disabled"],
  ["update", "old", "disabled"],
  ["Update", "old", "disabled"],
  ["updateIfMatchETag", "old", "disabled"],
  ["UpdateIfMatchETag", "old", "disabled"],
  ["createOrUpdate", "new", "disabled"],
  ["createOrUpdate", "old", "disabled"],
  ["createOrUpdateIfMatchETag", "new", "disabled"],
  ["createOrUpdateIfMatchETag", "old", "disabled"],
  ["delete", "old", undefined],
  ["Delete", "old", undefined],
  ["deleteIfMatchETag", "old", undefined],
  ["DeleteIfMatchETag", "old", undefined],
];

test.each(good)("%s of %s leaves it %s", async (importMode, id, after) => {
  const world = await createBulkWorld();
  const body = [{ id, importMode, status: "disabled", eTag: `"${world.old.etag}"` }];
  const response = await world.post(body);
  expect([response.status, jsonOf(response)]).toEqual([200, done]);
  expect(await statusOf(world, id)).toBe(after);
});

const bad: [mode: string, id: string, etag: string | undefined, errorCode: string][] = [
  ["create", "old", undefined, "DeviceAlreadyExists"],
  ["update", "x", undefined, "DeviceNotFound"],
  ["updateIfMatchETag", "old", "MTIz", "PreconditionFailed"],
  ["updateIfMatchETag", "old", undefined, "PreconditionFailed"],
  ["updateIfMatchETag", "x", "MTIz", "DeviceNotFound"],
  ["createOrUpdateIfMatchETag", "old", "MTIz", "PreconditionFailed"],
  ["delete", "x", undefined, "DeviceNotFound"],
  ["deleteIfMatchETag", "old", "MTIz", "PreconditionFailed"],
  ["deleteIfMatchETag", "old", undefined, "PreconditionFailed"],
  ["updateTwin", "x", undefined, "DeviceNotFound"],
  ["updateTwinIfMatchETag", "old", undefined, "PreconditionFailed"],
  ["create", "a b", undefined, "ArgumentInvalid"],
];

test.each(bad)("%s of %s with etag %s is %s", async (importMode, id, eTag, errorCode) => {
  const world = await createBulkWorld();
  const response = await world.post([{ id, importMode, status: "disabled", eTag }]);
  expect(faceOf(response)).toBe("400 BulkRegistryOperationFailure request.bulk_failed");
  expect(jsonOf(response)).toEqual({
    isSuccessful: false,
    errors: [
      {
        deviceId: id,
        errorCode,
        errorStatus: expect.stringMatching(/./) as unknown,
        moduleId: "",
        operation: importMode,
      },
    ],
    warnings: [],
  });
  expect(await statusOf(world, "old")).toBe("enabled");
});

test("each element is for itself: what fails keeps nobody else from it", async () => {
  const world = await createBulkWorld();
  const response = await world.post([
    { id: "a", importMode: "create" },
    { id: "old", importMode: "create" },
    { id: "b", importMode: "create" },
    { id: "old", moduleId: "m", importMode: "delete" },
    { id: "old", moduleId: "x", importMode: "delete" },
    { id: "gone", moduleId: "m", importMode: "create" },
  ]);
  const { errors } = jsonOf(response) as { errors: Record<string, string>[] };
  expect(
    errors.map(({ deviceId, moduleId, errorCode }) => [deviceId, moduleId, errorCode]),
  ).toEqual([
    ["old", "", "DeviceAlreadyExists"],
    ["old", "x", "ModuleNotFound"],
    ["gone", "m", "DeviceNotFound"],
  ]);
  expect(await world.identities.find(device("b"))).toBeDefined();
  expect(await world.identities.find(module("old", "m"))).toBeUndefined();
});

test("a device and its modules may come in one call, in the order of their lives", async () => {
  const world = await createBulkWorld();
  const created = await world.post([
    { id: "new", importMode: "create" },
    { id: "new", moduleId: "a", importMode: "create", managedBy: "me" },
    { id: "new", moduleId: "b", importMode: "create" },
  ]);
  expect(jsonOf(created)).toEqual(done);
  expect((await world.identities.find(module("new", "a")))?.managedBy).toBe("me");
  const deleted = await world.post([
    { id: "new", moduleId: "a", importMode: "delete" },
    { id: "new", importMode: "delete" },
  ]);
  expect(jsonOf(deleted)).toEqual(done);
  expect(await world.identities.find(module("new", "b"))).toBeUndefined();
});

const twin = { tags: { site: "north" }, properties: { desired: { interval: 5 } } };

test("a device is created with its twin, and an update leaves the twin alone", async () => {
  const world = await createBulkWorld();
  expect(jsonOf(await world.post([{ id: "new", importMode: "create", ...twin }]))).toEqual(done);
  expect((await world.twins.read(device("new"))).twin).toMatchObject(twin);
  await world.post([{ id: "new", importMode: "update", tags: { site: "south" } }]);
  expect((await world.twins.read(device("new"))).twin).toMatchObject(twin);
});

test("a device whose twin cannot be written is there, and a warning says so", async () => {
  const world = await createBulkWorld();
  const tags = { text: "x".repeat(5_000) };
  const response = await world.post([{ id: "new", importMode: "create", tags }]);
  expect(response.status).toBe(200);
  expect(jsonOf(response)).toEqual({
    isSuccessful: true,
    errors: [],
    warnings: [
      {
        deviceId: "new",
        warningCode: "DeviceRegisteredWithoutTwin",
        warningStatus: expect.stringMatching(/./) as unknown,
      },
    ],
  });
  expect(await world.identities.find(device("new"))).toBeDefined();
});

test("twins of devices and modules are merged in bulk, with or without their etag", async () => {
  const world = await createBulkWorld();
  const { etag } = await world.twins.read(device("old"));
  const first = await world.post([
    { id: "old", importMode: "updateTwinIfMatchETag", twinETag: etag, ...twin },
    { id: "old", moduleId: "m", importMode: "updateTwin", tags: { m: 1 } },
  ]);
  expect(jsonOf(first)).toEqual(done);
  expect((await world.twins.read(device("old"))).twin).toMatchObject(twin);
  expect((await world.twins.read(module("old", "m"))).twin["tags"]).toEqual({ m: 1 });
  const stale = await world.post([
    { id: "old", importMode: "updateTwinIfMatchETag", twinETag: etag, tags: { site: null } },
  ]);
  expect(jsonOf(stale)).toMatchObject({ errors: [{ errorCode: "PreconditionFailed" }] });
  expect((await world.identities.find(device("old")))?.etag).toBe(world.old.etag);
});

const many = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: `n${i}`, importMode: "create" }));

const whole: [sentence: string, body: unknown, face: string][] = [
  ["no element", [], "413 TooManyDevices request.too_many_devices"],
  ["101 elements", many(101), "413 TooManyDevices request.too_many_devices"],
  [
    "a device twice",
    [{ id: "a" }, { id: "a", importMode: "delete" }],
    "400 DeviceDefinedMultipleTimes request.device_twice",
  ],
  ["an element without id", [{ id: "a" }, {}], "400 ArgumentInvalid argument.invalid"],
  ["an unknown mode", [{ id: "a", importMode: "x" }], "400 ArgumentInvalid argument.invalid"],
  [
    "a mode that every object has",
    [{ id: "a", importMode: "constructor" }],
    "400 ArgumentInvalid argument.invalid",
  ],
  ["an element that is text", ["a"], "400 ArgumentInvalid argument.invalid"],
  [
    "properties that are text",
    [{ id: "a", properties: "x" }],
    "400 ArgumentInvalid argument.invalid",
  ],
];

test.each(whole)("a bulk with %s is refused as a whole", async (_sentence, body, face) => {
  const world = await createBulkWorld();
  expect(faceOf(await world.post(body))).toBe(face);
  expect(await world.identities.listDevices(10)).toHaveLength(1);
});

test("a hundred elements are written", async () => {
  const world = await createBulkWorld();
  expect(jsonOf(await world.post(many(100)))).toEqual(done);
  expect((await world.identities.statistics()).total).toBe(101);
});

test("what nobody foresaw is told without details, for its element alone", async () => {
  const world = await createBulkWorld();
  world.faults.next = (operation) => {
    if (operation.name !== "put") return undefined;
    world.faults.next = undefined;
    return "reject";
  };
  const response = await world.post(many(2));
  expect(jsonOf(response)).toMatchObject({ errors: [{ errorCode: "ServiceUnavailable" }] });
});
