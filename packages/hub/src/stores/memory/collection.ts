import type { MemberPath } from "../../domain/ports.ts";
import { indexesMax, unindexedDocumentsMax } from "../members.ts";
import { MemberIndex } from "./member-index.ts";
import { SortedList } from "./sorted-list.ts";

/** JSON text rather than the value: no caller shares a reference, and nothing survives here that would not on disk. */
export type Stored = { json: string; revision: number };

/** Documents by key, in code unit order of keys, with indexes on the members that were asked for. */
export class MemoryCollection {
  readonly #documents = new Map<string, Stored>();
  readonly #keys = new SortedList<string>((a, b) => (a < b ? -1 : Number(a > b)));
  /** The one asked for last is last. */
  readonly #indexes = new Map<string, MemberIndex>();

  get(key: string): Stored | undefined {
    return this.#documents.get(key);
  }

  set(key: string, stored: Stored): void {
    if (!this.#documents.has(key)) this.#keys.add(key);
    this.#documents.set(key, stored);
    if (this.#indexes.size === 0) return;
    const value = JSON.parse(stored.json) as unknown;
    for (const index of this.#indexes.values()) index.set(key, value);
  }

  delete(key: string): void {
    if (!this.#documents.delete(key)) return;
    this.#keys.delete(key);
    for (const index of this.#indexes.values()) index.delete(key);
  }

  keys(prefix: string, after: string, limit: number): string[] {
    const found: string[] = [];
    for (const key of this.#keys.from(after > prefix ? after : prefix)) {
      if (found.length >= limit || !key.startsWith(prefix)) break;
      if (key !== after) found.push(key);
    }
    return found;
  }

  /** Kept from then on when the collection is large. */
  index(name: string, path: MemberPath): MemberIndex {
    let index = this.#indexes.get(name);
    this.#indexes.delete(name);
    if (index === undefined) {
      index = new MemberIndex(path);
      for (const [key, { json }] of this.#documents) index.set(key, JSON.parse(json));
      if (this.#documents.size <= unindexedDocumentsMax) return index;
      const oldest = this.#indexes.keys().next().value;
      if (this.#indexes.size >= indexesMax && oldest !== undefined) this.#indexes.delete(oldest);
    }
    this.#indexes.set(name, index);
    return index;
  }
}
