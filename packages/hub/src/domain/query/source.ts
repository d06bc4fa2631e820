import type { Document, DocumentStore } from "../ports.ts";
import { lookupKeysMax } from "../ports.ts";
import type { Hit } from "./load.ts";
import type { QueryOptions } from "./parts.ts";
import type { Access } from "./plan.ts";

export type Order = "identities" | "twins";

/** Hits in the order of their positions, strictly after one; fewer than `limit` only at the end. */
export type Source = (after: string, limit: number) => Promise<Hit[]>;

/** Members of one query that are looked up: each may cost an index. */
const lookupsMax = 3;
/** Documents read to see how selective a member is. */
const probeKeys = 200;

/** `identityKey@generationId`; ids may contain `@`, generation ids do not. */
const hitOfTwin = (key: string, twin?: Document): Hit => {
  const at = key.lastIndexOf("@");
  return {
    position: key,
    identityKey: key.slice(0, at),
    generationId: key.slice(at + 1),
    identity: undefined,
    twin,
  };
};

const hitOfIdentity = (key: string, identity?: Document): Hit => ({
  position: key,
  identityKey: key,
  generationId: undefined,
  identity,
  twin: undefined,
});

/**
 * Chooses among the ways that a query offers. A later page has to keep to the order the first one began in, and may come by
 * its documents in another way.
 */
export async function chooseSource(
  accesses: readonly Access[],
  started: { order: Order; after: string } | undefined,
  { documents, connections }: QueryOptions,
): Promise<{ order: Order; source: Source }> {
  const fits = (order: Order): boolean => started === undefined || started.order === order;
  if (fits("identities")) {
    for (const access of accesses) {
      const source = direct(access, documents, connections);
      if (source !== undefined) return { order: "identities", source };
    }
  }
  const members = accesses
    .flatMap((access) => (access.by === "member" ? [access] : []))
    .filter(({ collection }) => fits(collection))
    .slice(0, lookupsMax);
  let best: { access: (typeof members)[number]; found: number } | undefined;
  for (const access of members) {
    const keys = await look(documents, access, started?.after ?? "", probeKeys);
    if (keys === undefined) continue;
    if (best === undefined || keys.length < best.found) best = { access, found: keys.length };
    if (keys.length === 0) break;
  }
  if (best === undefined) {
    const order = started?.order ?? "identities";
    return { order, source: everything(order, documents) };
  }
  const { access } = best;
  const order = access.collection;
  const toHit = order === "twins" ? hitOfTwin : hitOfIdentity;
  const source: Source = async (after, limit) => {
    const keys = await look(documents, access, after, limit);
    // What fitted a lookup when the page began may be too much by now.
    if (keys === undefined) return everything(order, documents)(after, limit);
    return keys.map((key) => toHit(key));
  };
  return { order, source };
}

const look = (
  documents: DocumentStore,
  { collection, path, values }: Extract<Access, { by: "member" }>,
  after: string,
  limit: number,
): Promise<string[] | undefined> => documents.lookup(collection, { path, values, after, limit });

function everything(order: Order, documents: DocumentStore, prefix = ""): Source {
  return async (after, limit) => {
    const found = await documents.list(order, { prefix, after, limit });
    return found.map((one) =>
      order === "twins" ? hitOfTwin(one.key, one) : hitOfIdentity(one.key, one),
    );
  };
}

/** Ways that need no index; undefined for those that do, or would give too much. */
function direct(
  access: Access,
  documents: DocumentStore,
  connections: QueryOptions["connections"],
): Source | undefined {
  if (access.by === "member") return undefined;
  if (access.by === "prefix") return everything("identities", documents, access.prefix);
  const keys =
    access.by === "keys"
      ? access.keys
      : few(access.of === "seen" ? connections.seenKeys() : connections.connectedKeys());
  return (
    keys &&
    (async (after, limit) => firstAfter(keys, after, limit).map((key) => hitOfIdentity(key)))
  );
}

function few(keys: Iterable<string>): string[] | undefined {
  const found = new Set<string>();
  for (const key of keys) {
    found.add(key);
    if (found.size > lookupKeysMax) return undefined;
  }
  return [...found].toSorted();
}

function firstAfter(sorted: readonly string[], after: string, limit: number): string[] {
  const start = sorted.findIndex((key) => key > after);
  return start < 0 ? [] : sorted.slice(start, start + limit);
}
