import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Operation, StoredMessage } from "./operations.ts";

type Of<Name> = Extract<Operation, { name: Name }>;

export const messageStates = ["enqueued", "locked", "feedbackPending"] as const;

const row = `sequence, enqueued_at_ms AS enqueuedAtMs, expires_at_ms AS expiresAtMs, json, body, state,
  lock_token AS lockToken, locked_until_ms AS lockedUntilMs, delivery_count AS deliveryCount`;
const noLock = "lock_token = NULL, locked_until_ms = NULL";
/** The lock's columns hold how the message ended, and when. */
const pending = "state = 2, lock_token = ?, locked_until_ms = ?";
const wantsNegative = "json_extract(json, '$.system.ack') IN ('negative', 'full')";
const unlocked = `state = 0, ${noLock}`;
const thisLock = "queue = ? AND sequence = ? AND state = 1 AND lock_token = ?";

/** Cloud-to-device queues in SQL. Every method runs inside a transaction of the caller's. */
export class SqlQueues {
  readonly #sql: (text: string) => StatementSync;

  constructor(database: DatabaseSync) {
    const prepared = new Map<string, StatementSync>();
    this.#sql = (text) => {
      const found = prepared.get(text) ?? database.prepare(text);
      prepared.set(text, found);
      return found;
    };
  }

  enqueue(
    operation: Of<"enqueue">,
  ): { ok: true; sequence: number } | { ok: false; reason: "full" } {
    const { queue, enqueuedAtMs, expiresAtMs, json, body, depthMax } = operation;
    if (this.count(queue) >= depthMax) return { ok: false, reason: "full" };
    const taken = this.#sql(
      `INSERT INTO queues (queue, next_sequence) VALUES (?, 2)
       ON CONFLICT (queue) DO UPDATE SET next_sequence = next_sequence + 1
       RETURNING next_sequence - 1 AS sequence`,
    ).get(queue);
    const sequence = Number(taken?.["sequence"]);
    this.#sql(
      `INSERT INTO messages (queue, sequence, enqueued_at_ms, expires_at_ms, json, body, state, delivery_count)
       VALUES (?, ?, ?, ?, ?, ?, 0, 0)`,
    ).run(queue, sequence, enqueuedAtMs, expiresAtMs, json, body);
    return { ok: true, sequence };
  }

  lock({ queue, limit, nowMs, lockedUntilMs, token }: Of<"lock">): StoredMessage[] {
    // A lock past its time is no lock.
    const free = this.#sql(
      `SELECT ${row} FROM messages
       WHERE queue = ? AND expires_at_ms > ? AND (state = 0 OR (state = 1 AND locked_until_ms <= ?))
       ORDER BY sequence LIMIT ?`,
    ).all(queue, nowMs, nowMs, limit) as StoredMessage[];
    const take = this.#sql(
      `UPDATE messages SET state = 1, lock_token = ?, locked_until_ms = ?, delivery_count = delivery_count + 1
       WHERE queue = ? AND sequence = ?`,
    );
    return free.map((message) => {
      const lockToken = `${token}-${message.sequence}`;
      take.run(lockToken, lockedUntilMs, queue, message.sequence);
      const deliveryCount = message.deliveryCount + 1;
      return { ...message, state: 1, lockToken, lockedUntilMs, deliveryCount };
    });
  }

  extend({ queue, sequence, lockToken, lockedUntilMs }: Of<"extend">): { ok: boolean } {
    const { changes } = this.#sql(`UPDATE messages SET locked_until_ms = ? WHERE ${thisLock}`).run(
      lockedUntilMs,
      queue,
      sequence,
      lockToken,
    );
    return { ok: changes === 1 };
  }

  complete({ queue, sequence, lockToken, keepForFeedback }: Of<"complete">): { ok: boolean } {
    if (keepForFeedback === false) {
      const removed = this.#sql(`DELETE FROM messages WHERE ${thisLock}`);
      return { ok: removed.run(queue, sequence, lockToken).changes === 1 };
    }
    const [statusCode, atMs] =
      keepForFeedback === true ? [null, null] : [keepForFeedback.statusCode, keepForFeedback.atMs];
    const kept = this.#sql(`UPDATE messages SET ${pending} WHERE ${thisLock}`);
    return { ok: kept.run(statusCode, atMs, queue, sequence, lockToken).changes === 1 };
  }

  release({ queue, lock }: Of<"release">): void {
    if (lock === "all") {
      this.#sql(`UPDATE messages SET ${unlocked} WHERE queue = ? AND state = 1`).run(queue);
    } else {
      const { sequence, lockToken } = lock;
      this.#sql(`UPDATE messages SET ${unlocked} WHERE ${thisLock}`).run(
        queue,
        sequence,
        lockToken,
      );
    }
  }

  expire({ queue, nowMs, outcome }: Of<"expire">): StoredMessage[] {
    const due = "queue = ? AND state < 2 AND expires_at_ms <= ?";
    const found = this.#sql(`SELECT ${row} FROM messages WHERE ${due} ORDER BY sequence`);
    const expired = found.all(queue, nowMs) as StoredMessage[];
    if (expired.length > 0) {
      if (outcome !== undefined) {
        this.#sql(`UPDATE messages SET ${pending} WHERE ${due} AND ${wantsNegative}`).run(
          outcome.statusCode,
          outcome.atMs,
          queue,
          nowMs,
        );
      }
      this.#sql(`DELETE FROM messages WHERE ${due}`).run(queue, nowMs);
    }
    return expired;
  }

  count(queue: string): number {
    const counted = this.#sql(
      "SELECT count(*) AS n FROM messages WHERE queue = ? AND state < 2",
    ).get(queue);
    return Number(counted?.["n"]);
  }

  purge({ queue, outcome }: Of<"purge">): StoredMessage[] {
    const waiting = this.#sql(
      `SELECT ${row} FROM messages WHERE queue = ? AND state < 2 ORDER BY sequence`,
    ).all(queue) as StoredMessage[];
    if (outcome === undefined) {
      this.#sql("DELETE FROM messages WHERE queue = ?").run(queue);
      return waiting;
    }
    this.#sql(
      `UPDATE messages SET ${pending} WHERE queue = ? AND state < 2 AND ${wantsNegative}`,
    ).run(outcome.statusCode, outcome.atMs, queue);
    this.#sql("DELETE FROM messages WHERE queue = ? AND state < 2").run(queue);
    return waiting;
  }

  feedbackQueues(): string[] {
    const rows = this.#sql("SELECT DISTINCT queue FROM messages WHERE state = 2").all();
    return rows.map((found) => String(found["queue"]));
  }

  pendingFeedback(queue: string): StoredMessage[] {
    return this.#sql(
      `SELECT ${row} FROM messages WHERE queue = ? AND state = 2 ORDER BY sequence`,
    ).all(queue) as StoredMessage[];
  }

  removeFeedback({ messages }: Of<"removeFeedback">): void {
    const remove = this.#sql("DELETE FROM messages WHERE queue = ? AND sequence = ? AND state = 2");
    for (const { queue, sequence } of messages) remove.run(queue, sequence);
  }

  queues(): string[] {
    const rows = this.#sql("SELECT DISTINCT queue FROM messages ORDER BY queue").all();
    return rows.map((found) => String(found["queue"]));
  }

  releaseEverything(): void {
    this.#sql(`UPDATE messages SET ${unlocked} WHERE state = 1`).run();
  }
}
