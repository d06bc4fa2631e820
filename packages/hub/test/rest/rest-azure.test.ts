import { emptyApplicationProperties, encodeUtf8, restRoutes } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { device, writeOf } from "./world.ts";
import { createRestWorld, faceOf, jsonOf, version } from "./rest-world.ts";

const at = (path: string, query = ""): string =>
  `${path}?${version}${query === "" ? "" : `&${query}`}`;
const quoted = (text: unknown): string => `"${String(text)}"`;

test("a device is created, read, replaced and deleted as Azure does it", async () => {
  const { call } = await createRestWorld();
  const body = { deviceId: "d", status: "enabled" };
  const created = await call("PUT", at("/devices/d"), { body });
  const json = jsonOf(created);
  expect(created.status).toBe(200);
  expect(created.headers).toMatchObject({
    "content-type": "application/json; charset=utf-8",
    etag: quoted(json["etag"]),
    "x-ms-request-id": "request-1",
  });
  expect(Object.keys(json)).toEqual([
    "deviceId",
    "generationId",
    "etag",
    "status",
    "statusReason",
    "statusUpdatedTime",
    "connectionState",
    "connectionStateUpdatedTime",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
    "authentication",
    "capabilities",
  ]);
  expect(json).toMatchObject({
    statusReason: null,
    statusUpdatedTime: "0001-01-01T00:00:00",
    connectionState: "Disconnected",
    connectionStateUpdatedTime: "0001-01-01T00:00:00",
    lastActivityTime: "0001-01-01T00:00:00",
    cloudToDeviceMessageCount: 0,
    authentication: {
      symmetricKey: { primaryKey: expect.stringMatching(/^.{43}=$/) as unknown },
      x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
      type: "sas",
    },
    capabilities: { iotEdge: false },
  });
  expect(jsonOf(await call("GET", at("/devices/d")))).toEqual(json);

  const again = await call("PUT", at("/devices/d"), { body });
  expect(faceOf(again)).toBe("409 DeviceAlreadyExists device.already_exists");
  const headers = { "if-match": quoted(json["etag"]) };
  const changed = { ...json, status: "disabled", statusReason: "lost" };
  const updated = await call("PUT", at("/devices/d"), { body: changed, headers });
  expect(jsonOf(updated)).toMatchObject({
    status: "disabled",
    statusReason: "lost",
    statusUpdatedTime: "2025-01-01T00:00:00.0000000Z",
    authentication: json["authentication"],
  });
  expect(faceOf(await call("DELETE", at("/devices/d"), { headers }))).toBe(
    "412 PreconditionFailed etag.mismatch",
  );
  const deleted = await call("DELETE", at("/devices/d"), { headers: { "if-match": '"*"' } });
  expect([deleted.status, deleted.body]).toEqual([204, undefined]);
  expect(faceOf(await call("GET", at("/devices/d")))).toBe("404 DeviceNotFound device.not_found");
});

test("the error envelope has the form that every SDK reads", async () => {
  const { call } = await createRestWorld();
  const response = await call("GET", at("/devices/x"));
  expect(jsonOf(response)).toEqual({
    Message: 'ErrorCode:DeviceNotFound;Device "x" is not registered',
    ExceptionMessage: "Tracking ID:request-1-TimeStamp:01/01/2025 00:00:00",
  });
  expect(response.headers).toMatchObject({
    "content-type": "application/json; charset=utf-8",
    "iothub-errorcode": "DeviceNotFound",
    "x-ms-request-id": "request-1",
  });
});

test("module routes tell errors in the newer form", async () => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: { deviceId: "d" } });
  const response = await call("GET", at("/devices/d/modules/x"));
  expect(faceOf(response)).toBe("404 ModuleNotFound module.not_found");
  expect(jsonOf(response)).toEqual({
    errorCode: 404010,
    message: 'Device "d" has no module "x"',
    trackingId: "request-2",
    timestampUtc: "2025-01-01T00:00:00.0000000Z",
    info: null,
  });
  const orphan = await call("PUT", at("/devices/x/modules/m"), { body: {} });
  expect(jsonOf(orphan)).toMatchObject({ errorCode: 404001 });
});

