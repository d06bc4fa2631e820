import * as fc from "fast-check";
import { expect, test } from "vitest";
import { composePatches, mayBeReplacement, mergePatch } from "../../src/twin/index.ts";
import type { JsonObject, JsonValue } from "../../src/twin/index.ts";
import "../long-runs.ts";

const key = fc.constantFrom("a", "b", "c", "__proto__");
const value = fc.letrec<{ node: JsonValue }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<JsonValue>(null, 1, 2, "x", [1, null]),
    fc.array(fc.tuple(key, tie("node")), { maxLength: 3 }).map((pairs) => {
      const object = Object.create(null) as JsonObject;
      for (const [name, one] of pairs) object[name] = one;
      return object;
    }),
  ),
})).node;
const document = fc.array(fc.tuple(key, value), { maxLength: 4 }).map((pairs) => {
  const object = Object.create(null) as JsonObject;
  for (const [name, one] of pairs) object[name] = one;
  return object;
});
const text = (one: JsonValue): string =>
  JSON.stringify(one, (_name, member: JsonValue) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1))
      : member,
  );

test("one composed patch does what the two did, whatever they are applied to", () => {
  fc.assert(
    fc.property(document, document, document, (target, first, second) => {
      const composed = composePatches(first, second);
      if (composed === undefined) return;
      const clean = mergePatch(undefined, target);
      expect(text(mergePatch(clean, composed))).toBe(
        text(mergePatch(mergePatch(clean, first), second)),
      );
    }),
  );
});

test.each([
  ["deletes stay deletes", { a: 1 }, { a: null }, { a: null }],
  ["objects meet", { a: { b: 1 } }, { a: { c: null } }, { a: { b: 1, c: null } }],
  ["the later value counts", { a: { b: 1 } }, { a: [2] }, { a: [2] }],
])("%s", (_name, first, second, composed) => {
  expect(JSON.parse(JSON.stringify(composePatches(first, second)))).toEqual(composed);
});

test.each([
  ["deleted and then given an object", { a: null }, { a: { b: 1 } }],
  ["a value and then an object", { a: { x: 1 } }, { a: { x: { y: 1 } } }],
])("%s: the two together clear what one patch would keep", (_name, first, second) => {
  expect(composePatches(first as JsonObject, second as JsonObject)).toBeUndefined();
});

test("nearly everything composes: what an application reports again and again does", () => {
  let patch: JsonObject = {};
  for (let i = 0; i < 100; i++) {
    const next = { state: { [`k${i % 7}`]: i, old: null }, at: i };
    const composed = composePatches(patch, next);
    expect(composed).toBeDefined();
    patch = composed as JsonObject;
  }
  expect(Object.keys(patch["state"] as JsonObject)).toHaveLength(8);
});

test.each([
  ["names everything there was", { a: 1, b: { c: 1 } }, { a: 2, b: { c: 3 } }, false],
  ["leaves a property out", { a: 1, b: 2 }, { b: 3 }, true],
  ["leaves a nested property out", { a: { b: 1, c: 2 } }, { a: { b: 1 } }, true],
  ["is empty", { a: 1 }, {}, true],
  ["is empty, and so was the section", {}, {}, false],
  ["deletes something", { a: 1, b: 2 }, { a: null }, false],
  ["deletes something nested", { a: { b: 1 }, c: 1 }, { a: { b: null } }, false],
  ["replaces an object by a value", { a: { b: 1 } }, { a: 1 }, false],
])("a notification that %s", (_name, before, notification, expected) => {
  expect(mayBeReplacement(before as JsonObject, notification as JsonObject)).toBe(expected);
});

test("a replacement that a patch would misread is always suspected", () => {
  fc.assert(
    fc.property(document, document, (one, two) => {
      const before = mergePatch(undefined, one);
      const after = mergePatch(undefined, two);
      if (text(mergePatch(before, after)) !== text(after)) {
        expect(mayBeReplacement(before, after)).toBe(true);
      }
    }),
  );
});
