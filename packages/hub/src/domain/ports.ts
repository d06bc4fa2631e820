/**
 * What the domain asks of storage. Small on purpose: compare-and-set on one document, a few whole operations on one
 * device's queue, one append log. An embedded file and a distributed engine can both keep these promises.
 */

/** JSON as the stores see it: opaque plain data. */
export type Document = { key: string; value: unknown; revision: number };

/**
 * - `identities` key deviceId, or `deviceId/moduleId` for modules (ids never contain `/`)
 * - `twins`      key identity key + `@` + generationId; a missing twin of an existing identity is the fresh twin
 * - `sessions`   key as twins: persisted MQTT subscriptions of clean=0 sessions
 * - `hub`        one-off documents: policies, CA references, settings fixed at creation
 */
export type Collection = "identities" | "twins" | "sessions" | "hub";

/** What the stored document must look like for a write to happen. */
export type Expected = number | "absent" | "any";

export type PutResult =
  | { ok: true; revision: number }
  | { ok: false; current: Document | undefined };

/** A member of documents: names, and numbers for elements of arrays. */
export type MemberPath = readonly (string | number)[];

/** Values a member may have: one, or all numbers or texts of a span, its ends included, in code unit order. */
export type MemberValues =
  | { equals: string | number | boolean }
  | { type: "number"; from: number | undefined; to: number | undefined }
  | { type: "string"; from: string | undefined; to: string | undefined };

/** A `lookup` that is not by equality answers with up to this many keys; where more fit it gives up. */
export const lookupKeysMax = 5_000;

export interface DocumentStore {
  get(collection: Collection, key: string): Promise<Document | undefined>;
  /** What `get` gives for each key, in their order. */
  getMany(collection: Collection, keys: readonly string[]): Promise<(Document | undefined)[]>;
  /** Durable when it resolves. A failed expectation is a result, never an exception. */
  put(collection: Collection, key: string, value: unknown, expected: Expected): Promise<PutResult>;
  delete(collection: Collection, key: string, expected: Expected): Promise<{ ok: boolean }>;
  /** In key order (UTF-16 code unit order), keys strictly after `after`, at most `limit`. */
  list(
    collection: Collection,
    options: { prefix?: string; after?: string; limit: number },
  ): Promise<Document[]>;
  /**
   * Keys of the documents whose member at `path` has one of the values: in key order, strictly after `after`, at most
   * `limit`. There may be keys among them that do not fit, so the caller reads and checks; none that fits is left out.
   * Undefined: the store cannot do it faster than `list`, because too many fit or the path is too odd to be indexed. An
   * index is made at the first lookup of a path in a large collection and kept up from then on.
   */
  lookup(
    collection: Collection,
    options: {
      path: MemberPath;
      values: readonly MemberValues[];
      after?: string;
      limit: number;
    },
  ): Promise<string[] | undefined>;
}

/** A cloud-to-device message at rest. */
export type QueuedMessage = {
  /** Grows by one per enqueue in this queue, never reused: queue order. */
  sequence: number;
  enqueuedAtMs: number;
  /** Unix ms; Infinity is not allowed: the TTL always gives one. */
  expiresAtMs: number;
  /** Plain data: properties as the domain wrote them. */
  properties: unknown;
  body: Uint8Array;
  state: "enqueued" | "locked" | "feedbackPending";
  lockToken: string | undefined;
  lockedUntilMs: number | undefined;
  /** How often it was locked. */
  deliveryCount: number;
};

/** How a message ended, for the feedback its sender asked for; `atMs` is the wall clock. */
export type FeedbackOutcome = {
  statusCode: "Success" | "Expired" | "DeliveryCountExceeded" | "Rejected" | "Purged";
  atMs: number;
};

