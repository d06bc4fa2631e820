import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  applyDesiredPatch,
  applyReportedPatch,
  applyTagsPatch,
  applyTwinPatch,
  freshTwin,
  replaceDesired,
  replaceTags,
  replaceTwin,
  twinEtag,
  twinForDevice,
  twinForService,
  twinSize,
  twinTimestamp,
} from "../../src/twin/index.ts";
import type { JsonObject, TwinDocument } from "../../src/twin/index.ts";
import { iotErrorOf } from "../expect-iot-error.ts";
import "../long-runs.ts";

const created = twinTimestamp(Date.UTC(2024, 4, 1, 9, 59));
const later = twinTimestamp(Date.UTC(2024, 4, 1, 10, 0, 0, 123));
const fresh = freshTwin(created);
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const facts = {
  deviceId: "dev1",
  deviceEtag: "ODAxMjMyNDI2",
  status: "enabled",
  statusUpdateTime: "0001-01-01T00:00:00Z",
  connectionState: "Disconnected",
  lastActivityTime: "0001-01-01T00:00:00Z",
  cloudToDeviceMessageCount: 0,
  authenticationType: "sas",
  x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
} as const;

test("timestamps have seven fractional digits", () => {
  expect(later).toBe("2024-05-01T10:00:00.1230000Z");
});

describe("a fresh twin", () => {
  test("has version 2, sections at 1 and the first etag", () => {
    expect([fresh.version, fresh.desired.version, fresh.reported.version]).toEqual([2, 1, 1]);
    expect(twinEtag(fresh)).toBe("AAAAAAAAAAE=");
  });

  test("is what a device reads", () => {
    expect(plain(twinForDevice(fresh))).toEqual({
      desired: { $version: 1 },
      reported: { $version: 1 },
    });
  });
});

describe("the whole twin", () => {
  test("has the shape and the order of the service's own answer", () => {
    const twin = applyTwinPatch(
      fresh,
      { tags: { building: "43" }, properties: { desired: { config: { sendFrequency: "5m" } } } },
      later,
    ).twin;
    const stamp = { $lastUpdated: later, $lastUpdatedVersion: 2 };
    expect(JSON.stringify(twinForService(twin, facts))).toBe(
      JSON.stringify({
        deviceId: "dev1",
        etag: "AAAAAAAAAAI=",
        deviceEtag: "ODAxMjMyNDI2",
        status: "enabled",
        statusUpdateTime: "0001-01-01T00:00:00Z",
        connectionState: "Disconnected",
        lastActivityTime: "0001-01-01T00:00:00Z",
        cloudToDeviceMessageCount: 0,
        authenticationType: "sas",
        x509Thumbprint: { primaryThumbprint: null, secondaryThumbprint: null },
        modelId: "",
        version: 3,
        tags: { building: "43" },
        properties: {
          desired: {
            config: { sendFrequency: "5m" },
            $metadata: { ...stamp, config: { ...stamp, sendFrequency: stamp } },
            $version: 2,
          },
          reported: { $metadata: { $lastUpdated: created }, $version: 1 },
        },
        capabilities: { iotEdge: false },
      }),
    );
  });

  test("a module's twin names the module; what is set optionally is there only when set", () => {
    const whole = twinForService(fresh, {
      ...facts,
      moduleId: "m",
      statusReason: "broken",
      modelId: "dtmi:x;1",
      iotEdge: true,
      deviceScope: "ms-azure-iot-edge://e-1",
      parentScopes: ["ms-azure-iot-edge://p-1"],
    });
    expect(whole).toMatchObject({
      moduleId: "m",
      statusReason: "broken",
      modelId: "dtmi:x;1",
      capabilities: { iotEdge: true },
      parentScopes: ["ms-azure-iot-edge://p-1"],
    });
  });
});

