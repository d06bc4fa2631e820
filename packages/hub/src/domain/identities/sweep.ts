import type { C2dQueueStore, Collection, Document, DocumentStore } from "../ports.ts";
import { recordOf, type IdentityRecord } from "./record.ts";

/** Small: a page is read and parsed in one go, and a hub that has just started has other things to do too. */
const pageSize = 100;

/** `identityKey@generationId`; ids may contain `@`, generation ids do not. */
function splitGenerationKey(key: string): { identity: string; generationId: string } {
  const at = key.lastIndexOf("@");
  return { identity: key.slice(0, at), generationId: key.slice(at + 1) };
}

async function* everyPage(
  documents: DocumentStore,
  collection: Collection,
): AsyncGenerator<Document[]> {
  let after: string | undefined;
  for (;;) {
    const options = after === undefined ? { limit: pageSize } : { after, limit: pageSize };
    const page = await documents.list(collection, options);
    yield page;
    after = page.at(-1)?.key;
    if (page.length < pageSize) return;
  }
}

/**
 * Removes what belongs to lives of identities that are over. A life that is over never comes back and nothing starts
 * before its identity is written, so a leftover found here cannot be in use; leftovers are read before their identities.
 * Page by page: a hub with 100,000 devices sweeps when it starts.
 */
export async function sweepLeftovers(
  documents: DocumentStore,
  c2d: C2dQueueStore | undefined,
): Promise<{ removed: number }> {
  let removed = 0;

  const read = async (keys: readonly string[]): Promise<(IdentityRecord | undefined)[]> => {
    const found = await documents.getMany("identities", keys);
    return found.map((document) => document && recordOf(document.value));
  };
  /** Whether each is a device, or a module of its device's present life. */
  const areOfLivingDevices = async (
    records: readonly (IdentityRecord | undefined)[],
  ): Promise<boolean[]> => {
    const modules = records.flatMap((one) => (one?.moduleId === undefined ? [] : [one]));
    const hosts = await read(modules.map(({ deviceId }) => deviceId));
    const lives = new Map(hosts.map((host, index) => [modules[index], host?.generationId]));
    return records.map(
      (one) =>
        one !== undefined &&
        (one.moduleId === undefined || lives.get(one) === one.deviceGenerationId),
    );
  };
  const areLiving = async (keys: readonly string[]): Promise<boolean[]> => {
    const named = keys.map(splitGenerationKey);
    const records = await read(named.map(({ identity }) => identity));
    const isOfLiving = await areOfLivingDevices(records);
    return records.map(
      (record, index) =>
        isOfLiving[index] === true && record?.generationId === named[index]?.generationId,
    );
  };

  for await (const page of everyPage(documents, "identities")) {
    const isLiving = await areOfLivingDevices(page.map(({ value }) => recordOf(value)));
    for (const [index, { key, revision }] of page.entries()) {
      if (isLiving[index] === true) continue;
      if ((await documents.delete("identities", key, revision)).ok) removed++;
    }
  }
  for (const collection of ["twins", "sessions"] as const) {
    for await (const page of everyPage(documents, collection)) {
      const isLiving = await areLiving(page.map(({ key }) => key));
      for (const [index, { key }] of page.entries()) {
        if (isLiving[index] === true) continue;
        await documents.delete(collection, key, "any");
        removed++;
      }
    }
  }
  const queues = (await c2d?.queues()) ?? [];
  for (let from = 0; from < queues.length; from += pageSize) {
    const some = queues.slice(from, from + pageSize);
    const isLiving = await areLiving(some);
    for (const [index, queue] of some.entries()) {
      if (isLiving[index] === true) continue;
      await c2d?.purge(queue);
      removed++;
    }
  }
  return { removed };
}
