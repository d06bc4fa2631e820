import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/merge-patch.json" with { type: "json" };
import { mergePatch } from "../../src/twin/index.ts";
import type { JsonObject, JsonValue } from "../../src/twin/index.ts";
import "../long-runs.ts";

/** Compared as text: prototypes do not count, `__proto__` as a key does. */
const text = (value: JsonValue): string => JSON.stringify(value);
const sorted = (value: JsonValue): JsonValue => {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(sorted);
  const copy = Object.create(null) as JsonObject;
  for (const key of Object.keys(value).sort()) copy[key] = sorted(value[key] ?? null);
  return copy;
};
const same = (a: JsonValue, b: JsonValue): void => expect(text(sorted(a))).toBe(text(sorted(b)));

const key = fc.constantFrom("a", "b", "c", "__proto__", "constructor");
const leaf: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.nat(3),
  fc.constantFrom("x", "y"),
  fc.boolean(),
  fc.constant<JsonValue>([1, null]),
);
const objectOf = (withNull: boolean): fc.Arbitrary<JsonObject> =>
  fc.letrec<{ node: JsonObject }>((tie) => ({
    node: fc
      .array(
        fc.tuple(
          key,
          fc.oneof(
            { depthSize: "small" },
            withNull ? fc.oneof(leaf, fc.constant(null)) : leaf,
            tie("node"),
          ),
        ),
        { maxLength: 4 },
      )
      .map((pairs) => JSON.parse(`{${pairs.map(([k, v]) => `${text(k)}:${text(v)}`).join()}}`)),
  })).node;
const documents = objectOf(false);
const patches = objectOf(true);

const hasNullMember = (value: JsonValue): boolean =>
  value !== null &&
  typeof value === "object" &&
  !Array.isArray(value) &&
  Object.keys(value).some((one) => value[one] === null || hasNullMember(value[one] ?? null));

describe("merge patch", () => {
  test.each(vectors.cases)("$target with $patch", ({ target, patch, merged }) => {
    same(mergePatch(target as JsonValue, patch as JsonValue), merged as JsonValue);
  });

  test("patching twice is patching once", () => {
    fc.assert(
      fc.property(documents, patches, (target, patch) => {
        const once = mergePatch(target, patch);
        same(mergePatch(once, patch), once);
      }),
    );
  });

  test("the empty patch changes nothing, patching nothing gives the patch without its nulls", () => {
    fc.assert(
      fc.property(documents, (document) => {
        same(mergePatch(document, {}), document);
        same(mergePatch(undefined, document), document);
        same(mergePatch({}, document), document);
      }),
    );
  });

  test("no null is ever stored as a member", () => {
    fc.assert(
      fc.property(documents, patches, (target, patch) => {
        expect(hasNullMember(mergePatch(target, patch))).toBe(false);
      }),
    );
  });

  test("deleting every key of a document empties it", () => {
    fc.assert(
      fc.property(documents, (document) => {
        const nulls = Object.fromEntries(Object.keys(document).map((one) => [one, null]));
        expect(Object.keys(mergePatch(document, nulls))).toEqual([]);
      }),
    );
  });

  test("keys the patch does not name stay as they are", () => {
    fc.assert(
      fc.property(documents, patches, (target, patch) => {
        const merged = mergePatch(target, patch);
        for (const one of Object.keys(target)) {
          if (!Object.hasOwn(patch, one)) expect(merged[one]).toBe(target[one]);
        }
      }),
    );
  });

  test("neither argument changes, and Object.prototype does not either", () => {
    const before = Object.getOwnPropertyNames(Object.prototype).length;
    fc.assert(
      fc.property(documents, patches, (target, patch) => {
        const [targetText, patchText] = [text(target), text(patch)];
        mergePatch(target, patch);
        expect([text(target), text(patch)]).toEqual([targetText, patchText]);
      }),
    );
    expect(Object.getOwnPropertyNames(Object.prototype)).toHaveLength(before);
  });

  test("__proto__ is a key like any other and reaches no prototype", () => {
    const patch = JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"x":1}}}');
    const merged = mergePatch({}, patch as JsonObject);
    expect(text(merged)).toBe(text(patch as JsonObject));
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(Object.getPrototypeOf(merged)).toBeNull();
    expect(text(mergePatch(merged, JSON.parse('{"__proto__":null}') as JsonObject))).toBe(
      '{"constructor":{"prototype":{"x":1}}}',
    );
  });
});
