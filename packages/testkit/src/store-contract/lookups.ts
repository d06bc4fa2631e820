import type { Document, MemberValues, Stores } from "@hubwire/hub";
import { expect, test } from "vitest";
import type { OpenWorld } from "./index.ts";
import { inWorld } from "./world.ts";

type Documents = Stores["documents"];
type Asked = { after?: string; limit?: number };

const path = ["twin", "tags", "x"];
const withX = (x: unknown): unknown => ({ twin: { tags: { x, other: 1 } } });

/** Enough documents that stores make an index instead of reading all of them. */
async function fill(documents: Documents, count: number, x: (n: number) => unknown): Promise<void> {
  const numbers = Array.from({ length: count }, (_, n) => n);
  await Promise.all(numbers.map((n) => documents.put("twins", keyOf(n), withX(x(n)), "absent")));
}

/** Keys are ASCII. */
const plain = (name: string): string => name.replaceAll("ë", "e");
const keyOf = (n: number): string => `k${String(n).padStart(5, "0")}`;

const found = (documents: Documents, values: MemberValues[], asked: Asked = {}) =>
  documents.lookup("twins", {
    path,
    values,
    limit: asked.limit ?? 100,
    ...(asked.after === undefined ? {} : { after: asked.after }),
  });

/** One document of each kind of value. */
const kinds: readonly [string, unknown][] = [
  ["absent", undefined],
  ["array", ["a"]],
  ["empty", ""],
  ["false", false],
  ["minus", -1.5],
  ["null", null],
  ["object", { a: 1 }],
  ["one", 1],
  ["text-1", "1"],
  ["text-a", "a"],
  ["text-b", "b'\"\\"],
  ["text-zoë", "zoë"],
  ["true", true],
  ["zero", 0],
];
const cases: readonly { what: string; values: MemberValues[]; must: string[]; may: string[] }[] = [
  { what: "a text", values: [{ equals: "a" }], must: ["text-a"], may: [] },
  { what: "odd characters", values: [{ equals: "b'\"\\" }], must: ["text-b"], may: [] },
  { what: "beyond ASCII", values: [{ equals: "zoë" }], must: ["text-zoë"], may: [] },
  { what: "a number, not the text", values: [{ equals: 1 }], must: ["one"], may: ["true"] },
  { what: "the text, not the number", values: [{ equals: "1" }], must: ["text-1"], may: [] },
  { what: "a boolean", values: [{ equals: false }], must: ["false"], may: ["zero"] },
  {
    what: "one of several",
    values: [{ equals: "a" }, { equals: -1.5 }],
    must: ["minus", "text-a"],
    may: [],
  },
  {
    what: "numbers from",
    values: [{ type: "number", from: 1, to: undefined }],
    must: ["one"],
    may: ["true"],
  },
  {
    what: "numbers up to",
    values: [{ type: "number", from: undefined, to: 0 }],
    must: ["minus", "zero"],
    may: ["false"],
  },
  {
    what: "all numbers",
    values: [{ type: "number", from: undefined, to: undefined }],
    must: ["minus", "one", "zero"],
    may: ["true", "false"],
  },
  {
    what: "texts between",
    values: [{ type: "string", from: "1", to: "a" }],
    must: ["text-1", "text-a"],
    may: [],
  },
  {
    what: "all texts",
    values: [{ type: "string", from: undefined, to: undefined }],
    must: ["empty", "text-1", "text-a", "text-b", "text-zoë"],
    may: [],
  },
  { what: "nothing", values: [], must: [], may: [] },
];