/** Queue key as the twins' key: identity key + `@` + generationId. */
export interface C2dQueueStore {
  enqueue(
    queue: string,
    message: { enqueuedAtMs: number; expiresAtMs: number; properties: unknown; body: Uint8Array },
    depthMax: number,
  ): Promise<{ ok: true; sequence: number } | { ok: false; reason: "full" }>;
  /** Locks up to `limit` messages in queue order; skips locked and expired ones. A lock past its time is no lock. */
  lock(
    queue: string,
    options: { limit: number; nowMs: number; lockedUntilMs: number },
  ): Promise<QueuedMessage[]>;
  /** Extends the lock of a message that is about to be sent again. False when the lock was lost. */
  extend(
    queue: string,
    sequence: number,
    lockToken: string,
    lockedUntilMs: number,
  ): Promise<{ ok: boolean }>;
  /**
   * Removes the message, or keeps it as feedbackPending: `lockToken` then is the outcome's status code and `lockedUntilMs`
   * its time. False when the lock token is no longer the current one.
   */
  complete(
    queue: string,
    sequence: number,
    lockToken: string,
    keepForFeedback: boolean | FeedbackOutcome,
  ): Promise<{ ok: boolean }>;
  /** Back to enqueued: one lock, or all locks of the queue. */
  release(queue: string, lock: { sequence: number; lockToken: string } | "all"): Promise<void>;
  /**
   * Removes and returns what is past its time in this queue (locked ones too). With an outcome those whose
   * `properties.system.ack` is `negative` or `full` stay as feedbackPending.
   */
  expire(queue: string, nowMs: number, outcome?: FeedbackOutcome): Promise<QueuedMessage[]>;
  /** Messages enqueued or locked. */
  count(queue: string): Promise<number>;
  /**
   * Removes everything; the messages that were still to be delivered are returned. With an outcome what waits for its
   * feedback stays, and so do, as feedbackPending, messages that ask for negative feedback.
   */
  purge(queue: string, outcome?: FeedbackOutcome): Promise<QueuedMessage[]>;
  /** Queues with messages that are feedbackPending: read once, at hub start. */
  feedbackQueues(): Promise<string[]>;
  /** The messages of a queue that are feedbackPending, in queue order. */
  pendingFeedback(queue: string): Promise<QueuedMessage[]>;
  /** Removes messages that are feedbackPending, all or none: their feedback was accepted. */
  removeFeedback(messages: readonly { queue: string; sequence: number }[]): Promise<void>;
  /** Every queue that holds something, for sweeps. */
  queues(): Promise<string[]>;
  /** At hub start: no connection survives a restart, so no lock does. */
  releaseEverything(): Promise<void>;
}

export type PartitionInfo = {
  firstSequenceNumber: number;
  nextSequenceNumber: number;
  /** Position of the newest record's last byte: reading from `lastOffset + 1` begins behind it. -1 when there never was one. */
  lastOffset: number;
  lastEnqueuedTimeMs: number;
};

export type TelemetryStart =
  | "first"
  | "end"
  | { sequenceNumber: number }
  | { offset: number }
  | { enqueuedTimeMs: number };

export type TelemetryRecord = {
  partition: number;
  sequenceNumber: number;
  offset: number;
  enqueuedTimeMs: number;
  bytes: Uint8Array;
};

/** The telemetry log. `packages/log` behind it, or memory. Its hot path has no promise per record. */
export interface TelemetryStore {
  readonly partitionCount: number;
  /** Whether `append` would accept a record now. */
  readonly healthy: boolean;
  /** Copies head and chunk[start, end) as one record; returns its ordinal. Throws IotError `store.unavailable` when unhealthy or full. */
  append(
    partition: number,
    head: Uint8Array,
    chunk: Uint8Array,
    start: number,
    end: number,
  ): number;
  /** Everything up to and including `ordinal` is durable. */
  onCommit(listener: (ordinal: number) => void): () => void;
  /** These ordinals (inclusive) are lost and must not be acknowledged. */
  onFailure(listener: (firstOrdinal: number, lastOrdinal: number) => void): () => void;
  partition(index: number): PartitionInfo;
  read(
    partition: number,
    from: TelemetryStart,
    limits: { recordsMax: number; bytesMax: number },
  ): Promise<TelemetryRecord[]>;
}

export interface Stores extends AsyncDisposable {
  readonly documents: DocumentStore;
  readonly c2d: C2dQueueStore;
  readonly telemetry: TelemetryStore;
  /** Undefined when everything can be written; else why not, in words. */
  readonly unhealthyReason: string | undefined;
  onHealth(listener: (unhealthyReason: string | undefined) => void): () => void;
}