test("a module is created, listed, updated and deleted", async () => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: { deviceId: "d" } });
  const body = { deviceId: "d", moduleId: "m", authentication: { type: "none" }, managedBy: "me" };
  const created = jsonOf(await call("PUT", at("/devices/d/modules/m"), { body }));
  expect(created).toMatchObject({
    moduleId: "m",
    managedBy: "me",
    deviceId: "d",
    cloudToDeviceMessageCount: 0,
    authentication: { type: "sas" },
  });
  expect(created).not.toHaveProperty("status");
  const list = await call("GET", at("/devices/d/modules"));
  expect(jsonOf(list)).toEqual([created]);
  expect(jsonOf(await call("GET", at("/devices/d/modules/m")))).toEqual(created);
  const headers = { "if-match": "*" };
  expect((await call("PUT", at("/devices/d/modules/m"), { body, headers })).status).toBe(200);
  expect((await call("DELETE", at("/devices/d/modules/m"), { headers })).status).toBe(204);
  expect(jsonOf(await call("GET", at("/devices/d/modules")))).toEqual([]);
});

// Observed in the Node service SDK and on live hubs.
const identityBodies: [sentence: string, body: unknown, face: string][] = [
  ["nothing but braces", {}, "200"],
  [
    "empty keys",
    { authentication: { type: "sas", symmetricKey: { primaryKey: "", secondaryKey: "" } } },
    "200",
  ],
  [
    "null everywhere",
    { authentication: null, status: null, statusReason: null, capabilities: null },
    "200",
  ],
  [
    "keys that are null",
    { authentication: { symmetricKey: { primaryKey: null, secondaryKey: null } } },
    "200",
  ],
  ["a type in capitals", { authentication: { type: "CertificateAuthority" } }, "200"],
  [
    "a thumbprint and no type",
    { authentication: { x509Thumbprint: { primaryThumbprint: "a".repeat(40) } } },
    "200",
  ],
  ["another id", { deviceId: "e" }, "400 ArgumentInvalid identity.id_mismatch"],
  ["an id that is a number", { deviceId: 5 }, "400 ArgumentInvalid argument.invalid"],
  ["an unknown status", { status: "asleep" }, "400 ArgumentInvalid argument.invalid"],
  ["type none", { authentication: { type: "none" } }, "400 ArgumentInvalid argument.invalid"],
  ["an unknown type", { authentication: { type: "x" } }, "400 ArgumentInvalid argument.invalid"],
  [
    "authentication that is text",
    { authentication: "sas" },
    "400 ArgumentInvalid argument.invalid",
  ],
  [
    "a bad key",
    { authentication: { symmetricKey: { primaryKey: "x", secondaryKey: "y" } } },
    "400 ArgumentInvalid identity.bad_key",
  ],
  [
    "a bad thumbprint",
    { authentication: { type: "selfSigned", x509Thumbprint: { primaryThumbprint: "a:b" } } },
    "400 ArgumentInvalid identity.bad_thumbprint",
  ],
  ["an array", [], "400 ArgumentInvalid argument.invalid"],
];

test.each(identityBodies)("PUT of a device with %s", async (_sentence, body, face) => {
  const { call } = await createRestWorld();
  expect(faceOf(await call("PUT", at("/devices/d"), { body }))).toBe(face);
});

test("X.509 identities show their thumbprints and null keys", async () => {
  const { call } = await createRestWorld();
  const x509Thumbprint = { primaryThumbprint: "aB".repeat(20), secondaryThumbprint: null };
  const body = { authentication: { type: "selfSigned", x509Thumbprint } };
  expect(jsonOf(await call("PUT", at("/devices/d"), { body }))["authentication"]).toEqual({
    symmetricKey: { primaryKey: null, secondaryKey: null },
    x509Thumbprint,
    type: "selfSigned",
  });
});

test("an edge device shows its scope", async () => {
  const { call } = await createRestWorld();
  const body = { capabilities: { iotEdge: true } };
  const json = jsonOf(await call("PUT", at("/devices/d"), { body }));
  expect(json["deviceScope"]).toBe(`ms-azure-iot-edge://d-${String(json["generationId"])}`);
});

test.each(['"*"', "*", 'W/"*"'])("If-Match %s takes any etag", async (ifMatch) => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: {} });
  const headers = { "if-match": ifMatch };
  expect((await call("PUT", at("/devices/d"), { body: {}, headers })).status).toBe(200);
});

test("a delete without If-Match is refused", async () => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: {} });
  expect(faceOf(await call("DELETE", at("/devices/d")))).toBe(
    "412 PreconditionFailed etag.missing",
  );
});

