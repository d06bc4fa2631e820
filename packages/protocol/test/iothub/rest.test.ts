import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/rest-routes.json" with { type: "json" };
import { describe as describeCode } from "../../src/errors/iot-error.ts";
import {
  builtInPolicies,
  formatErrorEnvelope,
  hubErrorCodes,
  isAcceptedApiVersion,
  isPermitted,
  matchRoute,
  restRoutes,
} from "../../src/iothub/index.ts";
import type { RouteMatch } from "../../src/iothub/index.ts";
import "../long-runs.ts";

describe("routes", () => {
  test.each(vectors.match)("$method $target is $name ($source)", (vector) => {
    const match = matchRoute(vector.method, vector.target) as RouteMatch;
    expect(match.route?.name).toBe(vector.name);
    const { deviceId, moduleId, lockToken = "" } = vector;
    expect(match.params).toEqual({ deviceId, moduleId, lockToken });
    expect(Object.entries(match.query)).toEqual(Object.entries(vector.query));
  });

  test("object member names are ids and query members like any other", () => {
    const match = matchRoute("GET", "/devices/__proto__?__proto__=1&toString=2") as RouteMatch;
    expect(match.params.deviceId).toBe("__proto__");
    expect(Object.entries(match.query)).toEqual([
      ["__proto__", "1"],
      ["toString", "2"],
    ]);
    expect(match.query["constructor"]).toBeUndefined();
  });

  test.each(vectors.mismatch)("$method $target is $error", ({ method, target, ...expected }) => {
    const { source, ...face } = expected;
    expect(matchRoute(method, target), source).toMatchObject(face);
  });

  test("every route has a vector", () => {
    const seen = new Set(vectors.match.map((vector) => vector.name));
    expect(restRoutes.map((route) => route.name).filter((name) => !seen.has(name))).toEqual([]);
  });

  test("any id reaches its handler as it was meant", () => {
    const id = fc.string({ unit: "grapheme", minLength: 1 });
    fc.assert(
      fc.property(id, id, (deviceId, moduleId) => {
        const target = `/twins/${encodeURIComponent(deviceId)}/modules/${encodeURIComponent(moduleId)}/methods?api-version=2021-04-12`;
        const match = matchRoute("POST", target) as RouteMatch;
        expect(match.params).toEqual({ deviceId, moduleId, lockToken: "" });
        expect(match.segments).toEqual(["twins", deviceId, "modules", moduleId, "methods"]);
      }),
    );
  });

  test("no request target makes the matcher throw", () => {
    const anything = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(anything, anything, (method, target) => {
        matchRoute(method, target);
        matchRoute("GET", `/${target}`);
        expect(matchRoute("GET", `/${"a".repeat(9000)}`)).toMatchObject({ error: "malformed" });
      }),
    );
  });

  test.each([
    ["2021-04-12", true],
    ["2020-05-31-preview", true],
    ["2020-05-31-PREVIEW", true],
    ["1999-01-01", false],
    ["", false],
    [undefined, false],
  ])("api-version %s accepted: %s", (version, good) => {
    expect(isAcceptedApiVersion(version)).toBe(good);
  });
});

describe("policies", () => {
  const may = (name: string, needed: Parameters<typeof isPermitted>[1]): boolean =>
    isPermitted(builtInPolicies.find((policy) => policy.name === name)?.permissions ?? [], needed);

  test("iothubowner may do everything, the others what their names say", () => {
    expect(may("iothubowner", "RegistryWrite") && may("iothubowner", "DeviceConnect")).toBe(true);
    expect(may("service", "ServiceConnect")).toBe(true);
    expect(may("service", "RegistryRead")).toBe(false);
    expect(may("device", "ServiceConnect")).toBe(false);
    expect(may("registryRead", "RegistryWrite")).toBe(false);
  });

  test("writing the registry includes reading it", () => {
    expect(isPermitted(["RegistryWrite"], "RegistryRead")).toBe(true);
    expect(isPermitted([], "RegistryRead")).toBe(false);
  });
});

describe("error envelopes", () => {
  const at = Date.UTC(2017, 3, 19, 13, 29, 0);
  const parse = (body: string): Record<string, unknown> =>
    JSON.parse(body) as Record<string, unknown>;

  test("form A has the name every SDK looks for", () => {
    const envelope = formatErrorEnvelope("device.not_found", "no dev1", "abc", at);
    expect(envelope).toMatchObject({
      status: 404,
      code: 404001,
      name: "DeviceNotFound",
      headers: { "iothub-errorcode": "DeviceNotFound" },
    });
    expect(parse(envelope.body)).toEqual({
      Message: "ErrorCode:DeviceNotFound;no dev1",
      ExceptionMessage: "Tracking ID:abc-TimeStamp:04/19/2017 13:29:00",
    });
  });

  test("form B has the number, as twin answers over MQTT need", () => {
    const envelope = formatErrorEnvelope("twin.bad_key", "a.b", "abc", at, "B");
    expect(parse(envelope.body)).toEqual({
      errorCode: 400004,
      message: "a.b",
      trackingId: "abc",
      timestampUtc: "2017-04-19T13:29:00.0000000Z",
      info: null,
    });
  });

  test("form C wraps B into text", () => {
    const info = { timeout: "00:00:00" };
    const envelope = formatErrorEnvelope("device.not_online", "off", "abc", at, "C", info);
    const outer = parse(envelope.body);
    expect(outer["ExceptionMessage"]).toBe("");
    expect(parse(String(outer["Message"]))).toMatchObject({ errorCode: 404103, info });
  });

  test("a code without a face on HTTP is the hub's own trouble", () => {
    const envelope = formatErrorEnvelope("client.closed", "oops", "abc", at);
    expect(envelope).toMatchObject({ status: 500, code: 500001, name: "ServerError" });
    expect(describeCode("client.closed").http).toBeUndefined();
  });

  test("each number begins with an HTTP status and has a name", () => {
    for (const [code, name] of Object.entries(hubErrorCodes)) {
      expect(code).toMatch(/^[45]\d{5}$/);
      expect(name).toMatch(/^[A-Z][A-Za-z]+$/);
    }
  });
});
