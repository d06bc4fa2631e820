import { expect, test } from "vitest";
import { createRestWorld, faceOf, jsonOf } from "./rest-world.ts";

test("health needs no token; readiness tells why not", async () => {
  const { call, state, stopping } = await createRestWorld();
  const anonymous = { authorization: "" };
  expect(jsonOf(await call("GET", "/healthz", anonymous))).toEqual({ status: "ok" });
  expect(jsonOf(await call("GET", "/readyz?x=1", anonymous))).toEqual({ status: "ready" });
  state.unready = "documents: the disk is full";
  const unready = await call("GET", "/readyz", anonymous);
  expect([unready.status, jsonOf(unready)]).toEqual([
    503,
    { status: "not ready", reason: "documents: the disk is full" },
  ]);
  state.unready = undefined;
  stopping.abort();
  expect((await call("GET", "/readyz", anonymous)).status).toBe(503);
  expect((await call("HEAD", "/healthz", anonymous)).status).toBe(200);
});

test("the OpenAPI document is there for everybody", async () => {
  const { call } = await createRestWorld();
  const response = await call("GET", "/openapi.json", { authorization: "" });
  expect(response.status).toBe(200);
  expect(response.headers["content-type"]).toBe("application/json; charset=utf-8");
  expect(jsonOf(response)).toMatchObject({ openapi: "3.1.0", info: { version: "2021-04-12" } });
  const posted = await call("POST", "/openapi.json", { authorization: "" });
  expect(faceOf(posted)).toBe("405 GenericMethodNotAllowed route.method_not_allowed");
});

test("metrics are for this machine, or for ServiceConnect", async () => {
  const { call, token } = await createRestWorld();
  const local = await call("GET", "/metrics", { authorization: "", isLoopback: true });
  expect(local.body).toContain("hubwire_connections 0");
  expect(local.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  const far = await call("GET", "/metrics", { authorization: "" });
  expect(faceOf(far)).toBe("401 IotHubUnauthorized auth.missing_authorization");
  const wrong = await call("GET", "/metrics", { authorization: await token("registryRead") });
  expect(faceOf(wrong)).toBe("401 IotHubUnauthorizedAccess auth.policy_permission");
  const right = await call("GET", "/metrics", { authorization: await token("service") });
  expect(right.status).toBe(200);
});

test.each([
  ["GET", "/hubwire/", "404 GenericNotFound route.not_found"],
  ["GET", "/hubwire/events", "404 GenericNotFound route.not_found"],
  ["POST", "/hubwire/devices/d/messages", "404 GenericNotFound route.not_found"],
  ["POST", "/healthz", "405 GenericMethodNotAllowed route.method_not_allowed"],
  ["GET", "/hubwire/%", "400 GenericBadRequest request.malformed"],
])("%s %s is answered %s", async (method, path, face) => {
  const { call } = await createRestWorld();
  expect(faceOf(await call(method, path))).toBe(face);
});