test("ids travel percent-encoded and are compared verbatim", async () => {
  const { call } = await createRestWorld();
  const id = "A-a.b+c%d_e#f*g?h!i(j)k,l:m=n@o$p'";
  const path = `/devices/${encodeURIComponent(id)}`;
  expect((await call("PUT", at(path), { body: { deviceId: id } })).status).toBe(200);
  expect(
    jsonOf(await call("GET", at(path.replace("/devices", "/DEVICES") + "/")))["deviceId"],
  ).toBe(id);
  expect((await call("GET", at(path.toLowerCase()))).status).toBe(404);
});

test("devices are listed with a trailing slash, up to top", async () => {
  const { call } = await createRestWorld();
  for (const id of ["a", "b", "c"]) await call("PUT", at(`/devices/${id}`), { body: {} });
  const ids = async (query: string) => {
    const response = await call("GET", at("/devices/", query));
    return (JSON.parse(response.body as string) as { deviceId: string }[]).map((d) => d.deviceId);
  };
  expect(await ids("")).toEqual(["a", "b", "c"]);
  expect(await ids("top=2")).toEqual(["a", "b"]);
  expect(await ids("top=5000")).toEqual(["a", "b", "c"]);
  for (const top of ["0", "-1", "x", ""]) {
    const refused = await call("GET", at("/devices", `top=${top}`));
    expect(faceOf(refused)).toBe("400 ArgumentInvalid argument.invalid");
  }
});

test("statistics count devices and connections", async () => {
  const { call, connections, identities } = await createRestWorld();
  const { generationId } = await identities.create(writeOf(device("a")));
  await identities.create(writeOf(device("b"), { status: "disabled" }));
  connections.connect(device("a"), generationId);
  expect(jsonOf(await call("GET", at("/statistics/devices")))).toEqual({
    totalDeviceCount: 2,
    enabledDeviceCount: 1,
    disabledDeviceCount: 1,
  });
  expect(jsonOf(await call("GET", at("/statistics/service")))).toEqual({ connectedDeviceCount: 1 });
});

test("a device shows its connection and its waiting messages; purge empties the queue", async () => {
  const { call, connections, identities, c2d } = await createRestWorld();
  const { generationId } = await identities.create(writeOf(device("d")));
  connections.connect(device("d"), generationId);
  connections.lastActivityAtMs = Date.UTC(2025, 0, 2, 3, 4, 5, 678);
  for (const body of ["1", "2"]) {
    await c2d.service.send("d", {
      properties: { system: {}, application: emptyApplicationProperties() },
      ack: undefined,
      expiresAtMs: undefined,
      body: encodeUtf8(body),
    });
  }
  expect(jsonOf(await call("GET", at("/devices/d")))).toMatchObject({
    connectionState: "Connected",
    connectionStateUpdatedTime: "2025-01-02T03:04:05.6780000Z",
    lastActivityTime: "2025-01-02T03:04:05.6780000Z",
    cloudToDeviceMessageCount: 2,
  });
  expect(jsonOf(await call("DELETE", at("/devices/d/commands")))).toEqual({
    deviceId: "d",
    moduleId: null,
    totalMessagesPurged: 2,
  });
  expect(faceOf(await call("DELETE", at("/devices/x/commands")))).toMatch(/^404 DeviceNotFound/);
});

test("a twin is read, patched and replaced, with its etag in the header", async () => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: {} });
  const read = await call("GET", at("/twins/d"));
  expect(read.headers["etag"]).toBe('"AAAAAAAAAAE="');
  expect(jsonOf(read)).toMatchObject({
    deviceId: "d",
    version: 2,
    properties: { desired: { $version: 1 } },
  });
  const headers = { "if-match": '"AAAAAAAAAAE="' };
  const body = { tags: { a: 1 }, properties: { desired: { b: { c: 2 } } } };
  const patched = await call("PATCH", at("/twins/d"), { body, headers });
  expect(patched.headers["etag"]).toBe('"AAAAAAAAAAI="');
  expect(jsonOf(patched)).toMatchObject({
    tags: { a: 1 },
    properties: { desired: { b: { c: 2 } } },
  });
  const stale = await call("PATCH", at("/twins/d"), { body, headers });
  expect(faceOf(stale)).toBe("412 PreconditionFailed etag.mismatch");
  const replaced = await call("PUT", at("/twins/d"), {
    body: { properties: { desired: { z: 1 } } },
  });
  expect(jsonOf(replaced)).toMatchObject({ tags: { a: 1 } });
  expect(jsonOf(replaced)["properties"]).not.toHaveProperty("desired.b");
  expect(faceOf(await call("GET", at("/twins/x")))).toBe("404 DeviceNotFound device.not_found");
  expect(faceOf(await call("GET", at("/twins/d/modules/x")))).toMatch(/^404 DeviceNotFound/);
});

