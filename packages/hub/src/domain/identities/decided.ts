import { isDeepStrictEqual } from "node:util";
import type { Collection, Document, DocumentStore, PutResult } from "../ports.ts";

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const isAsExpected = (current: Document | undefined, expected: number | "absent"): boolean =>
  expected === "absent" ? current === undefined : current?.revision === expected;

/**
 * A compare-and-set whose answer can be trusted: when the store fails in a way that leaves open whether it wrote, the
 * document is read again and decides. Rejects only when nothing was written, or nothing can be learnt.
 */
export async function putDecided(
  documents: DocumentStore,
  collection: Collection,
  key: string,
  value: unknown,
  expected: number | "absent",
): Promise<PutResult> {
  try {
    return await documents.put(collection, key, value, expected);
  } catch (error) {
    const current = await documents.get(collection, key);
    if (isAsExpected(current, expected)) throw error;
    if (current !== undefined && isDeepStrictEqual(asJson(current.value), asJson(value))) {
      return { ok: true, revision: current.revision };
    }
    return { ok: false, current };
  }
}

/** The same for a delete: gone is gone, whatever the store said. */
export async function deleteDecided(
  documents: DocumentStore,
  collection: Collection,
  key: string,
  expected: number,
): Promise<{ ok: boolean }> {
  try {
    return await documents.delete(collection, key, expected);
  } catch (error) {
    const current = await documents.get(collection, key);
    if (current === undefined) return { ok: true };
    if (current.revision === expected) throw error;
    return { ok: false };
  }
}
