import fc from "fast-check";
import { absentRoutes, restRoutes } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { createRestWorld, hostName } from "./rest-world.ts";
import { device, module, writeOf } from "./world.ts";

const runs = Number(process.env["HUBWIRE_LONG"] === "1" ? 50_000 : 400);

const anyId = fc.oneof(
  fc.constantFrom("d", "x", ".", "..", "$edgeAgent", "__proto__", "a".repeat(200)),
  fc.string({ maxLength: 20 }),
);
const paths = [
  ...new Set([...restRoutes, ...absentRoutes].map((route) => route.path)),
  "/hubwire/certificates",
  "/openapi.json",
  "/healthz",
  "/readyz",
  "/metrics",
  "/",
  "",
];
const anyPath = fc
  .record({ path: fc.constantFrom(...paths), deviceId: anyId, moduleId: anyId, raw: fc.boolean() })
  .map(({ path, deviceId, moduleId, raw }) => {
    const encode = (id: string): string => (raw ? id : encodeURIComponent(id));
    return path
      .replace("{deviceId}", () => encode(deviceId))
      .replace("{moduleId}", () => encode(moduleId));
  });
const anyQuery = fc.oneof(
  fc.constant("api-version=2021-04-12"),
  fc.constantFrom("", "api-version=", "api-version=2021-04-12&top=-1", "%"),
  fc.string({ maxLength: 30 }),
);
const knownBodies = [
  '{"deviceId":"d","status":"enabled"}',
  '{"authentication":{"type":"sas","symmetricKey":{"primaryKey":"","secondaryKey":""}}}',
  '{"tags":{"a":1},"properties":{"desired":{"b":null}}}',
  '{"methodName":"m","payload":1,"responseTimeoutInSeconds":5}',
  '{"query":"SELECT * FROM devices"}',
  '[{"id":"e","importMode":"update"},{"id":"d","importMode":"Delete","eTag":"x"}]',
];
const anyBody = fc.oneof(
  fc.constantFrom(...knownBodies, "", "{}", "[]", "null", "{", '{"__proto__":{"x":1}}'),
  fc.json({ maxDepth: 4 }),
  fc.string({ maxLength: 50 }),
);
const anyMethod = fc.oneof(
  fc.constantFrom("GET", "PUT", "PATCH", "POST", "DELETE"),
  fc.constantFrom("HEAD", "OPTIONS", "TRACE", "CONNECT", "QUERY", "get", ""),
);
const anyHeaders = fc.record(
  {
    "content-type": fc.constantFrom("application/json", "text/plain", "", ";;;"),
    "if-match": fc.constantFrom("*", '"*"', '"x"', '"', "", "W/"),
    "content-length": fc.constantFrom("0", "-1", "x"),
  },
  { requiredKeys: [] },
);

const knownNames = /^[A-Z]\w+$/;

test("whatever is asked, the answer is one of Azure's and the hub stays as it was", async () => {
  const world = await createRestWorld();
  const { call, identities, stores } = world;
  await identities.create(writeOf(device("d")));
  await identities.create(writeOf(module("d", "m")));
  await fc.assert(
    fc.asyncProperty(
      anyMethod,
      anyPath,
      anyQuery,
      anyBody,
      anyHeaders,
      fc.constantFrom(
        undefined,
        "",
        "SharedAccessSignature ",
        `SharedAccessSignature sr=${hostName}&sig=x&se=1&skn=iothubowner`,
      ),
      async (method, path, query, text, headers, authorization) => {
        const before = JSON.stringify(await stores.documents.list("identities", { limit: 100 }));
        const response = await call(method, query === "" ? path : `${path}?${query}`, {
          text,
          headers,
          ...(authorization === undefined ? {} : { authorization }),
        });
        expect(response.headers["x-ms-request-id"]).toMatch(/^request-\d+$/);
        if (response.status >= 400 && !path.startsWith("/readyz")) {
          expect(response.headers["iothub-errorcode"]).toMatch(knownNames);
          const body = JSON.parse(response.body ?? "") as object;
          expect("Message" in body || "errorCode" in body).toBe(true);
          expect(response.headers["hubwire-errorcode"]).not.toBe("hub.internal");
        }
        expect([200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 413, 415]).toContain(
          response.status,
        );
        // Of a bulk operation some may be done and some not.
        const isPartial = response.headers["hubwire-errorcode"] === "request.bulk_failed";
        if (authorization !== undefined || (response.status >= 400 && !isPartial)) {
          const after = JSON.stringify(await stores.documents.list("identities", { limit: 100 }));
          expect(after).toBe(before);
        }
      },
    ),
    { numRuns: runs },
  );
  expect(world.log.filter((line) => line.level === "error")).toEqual([]);
  expect(({} as { x?: unknown }).x).toBeUndefined();
});