test("module twins have their own address", async () => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: {} });
  await call("PUT", at("/devices/d/modules/m"), { body: {} });
  const body = { properties: { desired: { a: 1 } } };
  for (const method of ["PATCH", "PUT"]) {
    const written = await call(method, at("/twins/d/modules/m"), { body });
    expect(jsonOf(written)).toMatchObject({ moduleId: "m", properties: { desired: { a: 1 } } });
  }
  expect(jsonOf(await call("GET", at("/twins/d")))).toMatchObject({ version: 2 });
});

const twinBodies: [sentence: string, body: unknown, face: string][] = [
  ["an array", [], "400 ArgumentInvalid twin.not_object"],
  ["tags that are text", { tags: "x" }, "400 ArgumentInvalid twin.not_object"],
  ["a key with a dollar", { tags: { $x: 1 } }, "400 ArgumentInvalid twin.bad_key"],
  [
    "tags above 8 KB",
    { tags: { a: "x".repeat(4_000), b: "x".repeat(4_000), c: "x".repeat(4_000) } },
    "413 MessageTooLarge twin.too_large",
  ],
  [
    "an integer beyond 2^52",
    { properties: { desired: { a: 2 ** 53 } } },
    "400 ArgumentInvalid twin.integer_out_of_range",
  ],
  ["reported properties, which are ignored", { properties: { reported: { a: 1 } } }, "200"],
];

test.each(twinBodies)("PATCH of a twin with %s", async (_sentence, body, face) => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: {} });
  expect(faceOf(await call("PATCH", at("/twins/d"), { body }))).toBe(face);
});

test("a method call is answered 200 whatever the device says, digit by digit", async () => {
  const { call, connections, identities, methods, clock } = await createRestWorld();
  const { generationId } = await identities.create(writeOf(device("d")));
  const connection = connections.connect(device("d"), generationId, ["methods"]);
  const text =
    '{"methodName":"m","payload":{"id":12345678901234567890},"responseTimeoutInSeconds":7,"connectTimeoutInSeconds":0}';
  const answer = call("POST", at("/twins/d/methods"), { text });
  await clock.settle();
  expect(connection.sent).toMatchObject([{ name: "m", payload: '{"id":12345678901234567890}' }]);
  methods.respond(connection, "1", 500, encodeUtf8('{"id":1234567890123456789}'));
  const { status, body } = await answer;
  expect([status, body]).toEqual([200, '{"status":500,"payload":{"id":1234567890123456789}}']);
});

test("payload null and left out are both null for the device", async () => {
  const { call, connections, identities, methods, clock } = await createRestWorld();
  const { generationId } = await identities.create(writeOf(device("d")));
  const connection = connections.connect(device("d"), generationId, ["methods"]);
  for (const body of [{ methodName: "m" }, { methodName: "m", payload: null }]) {
    const answer = call("POST", at("/twins/d/methods"), { body });
    await clock.settle();
    const last = connection.sent.at(-1);
    expect(last).toMatchObject({ payload: "null" });
    methods.respond(connection, last?.type === "method" ? last.rid : "", 200, new Uint8Array(0));
    expect(jsonOf(await answer)).toEqual({ status: 200, payload: null });
  }
});

test("a device that is not online is told in the nested form, as live hubs do", async () => {
  const { call, identities, clock } = await createRestWorld();
  await identities.create(writeOf(device("d")));
  const body = { methodName: "m", connectTimeoutInSeconds: 90 };
  const asked = call("POST", at("/twins/d/methods"), { body });
  await clock.advance(90_000);
  const response = await asked;
  expect(faceOf(response)).toBe("404 DeviceNotOnline device.not_online");
  const outer = jsonOf(response);
  expect(outer["ExceptionMessage"]).toBe("");
  expect(JSON.parse(outer["Message"] as string)).toEqual({
    errorCode: 404103,
    trackingId: "request-1",
    message: "Timed out waiting for device to connect.",
    info: { timeout: "00:01:30" },
    timestampUtc: "2025-01-01T00:01:30.0000000Z",
  });
});

