import { expect, test } from "vitest";
import type { OpenWorld } from "./index.ts";
import { appendAll, textsIn } from "./telemetry.ts";
import { inWorld } from "./world.ts";

/** Lets the store try again; a store heals by itself, in its own time. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

export function describeFailures(open: OpenWorld): void {
  test("a store that cannot write says so, keeps what it had, and heals by itself", () =>
    inWorld(open, async (stores, { breakWrites }) => {
      if (breakWrites === undefined) return;
      const { documents, c2d } = stores;
      const news: boolean[] = [];
      stores.onHealth((reason) => news.push(reason === undefined));
      const message = { enqueuedAtMs: 1, expiresAtMs: 99, properties: {}, body: new Uint8Array(1) };
      await documents.put("twins", "d", { v: 1 }, "absent");
      await c2d.enqueue("q", message, 50);

      const mend = breakWrites();
      await expect(documents.put("twins", "d", { v: 2 }, "any")).rejects.toMatchObject({
        code: "store.unavailable",
        retryable: true,
      });
      await expect(documents.put("twins", "e", {}, "any")).rejects.toMatchObject({
        code: "store.unavailable",
      });
      await expect(c2d.enqueue("q", message, 50)).rejects.toMatchObject({
        code: "store.unavailable",
      });
      expect(stores.unhealthyReason).toBeTypeOf("string");

      mend();
      await until(() => stores.unhealthyReason === undefined);
      expect(news).toEqual([false, true]);
      expect((await documents.get("twins", "d"))?.value).toEqual({ v: 1 });
      expect(await documents.get("twins", "e")).toBeUndefined();
      expect(await c2d.count("q")).toBe(1);
      expect(await documents.put("twins", "d", { v: 3 }, "any")).toMatchObject({ ok: true });
    }));

  test("telemetry that could not be committed is named, never readable, and its numbers are used again", () =>
    inWorld(open, async (stores, { breakWrites }) => {
      if (breakWrites === undefined) return;
      const { telemetry } = stores;
      await appendAll(telemetry, [[0, "kept"]]);
      const lost: [number, number][] = [];
      telemetry.onFailure((first, last) => lost.push([first, last]));

      const mend = breakWrites();
      const bytes = new TextEncoder().encode("lost");
      const ordinals = [0, 1, 2].map((partition) =>
        telemetry.append(partition, bytes, bytes, 0, 4),
      );
      await until(() => lost.length > 0);
      expect(lost).toEqual([[ordinals[0], ordinals[2]]]);
      expect(telemetry.healthy).toBe(false);
      expect(() => telemetry.append(0, bytes, bytes, 0, 4)).toThrow(
        expect.objectContaining({ code: "store.unavailable" }),
      );

      mend();
      await until(() => telemetry.healthy);
      const [next] = await appendAll(telemetry, [[0, "next"]]);
      expect(next).toBeGreaterThan(ordinals[2]!);
      expect(await textsIn(telemetry, 0)).toEqual(["kept", "next"]);
      expect(telemetry.partition(0)).toMatchObject({ nextSequenceNumber: 2 });
      expect(telemetry.partition(1)).toMatchObject({ nextSequenceNumber: 0 });
    }));

  test("a closed store takes nothing more and finishes what it took", () =>
    inWorld(open, async (stores) => {
      const taken = stores.documents.put("twins", "d", 1, "any");
      const closing = stores[Symbol.asyncDispose]();
      await expect(stores.documents.put("twins", "e", 1, "any")).rejects.toMatchObject({
        code: "client.closed",
      });
      expect(() =>
        stores.telemetry.append(0, new Uint8Array(1), new Uint8Array(1), 0, 1),
      ).toThrow();
      await closing;
      expect(await taken).toMatchObject({ ok: true });
    }));
}
