import { randomUUID } from "node:crypto";
import type {
  C2dQueueStore,
  Document,
  DocumentStore,
  PutResult,
  QueuedMessage,
} from "../../domain/ports.ts";
import { checkKey, toJson } from "../keys.ts";
import { areIndexable, memberPath } from "../members.ts";
import type { OperationQueue } from "./operation-queue.ts";
import type { Operation, StoredDocument, StoredMessage, StoredPut } from "./operations.ts";
import { messageStates } from "./sql-queues.ts";

const toDocument = ({ key, json, revision }: StoredDocument): Document => ({
  key,
  value: JSON.parse(json) as unknown,
  revision,
});

const toMessage = (stored: StoredMessage): QueuedMessage => {
  const { json, state, lockToken, lockedUntilMs, ...rest } = stored;
  return {
    ...rest,
    properties: JSON.parse(json) as unknown,
    state: messageStates[state]!,
    lockToken: lockToken ?? undefined,
    lockedUntilMs: lockedUntilMs ?? undefined,
  };
};

/** The port's calls as operations, their answers as the port's shapes. */
export function documentStore(database: OperationQueue): DocumentStore {
  const run = async <T>(operation: Operation): Promise<T> => (await database.run(operation)) as T;
  return {
    async get(collection, key) {
      checkKey(key);
      const found = await run<StoredDocument | undefined>({ name: "get", collection, key });
      return found && toDocument(found);
    },
    async getMany(collection, keys) {
      for (const key of keys) checkKey(key);
      if (keys.length === 0) return [];
      const found = await run<(StoredDocument | undefined)[]>({
        name: "getMany",
        collection,
        keys,
      });
      return found.map((one) => one && toDocument(one));
    },
    async put(collection, key, value, expected): Promise<PutResult> {
      checkKey(key);
      const json = toJson(value);
      const put = await run<StoredPut>({ name: "put", collection, key, json, expected });
      return put.ok ? put : { ok: false, current: put.current && toDocument(put.current) };
    },
    async delete(collection, key, expected) {
      checkKey(key);
      return run({ name: "delete", collection, key, expected });
    },
    async list(collection, { prefix = "", after = "", limit }) {
      const found = await run<StoredDocument[]>({ name: "list", collection, prefix, after, limit });
      return found.map(toDocument);
    },
    async lookup(collection, { path, values, after = "", limit }) {
      const text = memberPath(path);
      if (text === undefined || !areIndexable(values)) return undefined;
      return run({ name: "lookup", collection, path: text, values, after, limit });
    },
  };
}

export function queueStore(database: OperationQueue): C2dQueueStore {
  const run = async <T>(operation: Operation): Promise<T> => (await database.run(operation)) as T;
  const messages = async (operation: Operation): Promise<QueuedMessage[]> =>
    (await run<StoredMessage[]>(operation)).map(toMessage);
  return {
    async enqueue(queue, message, depthMax) {
      checkKey(queue);
      const { enqueuedAtMs, expiresAtMs, properties } = message;
      const json = toJson(properties);
      // The message is posted at the end of the turn; by then the caller may have used its buffer again.
      const body = message.body.slice();
      return run({ name: "enqueue", queue, enqueuedAtMs, expiresAtMs, json, body, depthMax });
    },
    async lock(queue, { limit, nowMs, lockedUntilMs }) {
      const token = randomUUID();
      return messages({ name: "lock", queue, limit, nowMs, lockedUntilMs, token });
    },
    extend: (queue, sequence, lockToken, lockedUntilMs) =>
      run({ name: "extend", queue, sequence, lockToken, lockedUntilMs }),
    complete: (queue, sequence, lockToken, keepForFeedback) =>
      run({ name: "complete", queue, sequence, lockToken, keepForFeedback }),
    release: (queue, lock) => run({ name: "release", queue, lock }),
    expire: (queue, nowMs, outcome) => messages({ name: "expire", queue, nowMs, outcome }),
    count: (queue) => run({ name: "count", queue }),
    purge: (queue, outcome) => messages({ name: "purge", queue, outcome }),
    feedbackQueues: () => run({ name: "feedbackQueues" }),
    pendingFeedback: (queue) => messages({ name: "pendingFeedback", queue }),
    removeFeedback: (removed) => run({ name: "removeFeedback", messages: [...removed] }),
    queues: () => run({ name: "queues" }),
    releaseEverything: () => run({ name: "releaseEverything" }),
  };
}