describe("reported properties", () => {
  test("merge, count up, leave desired, tags and etag alone", () => {
    const one = applyReportedPatch(fresh, { a: { b: 1, c: 2 } }, later);
    const two = applyReportedPatch(one, { a: { b: null } }, later);
    expect(plain(twinForDevice(two))).toEqual({
      desired: { $version: 1 },
      reported: { a: { c: 2 }, $version: 3 },
    });
    expect(two.version).toBe(4);
    expect(twinEtag(two)).toBe(twinEtag(fresh));
    expect(plain(two.reported.metadata)).toEqual({
      $lastUpdated: later,
      a: { $lastUpdated: later, c: { $lastUpdated: later } },
    });
  });

  test("metadata: what the patch names is stamped anew, down from the root; the rest keeps its time", () => {
    const first = applyReportedPatch(fresh, { a: { b: 1 }, d: 1 }, created);
    const second = applyReportedPatch(first, { a: { c: [1, { x: 1 }] } }, later);
    expect(plain(second.reported.metadata)).toEqual({
      $lastUpdated: later,
      a: { $lastUpdated: later, b: { $lastUpdated: created }, c: { $lastUpdated: later } },
      d: { $lastUpdated: created },
    });
  });

  test("an object that replaces a scalar has fresh metadata, and the other way round", () => {
    const scalar = applyReportedPatch(fresh, { a: 1 }, created);
    const object = applyReportedPatch(scalar, { a: { b: 1 } }, later);
    expect(plain(object.reported.metadata)).toMatchObject({ a: { b: { $lastUpdated: later } } });
    const back = applyReportedPatch(object, { a: 2 }, later);
    expect(plain(back.reported.metadata)).toEqual({
      $lastUpdated: later,
      a: { $lastUpdated: later },
    });
  });

  test("a base version that is not the current one is refused, the current one accepted", () => {
    iotErrorOf(() => applyReportedPatch(fresh, {}, later, 2), "twin.version_mismatch");
    expect(applyReportedPatch(fresh, {}, later, 1).reported.version).toBe(2);
  });

  test("a patch that changes nothing counts", () => {
    expect(applyReportedPatch(fresh, {}, later).reported.version).toBe(2);
  });

  test("the limit is on the result, not on the patch", () => {
    const chunk = "x".repeat(4000);
    let twin = fresh;
    for (let i = 0; i < 8; i++) twin = applyReportedPatch(twin, { [`k${i}`]: chunk }, later);
    expect(twinSize(twin.reported.properties)).toBe(8 * 4002);
    const error = iotErrorOf(
      () => applyReportedPatch(twin, { k8: chunk }, later),
      "twin.too_large",
    );
    expect(error.message).toContain("32768");
    const room = 32_768 - 8 * 4002;
    expect(() => applyReportedPatch(twin, { z: "y".repeat(room - 1) }, later)).not.toThrow();
    iotErrorOf(() => applyReportedPatch(twin, { z: "y".repeat(room) }, later), "twin.too_large");
    expect(() => applyReportedPatch(twin, { k8: chunk, k0: null }, later)).not.toThrow();
  });
});

