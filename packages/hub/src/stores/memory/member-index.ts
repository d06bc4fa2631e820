import type { MemberPath, MemberValues } from "../../domain/ports.ts";
import { lookupKeysMax } from "../../domain/ports.ts";
import { SortedList } from "./sorted-list.ts";

type Scalar = string | number;
type Entry = { value: Scalar; key: string };

/** Numbers before texts; booleans are 0 and 1, as in SQLite. */
function order(a: Scalar, b: Scalar): number {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}

const entryOrder = (a: Entry, b: Entry): number =>
  order(a.value, b.value) || (a.key < b.key ? -1 : Number(a.key > b.key));

/** Documents by one member, in the order of its values and then of keys. */
export class MemberIndex {
  readonly #path: MemberPath;
  readonly #entries = new SortedList<Entry>(entryOrder);
  readonly #values = new Map<string, Scalar>();

  constructor(path: MemberPath) {
    this.#path = path;
  }

  set(key: string, document: unknown): void {
    const value = scalarAt(document, this.#path);
    if (this.#values.get(key) === value) return;
    this.delete(key);
    if (value === undefined) return;
    this.#values.set(key, value);
    this.#entries.add({ value, key });
  }

  delete(key: string): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    this.#entries.delete({ value, key });
  }

  /** As the port's `lookup`. */
  keys(values: readonly MemberValues[], after: string, limit: number): string[] | undefined {
    const keys = new Set<string>();
    for (const one of values) {
      if ("equals" in one) {
        const { equals } = one;
        const value = typeof equals === "boolean" ? Number(equals) : equals;
        let left = limit;
        for (const entry of this.#entries.from({ value, key: after })) {
          if (left === 0 || entry.value !== value) break;
          if (entry.key === after) continue;
          keys.add(entry.key);
          left--;
        }
        continue;
      }
      let found = 0;
      const lowest = one.type === "number" ? -Infinity : "";
      for (const { value, key } of this.#entries.from({ value: one.from ?? lowest, key: "" })) {
        if (typeof value !== one.type || (one.to !== undefined && value > one.to)) break;
        if (++found > lookupKeysMax) return undefined;
        if (key > after) keys.add(key);
      }
    }
    return [...keys].sort().slice(0, limit);
  }
}

function scalarAt(document: unknown, path: MemberPath): Scalar | undefined {
  let value = document;
  for (const segment of path) {
    if (typeof value !== "object" || value === null) return undefined;
    if (Array.isArray(value) !== (typeof segment === "number")) return undefined;
    if (!Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<string | number, unknown>)[segment];
  }
  if (typeof value === "boolean") return Number(value);
  return typeof value === "string" || typeof value === "number" ? value : undefined;
}
