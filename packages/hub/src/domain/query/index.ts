import {
  IotError,
  isAggregated,
  parseQuery,
  queryItemType,
  queryPageSizeDefault,
  queryPageSizeMax,
} from "@hubwire/protocol";
import type { Query } from "../services.ts";
import { parseContinuation } from "./continuation.ts";
import type { QueryOptions } from "./parts.ts";
import { runGroups, runRows } from "./run.ts";

export type { QueryOptions } from "./parts.ts";

/** Queries under way at a time; one more is told to come back. */
const runningMax = 64;

/**
 * Queries over device and module twins, a page at a time. Nothing is kept between pages: a continuation says behind which
 * key the next one begins. Results are as fresh as the store (Azure's lag a second or two behind).
 */
export function createQueries(options: QueryOptions): Query {
  let running = 0;
  return {
    async run({ text }, { pageSize = queryPageSizeDefault, continuation }) {
      if (!Number.isSafeInteger(pageSize) || pageSize < 1) {
        throw new IotError("query.bad_page_size", "A page has a whole number of items, from 1");
      }
      const query = parseQuery(text);
      const started =
        continuation === undefined ? undefined : parseContinuation(text, continuation);
      const isOfGroups = isAggregated(query);
      if (started !== undefined && (started.order === "rows") !== isOfGroups) {
        throw new IotError("query.bad_continuation", "The continuation token is for another query");
      }
      // Jobs are not there yet, so there are none.
      if (query.from === "devices.jobs") {
        return { itemType: queryItemType(query), items: [], continuation: undefined };
      }
      if (running >= runningMax) {
        throw new IotError("query.busy", `${runningMax} queries are running already`);
      }
      running++;
      try {
        const prepared = { text, query, pageSize: Math.min(pageSize, queryPageSizeMax) };
        if (started?.order === "rows") return await runGroups(prepared, started.skip, options);
        return isOfGroups
          ? await runGroups(prepared, 0, options)
          : await runRows(prepared, started, options);
      } finally {
        running--;
      }
    },
  };
}
