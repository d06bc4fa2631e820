import type { Collection, Expected, FeedbackOutcome, MemberValues } from "../../domain/ports.ts";

/** What crosses to the worker thread: plain data, values as JSON text. */
export type Operation =
  | { name: "get"; collection: Collection; key: string }
  | { name: "getMany"; collection: Collection; keys: readonly string[] }
  | { name: "put"; collection: Collection; key: string; json: string; expected: Expected }
  | { name: "delete"; collection: Collection; key: string; expected: Expected }
  | { name: "list"; collection: Collection; prefix: string; after: string; limit: number }
  | {
      name: "lookup";
      collection: Collection;
      /** As SQLite's JSON functions take it. */
      path: string;
      values: readonly MemberValues[];
      after: string;
      limit: number;
    }
  | {
      name: "enqueue";
      queue: string;
      enqueuedAtMs: number;
      expiresAtMs: number;
      json: string;
      body: Uint8Array;
      depthMax: number;
    }
  | {
      name: "lock";
      queue: string;
      limit: number;
      nowMs: number;
      lockedUntilMs: number;
      /** Random; each message's token is made from it and its sequence number. */
      token: string;
    }
  | {
      name: "extend";
      queue: string;
      sequence: number;
      lockToken: string;
      lockedUntilMs: number;
    }
  | {
      name: "complete";
      queue: string;
      sequence: number;
      lockToken: string;
      keepForFeedback: boolean | FeedbackOutcome;
    }
  | { name: "release"; queue: string; lock: { sequence: number; lockToken: string } | "all" }
  | { name: "expire"; queue: string; nowMs: number; outcome: FeedbackOutcome | undefined }
  | { name: "count"; queue: string }
  | { name: "purge"; queue: string; outcome: FeedbackOutcome | undefined }
  | { name: "feedbackQueues" }
  | { name: "pendingFeedback"; queue: string }
  | { name: "removeFeedback"; messages: readonly { queue: string; sequence: number }[] }
  | { name: "queues" }
  | { name: "releaseEverything" }
  /** Writes and removes some pages: whether the disk takes anything at all. */
  | { name: "probe" };

export type StoredDocument = { key: string; json: string; revision: number };
export type StoredPut =
  | { ok: true; revision: number }
  | { ok: false; current: StoredDocument | undefined };

/** A row of the `messages` table. */
export type StoredMessage = {
  sequence: number;
  enqueuedAtMs: number;
  expiresAtMs: number;
  json: string;
  body: Uint8Array;
  state: number;
  lockToken: string | null;
  lockedUntilMs: number | null;
  deliveryCount: number;
};

/** An SQL error: `code` is SQLite's primary result code, 0 when it was none of SQLite's. */
export type Failure = { code: number; message: string };
export type Outcome = { value: unknown } | { failure: Failure };

/** Main thread to worker. */
export type Request = { batch: readonly Operation[] } | { close: true };
/** Worker to main thread: `ready` or `refused` once, then one answer a batch, in order. */
export type Reply =
  | { ready: true; upgradedFrom: number | undefined }
  | { refused: { code: "newer" | "corrupt" | "readOnly" | "full" | "other"; message: string } }
  | { outcomes: Outcome[] };

export type WorkerSettings = {
  path: string;
  /** Past it writes fail as on a full disk. */
  bytesMax: number;
};
