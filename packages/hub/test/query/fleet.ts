import { createMemoryStores } from "@hubwire/hub";
import { systemClock } from "@hubwire/transport";
import { createIdentities } from "../../src/domain/identities/index.ts";
import { silentLogger } from "../../src/domain/observe.ts";
import type { DocumentStore } from "../../src/domain/ports.ts";
import { createQueries } from "../../src/domain/query/index.ts";
import { generationKey, identityKey } from "../../src/domain/services.ts";
import type { IdentityRef, Presence, QueryPage } from "../../src/domain/services.ts";
import { createTwins } from "../../src/domain/twins/index.ts";

const away: Presence = {
  connected: false,
  connectionStateUpdatedAtMs: undefined,
  lastActivityAtMs: undefined,
};

export const device = (deviceId: string): IdentityRef => ({ deviceId, moduleId: undefined });
export const module = (deviceId: string, moduleId: string): IdentityRef => ({ deviceId, moduleId });

/** A registry with twins in memory, and queries over it that count what they read. */
export function createFleet() {
  const clock = systemClock();
  const stores = createMemoryStores({ clock });
  const { documents } = stores;
  const presences = new Map<string, Presence>();
  const connections = {
    find: () => undefined,
    presence: (ref: IdentityRef) => presences.get(identityKey(ref)) ?? away,
    connectedKeys: () =>
      [...presences].filter(([, { connected }]) => connected).map(([key]) => key),
    seenKeys: () => presences.keys(),
  };
  let seed = 1;
  const randomBytes = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, () => (seed = (seed * 48_271) % 2_147_483_647) & 0xff);
  const identities = createIdentities({ documents, clock, randomBytes, c2d: stores.c2d });
  const twins = createTwins({
    documents,
    identities,
    connections,
    clock,
    trackingId: () => "t",
    logger: silentLogger,
    c2d: {
      count: async (deviceId) => {
        const identity = await identities.find(device(deviceId));
        return stores.c2d.count(generationKey(device(deviceId), identity!.generationId));
      },
    },
  });
  const read = { documents: 0 };
  const counted: DocumentStore = {
    get: (...asked) => documents.get(...asked),
    put: (...asked) => documents.put(...asked),
    delete: (...asked) => documents.delete(...asked),
    lookup: (...asked) => documents.lookup(...asked),
    list: async (...asked) => {
      const found = await documents.list(...asked);
      read.documents += found.length;
      return found;
    },
    getMany: async (...asked) => {
      read.documents += asked[1].length;
      return documents.getMany(...asked);
    },
  };
  const query = createQueries({ documents: counted, connections, c2d: stores.c2d });
  /** The same, on a store that cannot look anything up. */
  const plain = createQueries({
    documents: { ...counted, lookup: async () => undefined },
    connections,
    c2d: stores.c2d,
  });

  const register = async (
    ref: IdentityRef,
    body: object = {},
    status: "enabled" | "disabled" = "enabled",
  ): Promise<void> => {
    await identities.create({
      ...ref,
      status,
      statusReason: undefined,
      authentication: undefined,
      capabilities: { iotEdge: false },
      managedBy: undefined,
    });
    if (Object.keys(body).length > 0) await twins.patch(ref, body, undefined);
  };

  return {
    stores,
    counted,
    connections,
    identities,
    twins,
    presences,
    query,
    plain,
    read,
    register,
  };
}

export type Fleet = ReturnType<typeof createFleet>;

/** Every page of a query, one after the other. */
export async function everyPage(
  query: Fleet["query"],
  text: string,
  pageSize?: number,
  between?: () => Promise<void>,
): Promise<QueryPage[]> {
  const pages: QueryPage[] = [];
  let continuation: string | undefined;
  do {
    if (pages.length > 0) await between?.();
    const page = await query.run({ text }, { pageSize, continuation });
    pages.push(page);
    continuation = page.continuation;
  } while (continuation !== undefined);
  return pages;
}

export const everyItem = async (
  query: Fleet["query"],
  text: string,
  pageSize?: number,
): Promise<unknown[]> => (await everyPage(query, text, pageSize)).flatMap(({ items }) => items);

export const idsOf = (items: readonly unknown[]): string[] =>
  items.map((item) => {
    const { deviceId, moduleId } = item as { deviceId: string; moduleId?: string };
    return moduleId === undefined ? deviceId : `${deviceId}/${moduleId}`;
  });
