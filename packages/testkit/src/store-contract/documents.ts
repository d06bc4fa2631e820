import type { Document } from "@hubwire/hub";
import { expect, test } from "vitest";
import type { OpenWorld } from "./index.ts";
import { inWorld, oddKeys } from "./world.ts";

const keysOf = (documents: Document[]): string[] => documents.map(({ key }) => key);

export function describeDocuments(open: OpenWorld): void {
  test("a document is read back equal, with the revision its write returned", () =>
    inWorld(open, async ({ documents }) => {
      const value = {
        text: 'zoë \u{1f600} \u0000 "quoted"',
        numbers: [0, -1, 1.5, 2 ** 53 - 1, 1e300],
        nested: { empty: {}, list: [], nothing: null, yes: true },
      };
      const put = await documents.put("twins", "d@1", value, "absent");
      expect(put).toMatchObject({ ok: true });
      const revision = put.ok ? put.revision : undefined;
      expect(await documents.get("twins", "d@1")).toEqual({ key: "d@1", value, revision });
      expect(await documents.get("twins", "D@1")).toBeUndefined();
      expect(await documents.get("sessions", "d@1")).toBeUndefined();
    }));

  test("a write happens only if the document is as expected, and tells what is there if not", () =>
    inWorld(open, async ({ documents }) => {
      expect(await documents.put("twins", "d", { v: 0 }, 1)).toEqual({
        ok: false,
        current: undefined,
      });
      const first = await documents.put("twins", "d", { v: 1 }, "absent");
      if (!first.ok) throw new Error("the first write found something");
      const current = { key: "d", value: { v: 1 }, revision: first.revision };
      expect(await documents.put("twins", "d", { v: 2 }, "absent")).toEqual({ ok: false, current });
      expect(await documents.put("twins", "d", { v: 2 }, first.revision + 1)).toEqual({
        ok: false,
        current,
      });
      const second = await documents.put("twins", "d", { v: 3 }, first.revision);
      if (!second.ok) throw new Error("the write with the right revision was refused");
      expect(second.revision).toBeGreaterThan(first.revision);
      expect(await documents.put("twins", "d", { v: 4 }, first.revision)).toMatchObject({
        ok: false,
        current: { value: { v: 3 } },
      });
      expect(await documents.put("twins", "d", { v: 5 }, "any")).toMatchObject({ ok: true });
      expect((await documents.get("twins", "d"))?.value).toEqual({ v: 5 });
    }));

  test("a delete happens only if the document is as expected", () =>
    inWorld(open, async ({ documents }) => {
      const put = await documents.put("hub", "d", 1, "any");
      if (!put.ok) throw new Error("refused");
      expect(await documents.delete("hub", "d", put.revision + 1)).toEqual({ ok: false });
      expect(await documents.delete("hub", "d", "absent")).toEqual({ ok: false });
      expect(await documents.get("hub", "d")).toBeDefined();
      expect(await documents.delete("hub", "d", put.revision)).toEqual({ ok: true });
      expect(await documents.get("hub", "d")).toBeUndefined();
      expect(await documents.delete("hub", "d", put.revision)).toEqual({ ok: false });
      expect(await documents.delete("hub", "d", "any")).toEqual({ ok: true });
    }));

  test("a document that was deleted and made again never repeats a revision", () =>
    inWorld(open, async ({ documents }) => {
      const seen = new Set<number>();
      for (let life = 0; life < 5; life++) {
        const put = await documents.put("identities", "d", { life }, "absent");
        if (!put.ok) throw new Error("refused");
        expect(seen.has(put.revision)).toBe(false);
        seen.add(put.revision);
        await documents.delete("identities", "d", put.revision);
      }
    }));

  test("of many writers who read the same revision exactly one wins", () =>
    inWorld(open, async ({ documents }) => {
      const made = await Promise.all(
        Array.from({ length: 50 }, (_, n) => documents.put("twins", "race", { n }, "absent")),
      );
      expect(made.filter(({ ok }) => ok)).toHaveLength(1);
      const { revision } = (await documents.get("twins", "race"))!;
      const changed = await Promise.all(
        Array.from({ length: 50 }, (_, n) => documents.put("twins", "race", { n }, revision)),
      );
      expect(changed.filter(({ ok }) => ok)).toHaveLength(1);
    }));

  test("many read-modify-write loops lose no update", () =>
    inWorld(open, async ({ documents }) => {
      const addOne = async (): Promise<void> => {
        for (;;) {
          const current = await documents.get("twins", "counter");
          const count = (current?.value as { count: number } | undefined)?.count ?? 0;
          const put = await documents.put(
            "twins",
            "counter",
            { count: count + 1 },
            current?.revision ?? "absent",
          );
          if (put.ok) return;
        }
      };
      await Promise.all(Array.from({ length: 20 }, addOne));
      expect((await documents.get("twins", "counter"))?.value).toEqual({ count: 20 });
    }));

  test("operations take effect in the order they were called", () =>
    inWorld(open, async ({ documents }) => {
      const calls: Promise<unknown>[] = [];
      for (let n = 0; n < 100; n++) calls.push(documents.put("twins", "d", n, "any"));
      const read = documents.get("twins", "d");
      calls.push(documents.put("twins", "d", "later", "any"));
      await Promise.all(calls);
      expect((await read)?.value).toBe(99);
      expect((await documents.get("twins", "d"))?.value).toBe("later");
    }));

  test("a list is in code unit order, in pages that neither repeat nor skip", () =>
    inWorld(open, async ({ documents }) => {
      const keys = Array.from({ length: 57 }, (_, n) => `k${(n * 37) % 57}`);
      keys.push("K", "k", "kk", "_", "~", "k1/a", "k1@a", "k10/b");
      await Promise.all(keys.map((key) => documents.put("identities", key, { key }, "absent")));
      await documents.put("twins", "k2", {}, "any");
      const found: string[] = [];
      for (let after: string | undefined; ;) {
        const page = await documents.list("identities", {
          limit: 10,
          ...(after === undefined ? {} : { after }),
        });
        found.push(...keysOf(page));
        if (page.length < 10) break;
        after = page.at(-1)!.key;
      }
      expect(found).toEqual(keys.toSorted());
      const whole = await documents.list("identities", { limit: 1000 });
      expect(whole.every(({ key, value }) => (value as { key: string }).key === key)).toBe(true);
    }));

  test("a prefix is literal, also when it looks like a pattern", () =>
    inWorld(open, async ({ documents }) => {
      const keys = ["a", "a%b", "a*b", "a_b", "axb", "a%", "a/m1", "a/m2", "a~", "b"];
      for (const key of keys) await documents.put("identities", key, 1, "absent");
      const list = async (prefix: string, after?: string): Promise<string[]> =>
        keysOf(
          await documents.list("identities", {
            prefix,
            limit: 100,
            ...(after === undefined ? {} : { after }),
          }),
        );
      expect(await list("a%")).toEqual(["a%", "a%b"]);
      expect(await list("a_")).toEqual(["a_b"]);
      expect(await list("a*")).toEqual(["a*b"]);
      expect(await list("a/")).toEqual(["a/m1", "a/m2"]);
      expect(await list("a/", "a/m1")).toEqual(["a/m2"]);
      expect(await list("a/", "0")).toEqual(["a/m1", "a/m2"]);
      expect(await list("a/", "b")).toEqual([]);
      expect(await list("")).toEqual(keys.toSorted());
      expect(await list("a~")).toEqual(["a~"]);
      expect(await documents.list("identities", { limit: 0 })).toEqual([]);
    }));

  test("odd keys and odd property names are plain data", () =>
    inWorld(open, async ({ documents }) => {
      const value = (key: string): unknown =>
        JSON.parse(`{"__proto__": {"polluted": ${JSON.stringify(key)}}, "constructor": 1}`);
      for (const key of oddKeys) await documents.put("identities", key, value(key), "any");
      for (const key of oddKeys) {
        const read = (await documents.get("identities", key))?.value;
        expect(JSON.stringify(read)).toBe(JSON.stringify(value(key)));
      }
      const listed = await documents.list("identities", { limit: 1000 });
      expect(keysOf(listed)).toEqual([...new Set(oddKeys)].toSorted());
      expect({}).not.toHaveProperty("polluted");
    }));

  test.each([
    { what: "empty", key: "" },
    { what: "with a control character", key: "tab\t" },
    { what: "beyond ASCII", key: "zoë" },
    { what: "too long", key: "x".repeat(513) },
  ])("a key that no store could keep is refused: $what", ({ key }) =>
    inWorld(open, async ({ documents }) => {
      const refusal = { code: "argument.invalid" };
      await expect(documents.put("twins", key, 1, "any")).rejects.toMatchObject(refusal);
      await expect(documents.get("twins", key)).rejects.toMatchObject(refusal);
    }),
  );

  test("a value that is no JSON is refused", () =>
    inWorld(open, async ({ documents }) => {
      await expect(documents.put("twins", "d", undefined, "any")).rejects.toMatchObject({
        code: "argument.invalid",
      });
    }));

  test("callers and store share no reference", () =>
    inWorld(open, async ({ documents }) => {
      const value = { list: [1] };
      const put = documents.put("twins", "d", value, "any");
      value.list.push(2);
      await put;
      const read = (await documents.get("twins", "d"))!.value as typeof value;
      expect(read).toEqual({ list: [1] });
      read.list.push(3);
      expect((await documents.get("twins", "d"))?.value).toEqual({ list: [1] });
    }));

  test("a document of two megabytes is kept whole", () =>
    inWorld(open, async ({ documents }) => {
      const value = { text: "0123456789abcdef".repeat(131_072) };
      await documents.put("twins", "big", value, "absent");
      expect((await documents.get("twins", "big"))?.value).toEqual(value);
    }));

  test("what was written is there after a restart, and revisions go on", () =>
    inWorld(open, async (stores, { reopen, restart }) => {
      if (reopen === undefined) return;
      const kept = await stores.documents.put("identities", "kept", { a: 1 }, "absent");
      const gone = await stores.documents.put("identities", "gone", { a: 2 }, "absent");
      await stores.documents.delete("identities", "gone", "any");
      const { documents } = await restart();
      expect(await documents.get("identities", "kept")).toMatchObject({ value: { a: 1 } });
      expect(await documents.get("identities", "gone")).toBeUndefined();
      const again = await documents.put("identities", "gone", { a: 3 }, "absent");
      if (!kept.ok || !gone.ok || !again.ok) throw new Error("refused");
      expect(again.revision).toBeGreaterThan(gone.revision);
      expect(await documents.put("identities", "kept", { a: 4 }, kept.revision)).toMatchObject({
        ok: true,
      });
    }));
}