export function describeLookups(open: OpenWorld): void {
  for (const size of [0, 1_500]) {
    const where = size === 0 ? "among few documents" : "over an index";
    test(`a lookup knows values by their type ${where}`, () =>
      inWorld(open, async ({ documents }) => {
        await fill(documents, size, () => undefined);
        for (const [key, x] of kinds) {
          await documents.put("twins", plain(key), withX(x), "any");
          await documents.put("sessions", plain(key), withX(x), "any");
        }
        for (const { what, values, must, may } of cases) {
          const keys = (await found(documents, values)) ?? [];
          const unasked = new Set(may.map(plain));
          const fitting = keys.filter((key) => !unasked.has(key));
          expect(fitting, what).toEqual(must.map(plain).toSorted());
          expect(keys, what).toEqual(keys.toSorted());
        }
      }));
  }

  test("lookups page in key order, also while documents come and go", () =>
    inWorld(open, async ({ documents }) => {
      await fill(documents, 1_200, (n) => n % 2);
      const seen: string[] = [];
      for (let after = ""; ;) {
        const page = (await found(documents, [{ equals: 1 }], { after, limit: 100 })) ?? [];
        seen.push(...page);
        if (page.length < 100) break;
        after = page.at(-1) as string;
        // One before the place that was reached, one behind it, and one that no longer fits.
        await documents.put("twins", `a${seen.length}`, withX(1), "absent");
        await documents.put("twins", `z${seen.length}`, withX(1), "absent");
        await documents.put("twins", keyOf(1199), withX(0), "any");
      }
      const odd = Array.from({ length: 599 }, (_, n) => keyOf(2 * n + 1));
      expect(seen.slice(0, 599)).toEqual(odd);
      expect(seen.slice(599)).toEqual(
        ["z100", "z200", "z300", "z400", "z500", "z600"].slice(0, seen.length - 599),
      );
      expect(new Set(seen).size).toBe(seen.length);
    }));

  test("an index follows every write and delete", () =>
    inWorld(open, async ({ documents }) => {
      await fill(documents, 1_100, () => "old");
      await found(documents, [{ equals: "old" }]);
      await documents.put("twins", keyOf(5), withX("new"), "any");
      await documents.put("twins", "late", withX("new"), "absent");
      await documents.put("twins", keyOf(6), withX("new"), "absent");
      await documents.put("twins", keyOf(7), withX("new"), "any");
      await documents.delete("twins", keyOf(7), "any");
      expect(await found(documents, [{ equals: "new" }])).toEqual([keyOf(5), "late"]);
      const old = await found(documents, [{ equals: "old" }], { limit: 2_000 });
      expect(old).toHaveLength(1_098);
    }));

  test("a span that fits too many documents is given up, a value that many have is paged", () =>
    inWorld(open, async ({ documents }) => {
      await fill(documents, 5_002, () => 7);
      expect(await found(documents, [{ type: "number", from: 7, to: undefined }])).toBeUndefined();
      expect(await found(documents, [{ equals: 7 }], { limit: 3 })).toEqual([0, 1, 2].map(keyOf));
      await documents.delete("twins", keyOf(0), "any");
      await documents.delete("twins", keyOf(1), "any");
      const fits = await found(documents, [{ type: "number", from: 7, to: 7 }], { limit: 2 });
      expect(fits).toEqual([2, 3].map(keyOf));
    }));

  test("more members than there may be indexes are looked up all the same", () =>
    inWorld(open, async ({ documents }) => {
      const value = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`m${n}`, n]));
      const keys = Array.from({ length: 1_010 }, (_, n) => keyOf(n));
      await Promise.all(keys.map((key) => documents.put("twins", key, { key }, "absent")));
      await documents.put("twins", "all", value, "absent");
      for (const n of [...Array.from({ length: 40 }, (_, m) => m), 0, 39]) {
        const asked = { path: [`m${n}`], values: [{ equals: n }], limit: 9 };
        expect(await documents.lookup("twins", asked)).toEqual(["all"]);
      }
    }));

  test.each([
    { what: "a quotation mark", name: 'a"b' },
    { what: "a backslash", name: "a\\b" },
    { what: "a control character", name: "a\nb" },
    { what: "half a surrogate pair", name: "a\ud800" },
    { what: "too many characters", name: "x".repeat(300) },
  ])("a member with $what in its name is for the caller to find", ({ name }) =>
    inWorld(open, async ({ documents }) => {
      await documents.put("twins", "d", { [name]: 1 }, "absent");
      const asked = { path: [name], values: [{ equals: 1 }], limit: 9 };
      expect(await documents.lookup("twins", asked)).toBeUndefined();
    }),
  );

  test.each(["__proto__", "a'b", "a.b", "$[0]", "ключ", "*", "%s", "a]b", "length"])(
    "a member named %s is found",
    (name) =>
      inWorld(open, async ({ documents }) => {
        await fill(documents, 1_001, () => undefined);
        const value: unknown = JSON.parse(`{${JSON.stringify(name)}: [{"b": "yes"}]}`);
        await documents.put("twins", "d", value, "absent");
        const asked = { path: [name, 0, "b"], values: [{ equals: "yes" }], limit: 9 };
        expect(await documents.lookup("twins", asked)).toEqual(["d"]);
      }),
  );

  test("many documents are read at once, in the order of their keys", () =>
    inWorld(open, async ({ documents }) => {
      await fill(documents, 3, (n) => n);
      const keys = [keyOf(2), "nobody", keyOf(0), keyOf(2)];
      const read = await documents.getMany("twins", keys);
      expect(read.map((one: Document | undefined) => one?.key)).toEqual([
        keyOf(2),
        undefined,
        keyOf(0),
        keyOf(2),
      ]);
      expect(read[0]).toEqual(await documents.get("twins", keyOf(2)));
      expect(await documents.getMany("twins", [])).toEqual([]);
    }));

  test("an index is there after a restart", () =>
    inWorld(open, async ({ documents }, { reopen, restart }) => {
      if (reopen === undefined) return;
      await fill(documents, 1_100, (n) => n);
      expect(await found(documents, [{ equals: 44 }])).toEqual([keyOf(44)]);
      const again = (await restart()).documents;
      await again.put("twins", keyOf(44), withX("other"), "any");
      expect(await found(again, [{ equals: 44 }])).toEqual([]);
      expect(await found(again, [{ equals: 45 }])).toEqual([keyOf(45)]);
    }));
}
