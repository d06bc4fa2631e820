import type {
  Collection,
  Document,
  DocumentStore,
  Expected,
  MemberPath,
  MemberValues,
  PutResult,
} from "../../domain/ports.ts";
import { checkKey, toJson } from "../keys.ts";
import { areIndexable, memberPath } from "../members.ts";
import { MemoryCollection } from "./collection.ts";
import type { Stored } from "./collection.ts";
import type { Operations } from "./operations.ts";

/** What outlives a restart. */
export class DocumentsImage {
  /** Grows over all documents: a document that was deleted and made again never repeats a revision. */
  revision = 0;
  readonly collections: Record<Collection, MemoryCollection> = {
    identities: new MemoryCollection(),
    twins: new MemoryCollection(),
    sessions: new MemoryCollection(),
    hub: new MemoryCollection(),
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

  async getMany(
    collection: Collection,
    keys: readonly string[],
  ): Promise<(Document | undefined)[]> {
    for (const key of keys) checkKey(key);
    return this.#operations.run({ store: "documents", name: "getMany", key: "" }, () =>
      keys.map((key) => {
        const stored = this.#image.collections[collection].get(key);
        return stored && toDocument(key, stored);
      }),
    );
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
      const keys = documents.keys(prefix, after, limit);
      return keys.map((key) => toDocument(key, documents.get(key)!));
    });
  }

  async lookup(
    collection: Collection,
    options: {
      path: MemberPath;
      values: readonly MemberValues[];
      after?: string;
      limit: number;
    },
  ): Promise<string[] | undefined> {
    const { path, values, after = "", limit } = options;
    const name = memberPath(path);
    if (name === undefined || !areIndexable(values)) return undefined;
    return this.#operations.run({ store: "documents", name: "lookup", key: name }, () =>
      this.#image.collections[collection].index(name, path).keys(values, after, limit),
    );
  }
}
