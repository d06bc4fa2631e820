import type {
  C2dQueueStore,
  Collection,
  Document,
  DocumentStore,
  Stores,
  TelemetryStore,
} from "../../packages/hub/src/domain/ports.ts";

/** A mistake put in at the seam of the stores: the hub above and the disk below are the ones that ship. */
export type PlantedBug = { name: string; wrap: (stores: Stores) => Stores };

/** How much later than answered something is really written, ms: a kill comes in between often enough. */
const lateMs = 300;

function later(write: () => Promise<unknown>): void {
  setTimeout(() => void write().catch(() => {}), lateMs);
}

/** The same stores with other parts; getters and private fields stay the original's. */
function replace<T extends object>(inner: T, parts: Partial<T>): T {
  return new Proxy(inner, {
    get(target, name) {
      if (Object.hasOwn(parts, name)) return parts[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Records are acknowledged when they are taken in, whatever becomes of their commit. */
function hasty(inner: TelemetryStore): Partial<TelemetryStore> {
  const listeners = new Set<(ordinal: number) => void>();
  return {
    append(partition, head, chunk, start, end) {
      const ordinal = inner.append(partition, head, chunk, start, end);
      setImmediate(() => {
        for (const listener of listeners) listener(ordinal);
      });
      return ordinal;
    },
    onCommit(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onFailure: () => () => {},
  };
}

/** Documents of one collection are answered from memory and written a moment later. */
function writeBehind(inner: DocumentStore, collection: Collection): Partial<DocumentStore> {
  const ahead = new Map<string, { value: unknown; revision: number }>();
  return {
    async get(asked, key): Promise<Document | undefined> {
      const early = asked === collection ? ahead.get(key) : undefined;
      return early === undefined ? inner.get(asked, key) : { key, ...early };
    },
    async put(asked, key, value, expected) {
      if (asked !== collection) return inner.put(asked, key, value, expected);
      const revision = (ahead.get(key)?.revision ?? 1_000_000) + 1;
      ahead.set(key, { value, revision });
      later(() => inner.put(asked, key, value, "any"));
      return { ok: true, revision };
    },
  };
}

/** A message is accepted and written a moment later. */
function hastyQueue(inner: C2dQueueStore): Partial<C2dQueueStore> {
  let sequence = 1_000_000;
  return {
    async enqueue(queue, message, depthMax) {
      later(() => inner.enqueue(queue, message, depthMax));
      sequence += 1;
      return { ok: true, sequence };
    },
  };
}

/** Completed messages are gone from the hub's memory and not from its disk. */
function forgetfulQueue(inner: C2dQueueStore): Partial<C2dQueueStore> {
  const completed = new Map<string, number>();
  return {
    async complete(queue) {
      completed.set(queue, (completed.get(queue) ?? 0) + 1);
      return { ok: true };
    },
    count: async (queue) => (await inner.count(queue)) - (completed.get(queue) ?? 0),
  };
}

const documents = (collection: Collection): PlantedBug["wrap"] => {
  return (stores) =>
    replace(stores, {
      documents: replace(stores.documents, writeBehind(stores.documents, collection)),
    });
};

const queue = (wrap: (inner: C2dQueueStore) => Partial<C2dQueueStore>): PlantedBug["wrap"] => {
  return (stores) => replace(stores, { c2d: replace(stores.c2d, wrap(stores.c2d)) });
};

export const plantedBugs: PlantedBug[] = [
  {
    name: "PUBACK before the record is written",
    wrap: (stores) =>
      replace(stores, { telemetry: replace(stores.telemetry, hasty(stores.telemetry)) }),
  },
  { name: "a twin answered before it is written", wrap: documents("twins") },
  { name: "SUBACK before the session is written", wrap: documents("sessions") },
  { name: "an identity answered before it is written", wrap: documents("identities") },
  { name: "a C2D message accepted before it is written", wrap: queue(hastyQueue) },
  { name: "a C2D completion that never reaches the disk", wrap: queue(forgetfulQueue) },
];
