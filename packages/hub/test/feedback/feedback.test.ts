import { VirtualClock } from "@hubwire/transport";
import { beforeEach, describe, expect, test } from "vitest";
import { createFeedback } from "../../src/domain/feedback/index.ts";
import type { FeedbackQueue } from "../../src/domain/feedback/index.ts";
import type { QueuedMessage } from "../../src/domain/ports.ts";
import { silentLogger } from "../../src/domain/observe.ts";

/** Rows that are feedbackPending, as a store keeps them over the hub's lives. */
class Rows {
  readonly rows: { queue: string; message: QueuedMessage }[] = [];
  add(queue: string, sequence: number, atMs: number, statusCode = "Success"): void {
    const message: QueuedMessage = {
      sequence,
      enqueuedAtMs: 0,
      expiresAtMs: 0,
      properties: { system: { messageId: `${queue}-${sequence}` } },
      body: new Uint8Array(0),
      state: "feedbackPending",
      lockToken: statusCode,
      lockedUntilMs: atMs,
      deliveryCount: 1,
    };
    this.rows.push({ queue, message });
  }
  feedbackQueues = async (): Promise<string[]> => [...new Set(this.rows.map(({ queue }) => queue))];
  pendingFeedback = async (wanted: string): Promise<QueuedMessage[]> =>
    this.rows.filter(({ queue }) => queue === wanted).map(({ message }) => message);
  removeFeedback = async (gone: readonly { queue: string; sequence: number }[]): Promise<void> => {
    for (const { queue, sequence } of gone) {
      const at = this.rows.findIndex(
        (row) => row.queue === queue && row.message.sequence === sequence,
      );
      if (at >= 0) this.rows.splice(at, 1);
    }
  };
}

let clock: VirtualClock;
let rows: Rows;
let living: Set<string>;

function life(): FeedbackQueue {
  let tokens = 0;
  return createFeedback({
    store: rows,
    identities: {
      find: async ({ deviceId }) =>
        living.has(deviceId) ? ({ generationId: "1" } as never) : undefined,
    },
    clock,
    logger: silentLogger,
    newLockToken: () => `token-${++tokens}`,
  });
}

beforeEach(() => {
  clock = new VirtualClock();
  rows = new Rows();
  living = new Set(["a", "b"]);
});

/** A message ends: the row is there, and the hub hears of it. */
function ended(feedback: FeedbackQueue, queue: string, sequence: number): void {
  rows.add(queue, sequence, clock.wallMs());
  feedback.onFeedback(queue, [sequence]);
}
const ids = (batch: { records: readonly { originalMessageId: string }[] } | undefined): string[] =>
  batch?.records.map(({ originalMessageId }) => originalMessageId) ?? [];

describe("batches", () => {
  test("the first comes at once, the next fifteen seconds later", async () => {
    const feedback = life();
    ended(feedback, "a@1", 1);
    expect(ids(await feedback.receive())).toEqual(["a@1-1"]);
    ended(feedback, "a@1", 2);
    ended(feedback, "b@1", 1);
    expect(await feedback.receive()).toBeUndefined();
    let ready = 0;
    feedback.onReady(() => ready++);
    await clock.advance(14_999);
    expect(ready).toBe(0);
    await clock.advance(1);
    expect(ready).toBe(1);
    expect(ids(await feedback.receive())).toEqual(["a@1-2", "b@1-1"]);
  });

  test("sixty-four records are a batch whatever the time", async () => {
    const feedback = life();
    ended(feedback, "a@1", 1);
    await feedback.receive();
    for (let i = 2; i <= 71; i++) ended(feedback, "a@1", i);
    expect((await feedback.receive())?.records).toHaveLength(64);
    expect(await feedback.receive()).toBeUndefined();
  });

  test("what is under a lock is in no other batch; completing removes it for good", async () => {
    const feedback = life();
    ended(feedback, "a@1", 1);
    const batch = await feedback.receive();
    await clock.advance(15_000);
    expect(await feedback.receive()).toBeUndefined();
    expect(await feedback.complete(batch!.lockToken)).toEqual({ ok: true });
    expect(rows.rows).toEqual([]);
    expect(await feedback.complete(batch!.lockToken)).toEqual({ ok: false });
    expect(await feedback.abandon(batch!.lockToken)).toEqual({ ok: false });
  });

  test("an abandoned batch comes again at once, and counts", async () => {
    const feedback = life();
    ended(feedback, "a@1", 1);
    const first = await feedback.receive();
    expect(first?.deliveryCount).toBe(1);
    await feedback.abandon(first!.lockToken);
    const second = await feedback.receive();
    expect(ids(second)).toEqual(["a@1-1"]);
    expect(second?.deliveryCount).toBe(2);
  });

  test("a lock that ran out gives the batch back, and completes nothing any more", async () => {
    const feedback = life();
    await feedback.start();
    ended(feedback, "a@1", 1);
    const first = await feedback.receive();
    await clock.advance(60_000);
    expect(await feedback.complete(first!.lockToken)).toEqual({ ok: false });
    expect(ids(await feedback.receive())).toEqual(["a@1-1"]);
    feedback.stop();
  });

  test("ten times is enough", async () => {
    const feedback = life();
    ended(feedback, "a@1", 1);
    for (let i = 0; i < 10; i++) await feedback.abandon((await feedback.receive())!.lockToken);
    expect(await feedback.receive()).toBeUndefined();
    expect(rows.rows).toEqual([]);
  });

  test("nobody hears of what is an hour old, nor of a device that is gone", async () => {
    const feedback = life();
    ended(feedback, "a@1", 1);
    await clock.advance(3_600_000);
    ended(feedback, "b@1", 1);
    living.delete("b");
    ended(feedback, "a@1", 2);
    expect(ids(await feedback.receive())).toEqual(["a@1-2"]);
    expect(rows.rows).toHaveLength(1);
  });
});

describe("a hub that is killed", () => {
  test("hands out again what nobody completed, and never what somebody had", async () => {
    const before = life();
    ended(before, "a@1", 1);
    const completed = await before.receive();
    await before.complete(completed!.lockToken);
    await clock.advance(15_000);
    ended(before, "a@1", 2);
    expect(ids(await before.receive())).toEqual(["a@1-2"]);
    // Killed here: its locks are gone with it.
    const after = life();
    await after.start();
    expect(ids(await after.receive())).toEqual(["a@1-2"]);
    after.stop();
  });

  test("a batch whose removal failed comes again", async () => {
    const feedback = life();
    ended(feedback, "a@1", 1);
    const batch = await feedback.receive();
    const remove = rows.removeFeedback;
    rows.removeFeedback = () => Promise.reject(new Error("disk"));
    await expect(feedback.complete(batch!.lockToken)).rejects.toThrow("disk");
    rows.removeFeedback = remove;
    expect(ids(await feedback.receive())).toEqual(["a@1-1"]);
  });
});
