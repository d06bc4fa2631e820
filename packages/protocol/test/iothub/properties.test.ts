import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/property-bag.json" with { type: "json" };
import {
  formatC2dProperties,
  formatD2cProperties,
  formatPropertyBag,
  parseC2dProperties,
  parseD2cProperties,
  parsePropertyBag,
  systemProperties,
  systemPropertyByWire,
  telemetryMessageSize,
} from "../../src/iothub/index.ts";
import type { MessagePropertiesInput, PropertyBag, SystemProperties } from "../../src/index.ts";
import { iotErrorOf, valueOrIotError } from "../expect-iot-error.ts";
import "../long-runs.ts";

const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });
const value = fc.string({ unit: "grapheme", maxLength: 20 });
const applicationName = name.filter((text) => !systemPropertyByWire.has(text));

describe("a property bag", () => {
  test.each(vectors.parse)("is read: $name", ({ text, bag }) => {
    expect(parsePropertyBag(text)).toEqual(bag);
  });

  test.each(vectors.invalid)("%j is refused", (text) => {
    iotErrorOf(() => parsePropertyBag(text), "topic.bad_property_bag");
  });

  test.each(vectors.format)("is written: $name", ({ bag, text }) => {
    expect(formatPropertyBag(bag as unknown as PropertyBag)).toBe(text);
  });

  test("any bag comes back", () => {
    const bag = fc.array(fc.tuple(name, fc.option(value)), { maxLength: 8 });
    fc.assert(
      fc.property(bag, (pairs) => {
        expect(parsePropertyBag(formatPropertyBag(pairs))).toEqual(pairs);
      }),
    );
  });

  test("what is written has no character that a topic or an SDK would trip over", () => {
    fc.assert(
      fc.property(name, value, (key, text) => {
        expect(formatPropertyBag([[key, text]])).toMatch(/^[A-Za-z0-9\-._~%]+=[A-Za-z0-9\-._~%]*$/);
      }),
    );
  });

  test("a name that is empty and text that has no UTF-8 form are refused", () => {
    iotErrorOf(() => formatPropertyBag([["", "x"]]), "topic.bad_property");
    iotErrorOf(() => formatPropertyBag([["x", "\udc00"]]), "topic.bad_property");
  });

  test("any text is read or refused with an IotError", () => {
    const piece = fc.constantFrom(
      "a",
      "=",
      "&",
      "%",
      "%41",
      "%C3",
      "%A4",
      "/",
      "?",
      "$.mid",
      "%24",
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 16 }).map((pieces) => pieces.join("")),
      fc.string({ unit: "binary" }),
    );
    fc.assert(
      fc.property(text, (any) => {
        valueOrIotError(() => parseD2cProperties(any));
        valueOrIotError(() => parseC2dProperties(any));
      }),
    );
  });
});

describe("telemetry properties", () => {
  test.each(vectors.d2c)("are read: $name", ({ text, system, application }) => {
    const read = parseD2cProperties(text);
    expect(read.system).toEqual(system);
    expect({ ...read.application }).toEqual(application);
  });

  test("any properties come back", () => {
    const system = fc.record(
      Object.fromEntries(
        systemProperties.filter((entry) => "d2c" in entry).map((entry) => [entry.name, value]),
      ),
      { requiredKeys: [] },
    ) as fc.Arbitrary<SystemProperties>;
    const application = fc.dictionary(applicationName, value, { maxKeys: 6 });
    fc.assert(
      fc.property(system, application, (sys, app) => {
        const read = parseD2cProperties(formatD2cProperties({ system: sys, application: app }));
        expect({ ...read.system }).toEqual({ ...sys });
        expect({ ...read.application }).toEqual({ ...app });
      }),
    );
  });

  test("nothing to say is an empty bag", () => {
    expect(formatD2cProperties({})).toBe("");
  });

  test("object member names are properties like any other", () => {
    const read = parseD2cProperties("__proto__=1&constructor=2&toString=3");
    expect(Object.keys(read.application)).toEqual(["__proto__", "constructor", "toString"]);
    expect(Object.getPrototypeOf(read.application)).toBeNull();
    expect(read.application["valueOf"]).toBeUndefined();
    expect(formatD2cProperties(read)).toBe("__proto__=1&constructor=2&toString=3");
  });

  test.each<[string, MessagePropertiesInput, string]>([
    ["a wire name", { application: { "$.mid": "1" } }, "topic.reserved_property"],
    ["ack, which services ask for", { system: { ack: "full" } }, "topic.reserved_property"],
    ["an id only hubs set", { system: { connectionDeviceId: "d" } }, "topic.reserved_property"],
    ["an empty name", { application: { "": "1" } }, "topic.bad_property"],
    ["a number", { application: { a: 1 as unknown as string } }, "topic.bad_property"],
  ])("%s is refused", (_, properties, code) => {
    iotErrorOf(() => formatD2cProperties(properties), code);
  });
});

describe("cloud-to-device properties", () => {
  test.each(vectors.c2d)("are read: $name", ({ text, system, application, formatted }) => {
    const read = parseC2dProperties(text);
    expect(read.system).toEqual(system);
    expect({ ...read.application }).toEqual(application);
    if (formatted === true) expect(formatC2dProperties({ deviceId: "dev1" }, read)).toBe(text);
  });

  test("the address is always there, the system properties come first and all spell %24.", () => {
    const bag = formatC2dProperties(
      { deviceId: "d#1", moduleId: "m" },
      { system: { correlationId: "c", ack: "full" }, application: { z: "1", a: "" } },
    );
    expect(bag).toBe(
      "%24.to=%2Fdevices%2Fd%231%2Fmodules%2Fm%2Fmessages%2FdeviceBound&%24.cid=c&iothub-ack=full&z=1&a=",
    );
  });

  test("what services cannot set is refused when the message is accepted", () => {
    const identity = { deviceId: "d" };
    iotErrorOf(
      () => formatC2dProperties(identity, { system: { componentName: "c" } }),
      "topic.reserved_property",
    );
    iotErrorOf(
      () => formatC2dProperties(identity, { application: { "iothub-ack": "full" } }),
      "topic.reserved_property",
    );
  });

  test("any properties come back", () => {
    const application = fc.dictionary(applicationName, value, { maxKeys: 6 });
    fc.assert(
      fc.property(application, value, (app, messageId) => {
        const read = parseC2dProperties(
          formatC2dProperties({ deviceId: "d" }, { system: { messageId }, application: app }),
        );
        expect(read.system).toEqual({ messageId, to: "/devices/d/messages/deviceBound" });
        expect({ ...read.application }).toEqual({ ...app });
      }),
    );
  });
});

test("the table of system properties names each thing once", () => {
  for (const column of ["name", "wire"] as const) {
    const names = systemProperties.map((entry) => entry[column]);
    expect(new Set(names).size).toBe(names.length);
  }
});

test("a message counts its body, system values, application names and values, as UTF-8", () => {
  const properties = {
    system: { messageId: "m1", contentType: "äö" },
    application: { k: "€", l: "" },
  };
  expect(telemetryMessageSize(100, properties)).toBe(100 + 2 + 4 + 1 + 3 + 1);
  expect(telemetryMessageSize(7)).toBe(7);
});