describe("what services write", () => {
  test("tags and desired in one body are one version and one etag", () => {
    const { twin } = applyTwinPatch(fresh, { tags: { a: 1 }, properties: { desired: {} } }, later);
    expect([twin.version, twin.etagCounter, twin.desired.version]).toEqual([3, 2, 2]);
  });

  test("the device is told the patch as it was applied, nulls and $version included", () => {
    const one = applyDesiredPatch(fresh, { a: 1, b: { c: 1 } }, later);
    const { desiredNotification, tagsChanged } = applyTwinPatch(
      one,
      { properties: { desired: { a: null, b: { c: null, d: 2 }, $version: 99 } } },
      later,
    );
    expect(plain(desiredNotification)).toEqual({ a: null, b: { c: null, d: 2 }, $version: 3 });
    expect(tagsChanged).toBe(false);
  });

  test("a replacement is told whole", () => {
    const one = applyDesiredPatch(fresh, { a: 1, b: 2 }, later);
    const write = replaceTwin(one, { properties: { desired: { b: 3, n: null } } }, later);
    expect(plain(write.desiredNotification)).toEqual({ b: 3, $version: 3 });
    expect(plain(write.twin.desired.properties)).toEqual({ b: 3 });
    expect(plain(write.twin.desired.metadata)).toEqual({
      $lastUpdated: later,
      $lastUpdatedVersion: 3,
      b: { $lastUpdated: later, $lastUpdatedVersion: 3 },
    });
  });

  test("tags alone tell the device nothing", () => {
    const write = applyTwinPatch(fresh, { tags: { a: { b: 1 } } }, later);
    expect(write).toMatchObject({ tagsChanged: true });
    expect(write.desiredNotification).toBeUndefined();
    expect(write.twin.desired).toBe(fresh.desired);
  });

  test("replacing one section leaves the other as it is", () => {
    const full = applyTwinPatch(
      fresh,
      { tags: { a: 1 }, properties: { desired: { d: 1 } } },
      later,
    );
    expect(plain(replaceTags(full.twin, { b: 2 }, later))).toMatchObject({
      tags: { b: 2 },
      desired: { properties: { d: 1 }, version: 2 },
    });
    const desired = replaceDesired(full.twin, { e: 2 }, later);
    expect(plain(desired.tags)).toEqual({ a: 1 });
    expect(plain(desired.desired.properties)).toEqual({ e: 2 });
  });

  test("null clears a section", () => {
    const full = applyTwinPatch(
      fresh,
      { tags: { a: 1 }, properties: { desired: { d: 1 } } },
      later,
    );
    const cleared = applyTwinPatch(full.twin, { tags: null, properties: { desired: null } }, later);
    expect(plain(cleared.twin.tags)).toEqual({});
    expect(plain(cleared.desiredNotification)).toEqual({ $version: 3 });
  });

  test("a whole twin sent back changes nothing but versions; reported is not taken from it", () => {
    const twin = applyTagsPatch(applyDesiredPatch(fresh, { a: { b: 1 } }, later), { t: 1 }, later);
    const echoed = plain(twinForService(twin, facts)) as JsonObject;
    echoed["properties"] = {
      ...(echoed["properties"] as JsonObject),
      reported: { forged: true },
    };
    const after = replaceTwin(twin, echoed, later).twin;
    expect(plain(after.desired.properties)).toEqual({ a: { b: 1 } });
    expect(plain(after.tags)).toEqual({ t: 1 });
    expect(after.reported).toBe(twin.reported);
  });

  test.each<[string, unknown, string]>([
    ["the body is an array", [], "twin.not_object"],
    ["the body is null", null, "twin.not_object"],
    ["tags are a number", { tags: 1 }, "twin.not_object"],
    ["properties are text", { properties: "x" }, "twin.not_object"],
    ["desired is an array", { properties: { desired: [] } }, "twin.not_object"],
    ["a key has a dot", { properties: { desired: { "a.b": 1 } } }, "twin.bad_key"],
    ["tags over 8 KB", { tags: { a: "x".repeat(4096), b: "y".repeat(4096) } }, "twin.too_large"],
  ])("refused: %s", (_, body, code) => {
    iotErrorOf(() => applyTwinPatch(fresh, body, later), code);
    iotErrorOf(() => replaceTwin(fresh, body, later), code);
  });
});

test("a twin survives its store: writing and reading JSON changes nothing that follows", () => {
  const key = fc.constantFrom("a", "b", "__proto__", "constructor");
  const patch = fc
    .array(fc.tuple(key, fc.oneof(fc.nat(9), fc.constant(null), fc.constant({ a: 1, b: null }))))
    .map((pairs) => {
      const members = pairs.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`);
      return JSON.parse(`{${members.join()}}`) as unknown;
    });
  fc.assert(
    fc.property(fc.array(patch, { maxLength: 5 }), (patches) => {
      let kept = fresh;
      let stored = fresh;
      for (const one of patches) {
        kept = applyReportedPatch(applyDesiredPatch(kept, one, later), one, later);
        stored = plain(stored) as TwinDocument;
        stored = applyReportedPatch(applyDesiredPatch(stored, one, later), one, later);
      }
      expect(JSON.stringify(stored)).toBe(JSON.stringify(kept));
      expect(kept.desired.version).toBe(1 + patches.length);
    }),
  );
});

test("metadata mirrors the properties, whatever was patched", () => {
  const leaf = fc.oneof(fc.nat(3), fc.constant(null), fc.constant([1]));
  const patch = fc.letrec<{ node: JsonObject }>((tie) => ({
    node: fc.dictionary(
      fc.constantFrom("a", "b", "c"),
      fc.oneof({ depthSize: "small" }, leaf, tie("node")),
    ) as fc.Arbitrary<JsonObject>,
  })).node;
  const mirrors = (properties: JsonObject, metadata: JsonObject): void => {
    const named = Object.keys(metadata).filter((key) => !key.startsWith("$"));
    expect(named.sort()).toEqual(Object.keys(properties).sort());
    expect(metadata["$lastUpdated"]).toBeDefined();
    for (const key of named) {
      const value = properties[key];
      const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
      mirrors(isObject ? value : {}, metadata[key] as JsonObject);
    }
  };
  fc.assert(
    fc.property(fc.array(patch, { maxLength: 6 }), (patches) => {
      let twin = fresh;
      for (const one of patches) {
        twin = applyReportedPatch(twin, one, later);
        mirrors(twin.reported.properties, twin.reported.metadata);
      }
    }),
  );
});
