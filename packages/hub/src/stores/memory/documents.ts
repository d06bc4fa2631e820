import type {
  Collection,
  Document,
  DocumentStore,
  Expected,
  PutResult,
} from "../../domain/ports.ts";
import { checkKey, toJson } from "../keys.ts";
import type { Operations } from "./operations.ts";

/** JSON text rather than the value: no caller shares a reference, and nothing survives here that would not on disk. */
type Stored = { json: string; revision: number };

/** What outlives a restart. */
export class DocumentsImage {
  /** Grows over all documents: a document that was deleted and made again never repeats a revision. */
  revision = 0;
  readonly collections: Record<Collection, Map<string, Stored>> = {
    identities: new Map(),
    twins: new Map(),
    sessions: new Map(),
    hub: new Map(),
  };
}

const toDocument = (key: string, stored: Stored): Document => ({
  key,
  value: JSON.parse(stored.json) as unknown,
  revision: stored.revision,
});

const asExpected = (stored: Stored | undefined, expected: Expected): boolean => {
  if (expected === "any") return true;
  if (expected === "absent") return stored === undefined;
  return stored?.revision === expected;
};

export class MemoryDocuments implements DocumentStore {
  readonly #image: DocumentsImage;
  readonly #operations: Operations;

  constructor(image: DocumentsImage, operations: Operations) {
    this.#image = image;
    this.#operations = operations;
  }

  async get(collection: Collection, key: string): Promise<Document | undefined> {
    checkKey(key);
    return this.#operations.run({ store: "documents", name: "get", key }, () => {
      const stored = this.#image.collections[collection].get(key);
      return stored && toDocument(key, stored);
    });
  }

  async put(
    collection: Collection,
    key: string,
    value: unknown,
    expected: Expected,
  ): Promise<PutResult> {
    checkKey(key);
    const json = toJson(value);
    return this.#operations.run({ store: "documents", name: "put", key }, (): PutResult => {
      const documents = this.#image.collections[collection];
      const stored = documents.get(key);
      if (!asExpected(stored, expected)) {
        return { ok: false, current: stored && toDocument(key, stored) };
      }
      const revision = ++this.#image.revision;
      documents.set(key, { json, revision });
      return { ok: true, revision };
    });
  }

  async delete(collection: Collection, key: string, expected: Expected): Promise<{ ok: boolean }> {
    checkKey(key);
    return this.#operations.run({ store: "documents", name: "delete", key }, () => {
      const documents = this.#image.collections[collection];
      const ok = asExpected(documents.get(key), expected);
      if (ok) documents.delete(key);
      return { ok };
    });
  }

  async list(
    collection: Collection,
    options: { prefix?: string; after?: string; limit: number },
  ): Promise<Document[]> {
    const { prefix = "", after = "", limit } = options;
    return this.#operations.run({ store: "documents", name: "list", key: prefix }, () => {
      const documents = this.#image.collections[collection];
      const keys = [...documents.keys()].filter((key) => key.startsWith(prefix) && key > after);
      // Default sort is by UTF-16 code units, which is what the port promises.
      keys.sort();
      return keys.slice(0, limit).map((key) => toDocument(key, documents.get(key)!));
    });
  }
}
