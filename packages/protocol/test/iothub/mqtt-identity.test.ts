import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/mqtt-username.json" with { type: "json" };
import {
  formatClientId,
  formatMqttUsername,
  isDeviceId,
  isModuleId,
  isSystemModuleId,
  parseClientId,
  parseMqttUsername,
  sameIdentity,
} from "../../src/iothub/index.ts";
import { iotErrorOf, valueOrIotError } from "../expect-iot-error.ts";
import "../long-runs.ts";

describe("the MQTT user name", () => {
  test.each(vectors.valid)("is read: $name", ({ text, parsed }) => {
    expect(parseMqttUsername(text)).toEqual(parsed);
  });

  test.each(vectors.invalid)("%j is refused", (text) => {
    iotErrorOf(() => parseMqttUsername(text), "auth.username_malformed");
  });

  test("is written in the documented form", () => {
    const device = { hostName: "h", deviceId: "d" };
    expect(formatMqttUsername(device)).toBe("h/d/?api-version=2021-04-12");
    expect(
      formatMqttUsername({
        ...device,
        moduleId: "m",
        apiVersion: "2020-09-30",
        modelId: "dtmi:com:example:Thermostat;1",
        clientType: "hubwire/1 (x)",
      }),
    ).toBe(
      "h/d/m/?api-version=2020-09-30&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1&DeviceClientType=hubwire%2F1%20%28x%29",
    );
  });

  test("text without a UTF-8 form is the caller's mistake", () => {
    const bad = { hostName: "h", deviceId: "d", clientType: "\ud800" };
    iotErrorOf(() => formatMqttUsername(bad), "argument.invalid");
  });

  test("any identity comes back, whatever its ids look like", () => {
    const id = fc.stringMatching(/^[A-Za-z0-9\-.+%_#*?!(),:=@']{1,30}$/);
    const text = fc.string({ unit: "grapheme", minLength: 1 });
    fc.assert(
      fc.property(id, fc.option(id, { nil: undefined }), text, (deviceId, moduleId, clientType) => {
        const parsed = parseMqttUsername(
          formatMqttUsername({ hostName: "h:1", deviceId, moduleId, clientType }),
        );
        expect(sameIdentity(parsed, { deviceId, moduleId })).toBe(true);
        expect(parsed).toMatchObject({ hostName: "h:1", clientType, apiVersion: "2021-04-12" });
      }),
    );
  });

  test("any text is parsed or refused with an IotError", () => {
    const piece = fc.constantFrom("h", "/", "?", "api-version=", "&", "d", "%", "model-id=", "=");
    const text = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(text, (any) => {
        valueOrIotError(() => parseMqttUsername(any));
        valueOrIotError(() => parseClientId(any));
      }),
    );
  });
});

describe("the client id", () => {
  test.each([
    ["dev1", { deviceId: "dev1" }],
    ["dev1/mod1", { deviceId: "dev1", moduleId: "mod1" }],
    ["dev1/$edgeAgent", { deviceId: "dev1", moduleId: "$edgeAgent" }],
  ])("%s is read and written", (text, identity) => {
    expect(parseClientId(text)).toEqual(identity);
    expect(formatClientId(identity)).toBe(text);
  });

  test("empty has a code of its own: MQTT answers it differently", () => {
    iotErrorOf(() => parseClientId(""), "auth.client_id_empty");
  });

  test.each(["a/b/c", "/m", "d/", "a b", "d/$x", "ä"])("%j is refused", (text) => {
    iotErrorOf(() => parseClientId(text), "auth.client_id_malformed");
  });
});

describe("ids", () => {
  test.each([
    ["a", true],
    ["Az09-.+%_#*?!(),:=@$'", true],
    ["$dev", true],
    ["a".repeat(128), true],
    ["a".repeat(129), false],
    ["", false],
    ["a b", false],
    ["a/b", false],
    ["a\n", false],
    ["ä", false],
    ["a;b", false],
  ])("%j as device id: %s", (text, good) => {
    expect(isDeviceId(text)).toBe(good);
  });

  test("modules begin with no dollar, but for the two of an edge device", () => {
    expect([isModuleId("m"), isModuleId("$m"), isModuleId("$edgeHub")]).toEqual([
      true,
      false,
      false,
    ]);
    expect([isSystemModuleId("$edgeHub"), isSystemModuleId("$m")]).toEqual([true, false]);
  });
});