const methodBodies: [sentence: string, body: unknown, face: string][] = [
  ["no name", {}, "400 ArgumentInvalid argument.invalid"],
  ["a name that is a number", { methodName: 1 }, "400 ArgumentInvalid argument.invalid"],
  [
    "a timeout that is text",
    { methodName: "m", responseTimeoutInSeconds: "5" },
    "400 ArgumentInvalid argument.invalid",
  ],
  [
    "a timeout out of range",
    { methodName: "m", responseTimeoutInSeconds: 4 },
    "400 ArgumentInvalid argument.invalid",
  ],
  [
    "a payload above 128 KB",
    { methodName: "m", payload: "x".repeat(131_071) },
    "413 MessageTooLarge message.too_large",
  ],
  [
    "a body far above that",
    { methodName: "m", payload: "x".repeat(140_000) },
    "413 GenericRequestEntityTooLarge request.too_large",
  ],
  ["nobody there", { methodName: "m" }, "404 DeviceNotOnline device.not_online"],
];

test.each(methodBodies)("a method call with %s", async (_sentence, body, face) => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: {} });
  expect(faceOf(await call("POST", at("/twins/d/methods"), { body }))).toBe(face);
});

test("method calls to unknown devices and modules have codes of their own", async () => {
  const { call } = await createRestWorld();
  await call("PUT", at("/devices/d"), { body: {} });
  const body = { methodName: "m" };
  expect(faceOf(await call("POST", at("/twins/x/methods"), { body }))).toBe(
    "404 DeviceNotFound device.not_found",
  );
  expect(faceOf(await call("POST", at("/twins/d/modules/x/methods"), { body }))).toBe(
    "404 ModuleNotFound module.not_found",
  );
});

test("a caller that goes away ends its method call; a hub that stops says so", async () => {
  const { call, identities, methods, clock } = await createRestWorld();
  await identities.create(writeOf(device("d")));
  const body = { methodName: "m", connectTimeoutInSeconds: 60 };
  for (const [reason, face] of [
    [undefined, "500 ServerError hub.internal"],
    [(await import("@hubwire/protocol")).IotError, "503 ServiceUnavailable hub.stopping"],
  ] as const) {
    const leaving = new AbortController();
    const asked = call("POST", at("/twins/d/methods"), { body, signal: leaving.signal });
    await clock.settle();
    leaving.abort(reason && new reason("hub.stopping", "The hub is stopping"));
    expect(faceOf(await asked)).toBe(face);
    expect(methods.inFlight).toBe(0);
  }
});

// ---- What every route refuses ----

const target = (path: string, query = version): string =>
  `${path.replace("{deviceId}", "d").replace("{moduleId}", "m")}?${query}`;

test.each([
  ["missing", ""],
  ["unknown", "api-version=2011-01-01"],
  ["empty", "api-version="],
])("an api-version that is %s is refused on every route", async (_word, query) => {
  const { call } = await createRestWorld();
  for (const route of restRoutes) {
    const response = await call(route.method, target(route.path, query), { body: {} });
    expect(faceOf(response)).toBe("400 InvalidProtocolVersion request.api_version");
  }
});

test.each(["2018-06-30", "2020-09-30", "2021-04-12", "2024-03-31"])(
  "api-version %s is served",
  async (accepted) => {
    const { call } = await createRestWorld();
    expect((await call("GET", `/devices?api-version=${accepted}`)).status).toBe(200);
  },
);

test("every route needs its permission, and the refusal names the exact reason", async () => {
  const { call, token, log } = await createRestWorld();
  const withPolicy = {
    RegistryRead: "registryRead",
    RegistryWrite: "registryReadWrite",
    ServiceConnect: "service",
    DeviceConnect: "device",
  };
  for (const route of restRoutes) {
    const asked = (authorization: string) =>
      call(route.method, target(route.path), { authorization, body: {} });
    expect(faceOf(await asked(""))).toBe("401 IotHubUnauthorized auth.missing_authorization");
    const wrong = await token(
      route.permission === "ServiceConnect" ? "registryReadWrite" : "service",
    );
    expect(faceOf(await asked(wrong))).toBe("401 IotHubUnauthorizedAccess auth.policy_permission");
    const right = await asked(await token(withPolicy[route.permission]));
    expect(right.status, route.name).not.toBe(401);
  }
  expect(log.filter((line) => line.message === "REST call refused")).toHaveLength(
    2 * restRoutes.length,
  );
});

