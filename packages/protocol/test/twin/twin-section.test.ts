import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/twin-section.json" with { type: "json" };
import { checkSection, twinSize } from "../../src/twin/index.ts";
import type { JsonObject, JsonValue } from "../../src/twin/index.ts";
import { iotErrorOf, valueOrIotError } from "../expect-iot-error.ts";
import "../long-runs.ts";

describe("what may stand in a section", () => {
  test.each(vectors.valid)("accepted: $name", ({ value }) => {
    expect(JSON.stringify(checkSection(value, "it"))).toBe(JSON.stringify(value));
  });

  test.each(vectors.invalid)("refused: $name", ({ value, code }) => {
    iotErrorOf(() => checkSection(value, "it"), code);
  });

  test.each<[string, unknown]>([
    ["undefined", { a: undefined }],
    ["a function", { a: () => 1 }],
    ["a bigint", { a: 1n }],
    ["NaN", { a: Number.NaN }],
    ["infinity", { a: -Infinity }],
    ["a date, which JSON.stringify would turn into text", { a: new Date(0) }],
    ["a map, which JSON.stringify would empty", { a: [new Map()] }],
    ["bytes", { a: new Uint8Array(2) }],
  ])("refused from callers: %s", (_, value) => {
    iotErrorOf(() => checkSection(value, "it"), "twin.bad_value");
  });

  test("what contains itself is refused as too deep", () => {
    const object: Record<string, unknown> = {};
    object["self"] = object;
    iotErrorOf(() => checkSection(object, "it"), "twin.too_deep");
    const array: unknown[] = [];
    array.push(array);
    iotErrorOf(() => checkSection({ array }, "it"), "twin.too_deep");
  });

  test("read-only members are dropped at every level", () => {
    const echoed = {
      a: { $lastUpdated: "x", $lastUpdatedVersion: 1, b: 1 },
      $metadata: { a: {} },
      $version: 7,
    };
    expect(JSON.stringify(checkSection(echoed, "it"))).toBe('{"a":{"b":1}}');
  });

  test("messages show at most the beginning of a key and never a value", () => {
    const long = iotErrorOf(() => checkSection({ ["k".repeat(5000)]: 1 }, "it"));
    expect(long.message.length).toBeLessThan(200);
    const secret = iotErrorOf(() => checkSection({ password: "hunter2".repeat(1000) }, "it"));
    expect(secret.message).not.toContain("hunter2");
  });

  test("any value is accepted unchanged or refused with an IotError", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true }), (value) => {
        const checked = valueOrIotError(() => checkSection(value, "it"));
        if (!(checked instanceof Error)) twinSize(checked);
      }),
    );
  });

  test("any accepted JSON object is accepted again, unchanged", () => {
    const objects = fc.dictionary(fc.stringMatching(/^[a-z_]{1,5}$/), fc.jsonValue());
    fc.assert(
      fc.property(objects, (value) => {
        const checked = valueOrIotError(() => checkSection(value, "it"));
        if (checked instanceof Error) return;
        expect(JSON.stringify(checkSection(checked, "it"))).toBe(JSON.stringify(checked));
      }),
    );
  });
});

describe("sizes", () => {
  test.each(vectors.sizes)("of $value is $size", ({ value, size }) => {
    expect(twinSize(value as JsonObject)).toBe(size);
  });

  test("the size of a whole is the sum over its members, key and value", () => {
    const members = fc.dictionary(fc.stringMatching(/^[a-zé_]{1,8}$/), fc.jsonValue());
    fc.assert(
      fc.property(members, (object) => {
        let sum = 0;
        for (const [key, value] of Object.entries(object)) {
          sum += key.length + twinSize(value as JsonValue);
        }
        expect(twinSize(object as JsonObject)).toBe(sum);
      }),
    );
  });
});
