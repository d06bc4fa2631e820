import type { C2dQueueStore, Collection, Document, DocumentStore } from "../ports.ts";
import { recordOf, type IdentityRecord } from "./record.ts";

const pageSize = 500;

/** `identityKey@generationId`; ids may contain `@`, generation ids do not. */
function splitGenerationKey(key: string): { identity: string; generationId: string } {
  const at = key.lastIndexOf("@");
  return { identity: key.slice(0, at), generationId: key.slice(at + 1) };
}

async function* everyDocument(
  documents: DocumentStore,
  collection: Collection,
): AsyncGenerator<Document> {
  let after: string | undefined;
  for (;;) {
    const options = after === undefined ? { limit: pageSize } : { after, limit: pageSize };
    const page = await documents.list(collection, options);
    yield* page;
    after = page.at(-1)?.key;
    if (page.length < pageSize) return;
  }
}

/**
 * Removes what belongs to lives of identities that are over. A life that is over never comes back and nothing starts
 * before its identity is written, so a leftover found here cannot be in use; the leftover is read before the identity.
 */
export async function sweepLeftovers(
  documents: DocumentStore,
  c2d: C2dQueueStore | undefined,
): Promise<{ removed: number }> {
  let removed = 0;

  const read = async (key: string): Promise<IdentityRecord | undefined> => {
    const document = await documents.get("identities", key);
    return document && recordOf(document.value);
  };
  const isOfLivingDevice = async (record: IdentityRecord): Promise<boolean> => {
    if (record.moduleId === undefined) return true;
    return (await read(record.deviceId))?.generationId === record.deviceGenerationId;
  };
  const isLiving = async (key: string): Promise<boolean> => {
    const { identity, generationId } = splitGenerationKey(key);
    const record = await read(identity);
    return record?.generationId === generationId && (await isOfLivingDevice(record));
  };

  for await (const { key, value, revision } of everyDocument(documents, "identities")) {
    if (await isOfLivingDevice(recordOf(value))) continue;
    if ((await documents.delete("identities", key, revision)).ok) removed++;
  }
  for (const collection of ["twins", "sessions"] as const) {
    for await (const { key } of everyDocument(documents, collection)) {
      if (await isLiving(key)) continue;
      await documents.delete(collection, key, "any");
      removed++;
    }
  }
  for (const queue of (await c2d?.queues()) ?? []) {
    if (await isLiving(queue)) continue;
    await c2d?.purge(queue);
    removed++;
  }
  return { removed };
}
