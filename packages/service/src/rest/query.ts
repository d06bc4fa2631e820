import type { CallOptions } from "../types.ts";
import type { Call } from "./caller.ts";
import { expectArray } from "./paths.ts";

/** What the items of a page are: whole twins, whatever the query selected, or a job's devices. */
export type QueryItemType = "Twin" | "Raw" | "DeviceJob" | (string & {});

export type QueryPage<T> = {
  items: T[];
  /** Where the next page begins; undefined on the last. Good for a later call, and another process. */
  continuation: string | undefined;
  itemType: QueryItemType | undefined;
};

export type QueryOptions = CallOptions & {
  /** Items a page. The service's default is 100. */
  pageSize?: number;
  /** Begin where an earlier page ended. */
  continuation?: string;
};

/** Items one by one; the next page is asked for when it is needed. `timeoutMs` is for each page. */
export type QueryResult<T> = AsyncIterable<T> & {
  pages(): AsyncIterable<QueryPage<T>>;
  /** All that is left, in memory. */
  toArray(): Promise<T[]>;
};

/** Runs a query of the IoT Hub query language; nothing is sent before the first item is asked for. */
export function runQuery<T>(call: Call, text: string, options: QueryOptions = {}): QueryResult<T> {
  async function* pages(): AsyncGenerator<QueryPage<T>> {
    let { continuation } = options;
    do {
      // oxlint-disable-next-line no-await-in-loop -- each page says where the next begins
      const page: QueryPage<T> = await readPage<T>(call, text, continuation, options);
      yield page;
      continuation = page.continuation;
    } while (continuation !== undefined);
  }
  async function* items(): AsyncGenerator<T> {
    for await (const page of pages()) yield* page.items;
  }
  return {
    pages,
    [Symbol.asyncIterator]: items,
    async toArray() {
      const all: T[] = [];
      for await (const page of pages()) all.push(...page.items);
      return all;
    },
  };
}

async function readPage<T>(
  call: Call,
  query: string,
  continuation: string | undefined,
  options: QueryOptions,
): Promise<QueryPage<T>> {
  const { pageSize } = options;
  const answer = await call(
    {
      method: "POST",
      path: ["devices", "query"],
      headers: {
        ...(pageSize === undefined ? {} : { "x-ms-max-item-count": String(pageSize) }),
        ...(continuation === undefined ? {} : { "x-ms-continuation": continuation }),
      },
      body: { query },
    },
    options,
  );
  return {
    items: expectArray(answer.json, "results"),
    // An empty one would ask for the first page again, for ever.
    continuation: answer.header("x-ms-continuation") || undefined,
    itemType: answer.header("x-ms-item-type"),
  };
}
