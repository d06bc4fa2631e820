import type { Clock } from "@hubwire/transport";
import type { DocumentStore, Stores, TelemetryStore } from "../../packages/hub/src/domain/ports.ts";
import { PacketKind, tap } from "./wire-tap.ts";
import type { PlantedBug } from "./world.ts";

/** Another part in place of one, everything else as it was; methods keep their own `this`. */
function replace<T extends object>(inner: T, parts: Partial<T>): T {
  return new Proxy(inner, {
    get(target, name) {
      if (Object.hasOwn(parts, name)) return parts[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

const withTelemetry = (
  stores: Stores,
  wrap: (inner: TelemetryStore) => Partial<TelemetryStore>,
): Stores => replace(stores, { telemetry: replace(stores.telemetry, wrap(stores.telemetry)) });

const withDocuments = (
  stores: Stores,
  wrap: (inner: DocumentStore) => Partial<DocumentStore>,
): Stores => replace(stores, { documents: replace(stores.documents, wrap(stores.documents)) });

/** Records that are acknowledged as soon as they are taken in. */
function hasty(inner: TelemetryStore, clock: Clock): Partial<TelemetryStore> {
  const listeners = new Set<(ordinal: number) => void>();
  return {
    append(partition, head, chunk, start, end) {
      const ordinal = inner.append(partition, head, chunk, start, end);
      clock.endOfTurn(() => {
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

/** Every mistake we thought worth making. Each sits at a seam, so the code under test is the code that ships. */
export const plantedBugs: PlantedBug[] = [
  {
    name: "PUBACK before the commit",
    stores: (stores, { clock }) => withTelemetry(stores, (inner) => hasty(inner, clock)),
  },
  {
    name: "a write cache that is not synced",
    stores: (stores, { clock }) =>
      withTelemetry(stores, (inner) => {
        const early = hasty(inner, clock);
        let ordinal = 0;
        let cache: Parameters<TelemetryStore["append"]>[] = [];
        const listeners = new Set<(ordinal: number) => void>();
        const flush = (): void => {
          clock.at(clock.nowMs() + 2000, flush);
          const writes = cache;
          cache = [];
          for (const write of writes) {
            try {
              inner.append(...write);
            } catch {
              return;
            }
          }
        };
        flush();
        return {
          ...early,
          append(partition, head, chunk, start, end) {
            cache.push([partition, head.slice(), chunk.slice(start, end), 0, end - start]);
            const mine = ++ordinal;
            clock.endOfTurn(() => {
              for (const listener of listeners) listener(mine);
            });
            return mine;
          },
          onCommit(listener) {
            listeners.add(listener);
            return () => listeners.delete(listener);
          },
        };
      }),
  },
  {
    name: "a record in a hundred is acknowledged and dropped",
    stores: (stores, { random }) =>
      withTelemetry(stores, (inner) => ({
        append(partition, head, chunk, start, end) {
          const whole = chunk.slice(start, end);
          // Another device's record in its place: nobody reads it, the ordinals stay whole.
          if (random.chance(0.01)) whole.fill(0x78, whole.length - 6);
          return inner.append(partition, head, whole, 0, whole.length);
        },
      })),
  },
  {
    name: "reused sequence numbers after a restart",
    stores: (stores, { life }) =>
      withTelemetry(stores, (inner) => {
        const base =
          life === 1
            ? [0, 0]
            : [0, 1].map((index) => Math.max(0, inner.partition(index).nextSequenceNumber - 2));
        return {
          read: async (partition, from, limits) =>
            (await inner.read(partition, from, limits)).map((record) => ({
              ...record,
              sequenceNumber:
                record.sequenceNumber >= (base[partition] ?? 0) && life > 1
                  ? record.sequenceNumber - 1
                  : record.sequenceNumber,
            })),
        };
      }),
  },
  {
    name: "records that change places on the way to a reader",
    stores: (stores) =>
      withTelemetry(stores, (inner) => ({
        async read(partition, from, limits) {
          const records = await inner.read(partition, from, limits);
          return records.map((record, index) => {
            const swap = record.sequenceNumber % 20;
            const other =
              swap === 7 ? records[index + 1] : swap === 8 ? records[index - 1] : undefined;
            return other === undefined ? record : { ...record, bytes: other.bytes };
          });
        },
      })),
  },
  {
    name: "a device's records spread over partitions",
    stores: (stores, { random }) =>
      withTelemetry(stores, (inner) => ({
        append: (partition, head, chunk, start, end) =>
          inner.append(random.chance(0.1) ? 1 - partition : partition, head, chunk, start, end),
      })),
  },
  {
    name: "subscriptions lost with the hub's memory",
    stores: (stores) =>
      withDocuments(stores, (inner) => ({
        async get(collection, key) {
          const found = await inner.get(collection, key);
          if (collection !== "sessions" || found === undefined) return found;
          const value = found.value as { subscriptions?: unknown[] };
          return { ...found, value: { ...value, subscriptions: [] } };
        },
      })),
  },
  {
    name: "a stale twin under a fresh revision",
    stores: (stores, { random }) =>
      withDocuments(stores, (inner) => {
        const before = new Map<string, unknown>();
        return {
          async get(collection, key) {
            const found = await inner.get(collection, key);
            if (collection !== "twins" || found === undefined) return found;
            const stale = before.get(key);
            before.set(key, found.value);
            return stale !== undefined && random.chance(0.2) ? { ...found, value: stale } : found;
          },
        };
      }),
  },
  {
    name: "a twin answered before its write",
    stores: (stores, { clock }) =>
      withDocuments(stores, (inner) => {
        const ahead = new Map<string, { value: unknown; revision: number }>();
        return {
          async get(collection, key) {
            const early = collection === "twins" ? ahead.get(key) : undefined;
            return early === undefined ? inner.get(collection, key) : { key, ...early };
          },
          async put(collection, key, value, expected) {
            if (collection !== "twins") return inner.put(collection, key, value, expected);
            const revision = (ahead.get(key)?.revision ?? 1_000_000) + 1;
            ahead.set(key, { value: structuredClone(value), revision });
            clock.at(clock.nowMs() + 60_000, () => {
              inner.put("twins", key, value, "any").catch(() => {});
            });
            return { ok: true, revision };
          },
        };
      }),
  },
  {
    name: "a C2D message removed when it is sent",
    stores: (stores) => {
      const inner = stores.c2d;
      return replace(stores, {
        c2d: replace(inner, {
          async lock(queue, options) {
            const locked = await inner.lock(queue, options);
            for (const { sequence, lockToken } of locked) {
              if (lockToken !== undefined) await inner.complete(queue, sequence, lockToken, false);
            }
            return locked;
          },
          complete: () => Promise.resolve({ ok: true }),
        }),
      });
    },
  },
  {
    name: "nothing is sent again after a reconnect",
    clientStream: (stream) =>
      tap(stream, {
        outgoing: (packets) =>
          packets.filter(({ type, flags }) => type !== PacketKind.publish || (flags & 8) === 0),
      }),
  },
  {
    name: "PUBACKs out of order",
    serverStream: (stream) =>
      tap(stream, {
        outgoing: (packets) => {
          const first = packets.findIndex(({ type }) => type === PacketKind.puback);
          const last = packets.findLastIndex(({ type }) => type === PacketKind.puback);
          const [a, b] = [packets[first], packets[last]];
          if (a === undefined || b === undefined) return packets;
          const changed = [...packets];
          changed[first] = b;
          changed[last] = a;
          return changed;
        },
      }),
  },
  {
    name: "a takeover that leaves the older connection",
    core: ({ connections }) => {
      const open = connections.open.bind(connections);
      connections.open = (link, options) => {
        const close = link.close.bind(link);
        link.close = (code, reason) => {
          if (code !== "connection.replaced") close(code, reason);
        };
        return open(link, options);
      };
    },
  },
  {
    name: "method answers given to whoever asked last",
    core: ({ methods }) => {
      const invoke = methods.invoke.bind(methods);
      let last: ReturnType<typeof invoke> | undefined;
      methods.invoke = (ref, call, signal) => {
        const mine = invoke(ref, call, signal);
        mine.catch(() => {});
        const answer = last ?? mine;
        last = mine;
        return answer;
      };
    },
  },
];