test("each failing check of a token has its own reason, and the log line holds no token", async () => {
  const { call, token, log, clock } = await createRestWorld();
  const cases: [string, string][] = [
    ["Bearer x", "auth.token_malformed"],
    [await token("iothubowner", { expiresAtS: clock.wallMs() / 1000 - 301 }), "auth.token_expired"],
    [
      await token("iothubowner", { key: Buffer.alloc(32).toString("base64") }),
      "auth.token_signature",
    ],
    [await token("nobody"), "auth.policy_unknown"],
    [(await token("iothubowner")).replace(/sr=[^&]+/, "sr=other.test"), "auth.token_scope"],
  ];
  for (const [authorization, code] of cases) {
    const response = await call("GET", at("/devices/d"), { authorization });
    expect([response.status, response.headers["hubwire-errorcode"]]).toEqual([401, code]);
    expect(log.at(-1)?.facts).toMatchObject({ code, path: "/devices/d", method: "GET" });
    const signature = /sig=([^&]+)/.exec(authorization)?.[1] ?? "Bearer x";
    expect(JSON.stringify([log.at(-1), response.body])).not.toContain(signature);
  }
});

test.each([
  ["GET", "/nothing", "404 GenericNotFound route.not_found"],
  ["GET", "/", "404 GenericNotFound route.not_found"],
  ["GET", "/devices/a/b/c/d", "404 GenericNotFound route.not_found"],
  ["HEAD", "/devices/d", "405 GenericMethodNotAllowed route.method_not_allowed"],
  ["POST", "/devices/d", "405 GenericMethodNotAllowed route.method_not_allowed"],
  ["OPTIONS", "/devices", "405 GenericMethodNotAllowed route.method_not_allowed"],
  ["GET", "/devices/%", "400 GenericBadRequest request.malformed"],
  ["GET", "/devices/%ff", "400 GenericBadRequest request.malformed"],
  ["GET", "/devices?x=%zz", "400 GenericBadRequest request.malformed"],
  ["GET", "https://hub.test/devices", "400 GenericBadRequest request.malformed"],
  ["OPTIONS", "*", "400 GenericBadRequest request.malformed"],
])("%s %s is answered %s", async (method, path, face) => {
  const { call } = await createRestWorld();
  expect(faceOf(await call(method, path))).toBe(face);
});

test("405 tells what the address takes", async () => {
  const { call } = await createRestWorld();
  const { headers } = await call("POST", at("/devices/d"));
  expect(headers["allow"]).toBe("GET, PUT, DELETE");
});

const typed: [contentType: string, status: number][] = [
  ["application/json", 200],
  ["application/json; charset=utf-8", 200],
  ["Application/JSON;charset=UTF-8", 200],
  ["", 200],
  ["text/plain", 415],
  ["application/x-www-form-urlencoded", 415],
  ["application/json; charset=latin1", 415],
];

test.each(typed)("a body of type %j is answered %d", async (contentType, status) => {
  const { call } = await createRestWorld();
  const headers = { "content-type": contentType };
  expect((await call("PUT", at("/devices/d"), { body: {}, headers })).status).toBe(status);
});

test.each([
  ["", "400 ArgumentInvalid json.malformed"],
  ["{", "400 ArgumentInvalid json.malformed"],
  ['{"a":1}x', "400 ArgumentInvalid json.malformed"],
  ["[".repeat(10_000), "400 ArgumentInvalid json.too_deep"],
  [`{"x":"${"y".repeat(70_000)}"}`, "413 GenericRequestEntityTooLarge request.too_large"],
])("a body like %.20j is refused", async (text, face) => {
  const { call } = await createRestWorld();
  expect(faceOf(await call("PUT", at("/devices/d"), { text }))).toBe(face);
});

test("a store that fails is 503, and what nobody foresaw is 500 without details", async () => {
  const world = await createRestWorld();
  world.faults.next = () => "reject";
  expect(faceOf(await world.call("GET", at("/devices/d")))).toBe(
    "503 ServiceUnavailable store.unavailable",
  );
  const broken = await createRestWorld({
    twins: {
      read: () => Promise.reject(new TypeError("secret detail")),
      patch: () => Promise.reject(new TypeError()),
      replace: () => Promise.reject(new TypeError()),
    },
  });
  const response = await broken.call("GET", at("/twins/d"));
  expect(faceOf(response)).toBe("500 ServerError hub.internal");
  expect(response.body).not.toContain("secret detail");
  expect(broken.log).toMatchObject([{ level: "error", facts: { requestId: "request-1" } }]);
});
