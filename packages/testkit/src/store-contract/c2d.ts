import type { C2dQueueStore, QueuedMessage } from "@hubwire/hub";
import { expect, test } from "vitest";
import type { OpenWorld } from "./index.ts";
import { inWorld, oddKeys } from "./world.ts";

const encoder = new TextEncoder();
const queue = "device-1@639";

async function send(c2d: C2dQueueStore, text: string, expiresAtMs = 10_000, depthMax = 50) {
  return c2d.enqueue(
    queue,
    { enqueuedAtMs: 1000, expiresAtMs, properties: { text }, body: encoder.encode(text) },
    depthMax,
  );
}
const sendAll = async (c2d: C2dQueueStore, ...texts: string[]): Promise<void> => {
  for (const text of texts) await send(c2d, text);
};
const lockAll = (c2d: C2dQueueStore, nowMs = 2000, lockedUntilMs = 3000, limit = 50) =>
  c2d.lock(queue, { limit, nowMs, lockedUntilMs });
const texts = (messages: QueuedMessage[]): string[] =>
  messages.map(({ properties }) => (properties as { text: string }).text);
const lockOf = (message: QueuedMessage) => [queue, message.sequence, message.lockToken!] as const;

export function describeC2d(open: OpenWorld): void {
  test("messages are locked in the order they were queued, with everything they carry", () =>
    inWorld(open, async ({ c2d }) => {
      const body = Uint8Array.from({ length: 256 }, (_, n) => n);
      const properties = JSON.parse('{"__proto__": "p", "empty": "", "nul": null}') as unknown;
      const sent = await c2d.enqueue(
        queue,
        { enqueuedAtMs: 1234, expiresAtMs: 5678, properties, body },
        50,
      );
      await send(c2d, "second");
      const [first, second] = await lockAll(c2d);
      expect(sent).toEqual({ ok: true, sequence: first?.sequence });
      expect(first).toMatchObject({
        enqueuedAtMs: 1234,
        expiresAtMs: 5678,
        body,
        state: "locked",
        lockedUntilMs: 3000,
        deliveryCount: 1,
      });
      expect(JSON.stringify(first?.properties)).toBe(JSON.stringify(properties));
      expect(second?.sequence).toBe(first!.sequence + 1);
      expect(second?.lockToken).not.toBe(first?.lockToken);
    }));

  test("many senders at once get numbers without gap or repeat", () =>
    inWorld(open, async ({ c2d }) => {
      const sent = await Promise.all(Array.from({ length: 40 }, (_, n) => send(c2d, String(n))));
      const sequences = sent.map((result) => (result.ok ? result.sequence : NaN));
      const first = sequences[0]!;
      expect(sequences).toEqual(sequences.map((_, n) => first + n));
      expect(texts(await lockAll(c2d))).toEqual(sequences.map((_, n) => String(n)));
    }));

  test("the queue takes no more than its depth, in a race too; locked ones count", () =>
    inWorld(open, async ({ c2d }) => {
      const sent = await Promise.all(Array.from({ length: 60 }, (_, n) => send(c2d, String(n))));
      expect(sent.filter(({ ok }) => ok)).toHaveLength(50);
      expect(sent[59]).toEqual({ ok: false, reason: "full" });
      const [first] = await lockAll(c2d);
      expect(await c2d.count(queue)).toBe(50);
      expect(await send(c2d, "one more")).toEqual({ ok: false, reason: "full" });
      await c2d.complete(...lockOf(first!), false);
      expect(await c2d.count(queue)).toBe(49);
      expect(await send(c2d, "one more")).toMatchObject({ ok: true });
    }));

  test("what is locked is not handed out twice, and a limit is kept", () =>
    inWorld(open, async ({ c2d }) => {
      await sendAll(c2d, "a", "b", "c", "d");
      expect(texts(await lockAll(c2d, 2000, 3000, 0))).toEqual([]);
      expect(texts(await lockAll(c2d, 2000, 3000, 1))).toEqual(["a"]);
      const [two, rest] = await Promise.all([lockAll(c2d, 2000, 3000, 2), lockAll(c2d)]);
      expect(texts(two)).toEqual(["b", "c"]);
      expect(texts(rest)).toEqual(["d"]);
      expect(await lockAll(c2d)).toEqual([]);
    }));

  test("complete removes the message once, under its lock only", () =>
    inWorld(open, async ({ c2d }) => {
      await sendAll(c2d, "a", "b");
      const [a, b] = await lockAll(c2d);
      expect(await c2d.complete(queue, a!.sequence, "no such lock", false)).toEqual({ ok: false });
      expect(await c2d.complete(queue, a!.sequence, b!.lockToken!, false)).toEqual({ ok: false });
      expect(await c2d.complete("other@1", a!.sequence, a!.lockToken!, false)).toEqual({
        ok: false,
      });
      expect(await c2d.complete(...lockOf(a!), false)).toEqual({ ok: true });
      expect(await c2d.complete(...lockOf(a!), false)).toEqual({ ok: false });
      expect(await c2d.count(queue)).toBe(1);
    }));

  test("a lock that was released or ran out and was taken again never completes under its old token", () =>
    inWorld(open, async ({ c2d }) => {
      await sendAll(c2d, "a");
      const [first] = await lockAll(c2d, 2000, 3000);
      expect(await lockAll(c2d, 2999, 4000)).toEqual([]);
      const [second] = await lockAll(c2d, 3000, 4000);
      expect(second).toMatchObject({ sequence: first!.sequence, deliveryCount: 2 });
      expect(await c2d.complete(...lockOf(first!), false)).toEqual({ ok: false });
      expect(await c2d.extend(...lockOf(first!), 9000)).toEqual({ ok: false });
      await c2d.release(queue, { sequence: first!.sequence, lockToken: first!.lockToken! });
      expect(await lockAll(c2d, 3500, 4500)).toEqual([]);
      await c2d.release(queue, { sequence: second!.sequence, lockToken: second!.lockToken! });
      expect(await c2d.complete(...lockOf(second!), false)).toEqual({ ok: false });
      const [third] = await lockAll(c2d, 3500, 4500);
      expect(await c2d.complete(...lockOf(third!), false)).toEqual({ ok: true });
    }));

  test("a lock that ran out and nobody else took still completes and extends", () =>
    inWorld(open, async ({ c2d }) => {
      await sendAll(c2d, "a", "b");
      const [a, b] = await lockAll(c2d, 2000, 3000);
      expect(await c2d.complete(...lockOf(a!), false)).toEqual({ ok: true });
      expect(await c2d.extend(...lockOf(b!), 9000)).toEqual({ ok: true });
      expect(await lockAll(c2d, 8999, 9999)).toEqual([]);
      expect(texts(await lockAll(c2d, 9000, 9999))).toEqual(["b"]);
    }));

  test("releasing all locks puts the messages back in the old order", () =>
    inWorld(open, async ({ c2d }) => {
      await sendAll(c2d, "a", "b", "c");
      const [, b] = await lockAll(c2d);
      await c2d.release(queue, { sequence: b!.sequence, lockToken: b!.lockToken! });
      expect(texts(await lockAll(c2d))).toEqual(["b"]);
      await c2d.release(queue, "all");
      expect(texts(await lockAll(c2d))).toEqual(["a", "b", "c"]);
    }));

  test("a message past its time is not handed out, still counts, and expires once", () =>
    inWorld(open, async ({ c2d }) => {
      await send(c2d, "short", 2000);
      await send(c2d, "long", 9000);
      await send(c2d, "locked", 2000);
      expect(texts(await lockAll(c2d, 1999, 5000, 1))).toEqual(["short"]);
      expect(texts(await lockAll(c2d, 2000, 5000))).toEqual(["long"]);
      expect(await c2d.count(queue)).toBe(3);
      expect(await c2d.expire(queue, 1999)).toEqual([]);
      const expired = await c2d.expire(queue, 2000);
      expect(texts(expired)).toEqual(["short", "locked"]);
      expect(expired[0]).toMatchObject({ state: "locked", expiresAtMs: 2000 });
      expect(await c2d.expire(queue, 2000)).toEqual([]);
      expect(await c2d.count(queue)).toBe(1);
    }));

  test("completed with feedback pending, a message waits for nobody and is not delivered again", () =>
    inWorld(open, async ({ c2d }) => {
      await sendAll(c2d, "a", "b");
      const [a] = await lockAll(c2d, 2000, 3000, 1);
      expect(await c2d.complete(...lockOf(a!), true)).toEqual({ ok: true });
      expect(await c2d.complete(...lockOf(a!), true)).toEqual({ ok: false });
      expect(await c2d.count(queue)).toBe(1);
      await c2d.release(queue, "all");
      expect(texts(await lockAll(c2d, 9000, 9500))).toEqual(["b"]);
      expect(await c2d.queues()).toEqual([queue]);
      expect(texts(await c2d.expire(queue, 99_000))).toEqual(["b"]);
      expect(await c2d.queues()).toEqual([queue]);
      expect(await c2d.purge(queue)).toEqual([]);
      expect(await c2d.queues()).toEqual([]);
    }));

  test("what became of a message stays with it until its feedback is removed", () =>
    inWorld(open, async ({ c2d }) => {
      const sendWith = async (ack: string | undefined, expiresAtMs: number): Promise<void> => {
        const properties = { text: String(ack), system: ack === undefined ? {} : { ack } };
        const message = { enqueuedAtMs: 1000, expiresAtMs, properties, body: encoder.encode("x") };
        await c2d.enqueue(queue, message, 50);
      };
      for (const expiresAtMs of [5_000, 50_000]) {
        for (const ack of [undefined, "none", "positive", "negative", "full"]) {
          await sendWith(ack, expiresAtMs);
        }
      }
      expect(await c2d.feedbackQueues()).toEqual([]);
      const [first] = await lockAll(c2d, 2000, 3000, 1);
      const success = { statusCode: "Success", atMs: 2500 } as const;
      expect(await c2d.complete(...lockOf(first!), success)).toEqual({ ok: true });
      const expired = await c2d.expire(queue, 6_000, { statusCode: "Expired", atMs: 6_000 });
      expect(texts(expired)).toEqual(["none", "positive", "negative", "full"]);
      const purged = await c2d.purge(queue, { statusCode: "Purged", atMs: 7_000 });
      expect(purged).toHaveLength(5);
      expect(await c2d.count(queue)).toBe(0);
      expect(await c2d.feedbackQueues()).toEqual([queue]);
      const pending = await c2d.pendingFeedback(queue);
      const shown = pending.map(({ sequence, state, lockToken, lockedUntilMs }) => [
        sequence,
        state,
        lockToken,
        lockedUntilMs,
      ]);
      expect(shown).toEqual([
        [1, "feedbackPending", "Success", 2500],
        [4, "feedbackPending", "Expired", 6_000],
        [5, "feedbackPending", "Expired", 6_000],
        [9, "feedbackPending", "Purged", 7_000],
        [10, "feedbackPending", "Purged", 7_000],
      ]);
      await c2d.removeFeedback([
        { queue, sequence: 1 },
        { queue, sequence: 5 },
        { queue: "other@1", sequence: 4 },
      ]);
      const left = await c2d.pendingFeedback(queue);
      expect(left.map(({ sequence }) => sequence)).toEqual([4, 9, 10]);
      await c2d.removeFeedback(left.map(({ sequence }) => ({ queue, sequence })));
      expect(await c2d.feedbackQueues()).toEqual([]);
      expect(await c2d.queues()).toEqual([]);
    }));

  test("feedback of a message that is not done is not removed", () =>
    inWorld(open, async ({ c2d }) => {
      await sendAll(c2d, "a");
      await c2d.removeFeedback([{ queue, sequence: 1 }]);
      expect(await c2d.count(queue)).toBe(1);
    }));

  test("purge returns what was still to be delivered and repeats no number afterwards", () =>
    inWorld(open, async ({ c2d }) => {
      await sendAll(c2d, "a", "b", "c");
      const [a, b] = await lockAll(c2d, 2000, 3000, 2);
      await c2d.complete(...lockOf(a!), true);
      const purged = await c2d.purge(queue);
      expect(texts(purged)).toEqual(["b", "c"]);
      expect(await c2d.count(queue)).toBe(0);
      expect(await c2d.complete(...lockOf(b!), false)).toEqual({ ok: false });
      expect(await c2d.purge(queue)).toEqual([]);
      const next = await send(c2d, "d");
      expect(next.ok && next.sequence).toBe(purged[1]!.sequence + 1);
    }));

  test("queues are apart, whatever their names, and only those that hold something are listed", () =>
    inWorld(open, async ({ c2d }) => {
      const keys = [...new Set(oddKeys)];
      for (const key of keys) {
        const message = {
          enqueuedAtMs: 1,
          expiresAtMs: 9000,
          properties: { key },
          body: encoder.encode(key),
        };
        await c2d.enqueue(key, message, 50);
      }
      expect((await c2d.queues()).toSorted()).toEqual(keys.toSorted());
      for (const key of keys) {
        const locked = await c2d.lock(key, { limit: 9, nowMs: 1, lockedUntilMs: 2 });
        expect(locked.map(({ properties }) => properties)).toEqual([{ key }]);
        await c2d.complete(key, locked[0]!.sequence, locked[0]!.lockToken!, false);
      }
      expect(await c2d.queues()).toEqual([]);
      expect(await c2d.count("never seen")).toBe(0);
      expect(await c2d.purge("never seen")).toEqual([]);
    }));

  test("the body is the store's own copy, up to 64 KB", () =>
    inWorld(open, async ({ c2d }) => {
      const body = new Uint8Array(65_536).fill(7);
      const view = body.subarray(0, 65_536);
      const sent = c2d.enqueue(
        queue,
        { enqueuedAtMs: 1, expiresAtMs: 9000, properties: {}, body: view },
        50,
      );
      body.fill(9);
      await sent;
      const [message] = await lockAll(c2d);
      expect(message?.body).toEqual(new Uint8Array(65_536).fill(7));
      message!.body.fill(1);
      await c2d.release(queue, "all");
      expect((await lockAll(c2d))[0]?.body).toEqual(new Uint8Array(65_536).fill(7));
      await c2d.enqueue(
        queue,
        { enqueuedAtMs: 1, expiresAtMs: 9000, properties: {}, body: new Uint8Array(0) },
        50,
      );
      expect((await lockAll(c2d))[0]?.body).toEqual(new Uint8Array(0));
    }));

  test("after a restart messages and numbers are there, and no lock survives releaseEverything", () =>
    inWorld(open, async (stores, { reopen, restart }) => {
      if (reopen === undefined) return;
      await sendAll(stores.c2d, "a", "b", "c");
      const [a, b] = await lockAll(stores.c2d, 2000, 9000);
      await stores.c2d.complete(...lockOf(a!), false);
      const { c2d } = await restart();
      await c2d.releaseEverything();
      expect(texts(await lockAll(c2d, 2000, 9000, 1))).toEqual(["b"]);
      expect(await c2d.complete(...lockOf(b!), false)).toEqual({ ok: false });
      expect(await c2d.purge(queue)).toHaveLength(2);
      const { c2d: later } = await restart();
      const next = await send(later, "d");
      expect(next.ok && next.sequence).toBe(b!.sequence + 2);
    }));
}
