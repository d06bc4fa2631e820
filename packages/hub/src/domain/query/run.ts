import { Aggregation, matches, projection, queryItemType, twinSize } from "@hubwire/protocol";
import type { JsonObject, ParsedQuery } from "@hubwire/protocol";
import type { QueryPage } from "../services.ts";
import { formatContinuation } from "./continuation.ts";
import type { Continuation } from "./continuation.ts";
import { Loader } from "./load.ts";
import type { Candidate } from "./load.ts";
import { both, needsOfRows, needsOfWhere } from "./needs.ts";
import type { QueryOptions } from "./parts.ts";
import { accessesOf } from "./plan.ts";
import { chooseSource } from "./source.ts";
import type { Order } from "./source.ts";

/** Documents read with one call: enough to make few calls, not so many that others wait long for the thread. */
const chunkMin = 100;
const chunkMax = 500;
/** A page ends when its rows have about this many characters. */
const pageCharactersMax = 8 * 1024 * 1024;

type Started = Exclude<Continuation, { order: "rows" }>;
export type Prepared = { text: string; query: ParsedQuery; pageSize: number };

/** One page of rows that are documents. */
export async function runRows(
  { text, query, pageSize }: Prepared,
  started: Started | undefined,
  options: QueryOptions,
): Promise<QueryPage> {
  const left = started === undefined ? query.top : started.left;
  const wanted = Math.min(pageSize, left ?? Infinity);
  const toRow = projection(query);
  const items: JsonObject[] = [];
  let characters = 0;
  let last: { order: Order; after: string } | undefined;
  let isMore = false;
  await eachMatch(query, started, options, wanted + 1, (view, { position }, order) => {
    if (items.length >= wanted || characters >= pageCharactersMax) {
      isMore = true;
      return false;
    }
    const row = toRow(view);
    items.push(row);
    characters += twinSize(row);
    last = { order, after: position };
    // With TOP spent nobody has to know whether there would be more.
    return items.length < wanted || left === undefined || left > wanted;
  });
  const page = { itemType: queryItemType(query), items };
  if (!isMore || last === undefined) return { ...page, continuation: undefined };
  const rest = left === undefined ? undefined : left - items.length;
  const next = { ...(last as { order: Order; after: string }), left: rest };
  return { ...page, continuation: formatContinuation(text, next) };
}

/** One page of groups. Every page looks at all documents again: groups have no order of keys to go on from. */
export async function runGroups(
  { text, query, pageSize }: Prepared,
  skip: number,
  options: QueryOptions,
): Promise<QueryPage> {
  const aggregation = new Aggregation(query);
  await eachMatch(query, undefined, options, chunkMax, (view) => {
    aggregation.add(view);
    return true;
  });
  const rows = aggregation.rows().slice(0, query.top);
  const end = skip + pageSize;
  return {
    itemType: "Raw",
    items: rows.slice(skip, end),
    continuation:
      end < rows.length ? formatContinuation(text, { order: "rows", skip: end }) : undefined,
  };
}

/** Calls `visit` with each document that passes WHERE, in order, until it says false. */
async function eachMatch(
  query: ParsedQuery,
  started: Started | undefined,
  options: QueryOptions,
  expected: number,
  visit: (view: JsonObject, candidate: Candidate, order: Order) => boolean,
): Promise<void> {
  const loader = new Loader(options, query.from === "devices.modules");
  const first = needsOfWhere(query);
  const rows = needsOfRows(query);
  const needsMore = (rows.twin && !first.twin) || (rows.c2dCount && !first.c2dCount);
  const all = both(first, rows);
  const { order, source } = await chooseSource(accessesOf(query), started, options);
  let after = started?.after ?? "";
  let limit = Math.min(chunkMax, Math.max(chunkMin, expected));
  for (;;) {
    const hits = await source(after, limit);
    const isOfTwins = order === "twins" && !first.identity;
    const worth = isOfTwins ? await loader.passing(hits, query.where) : hits;
    const candidates = await loader.candidates(worth);
    const views = await loader.views(candidates, first);
    const passed = candidates.flatMap((candidate, index) => {
      const view = views[index] as JsonObject;
      return matches(query.where, view) ? [{ candidate, view }] : [];
    });
    // What WHERE does not look at is read for those only that pass, and no more of them than are asked for at once.
    for (let from = 0; from < passed.length; from += expected) {
      const few = passed.slice(from, from + expected);
      const whole = needsMore
        ? await loader.views(
            few.map(({ candidate }) => candidate),
            all,
          )
        : [];
      for (const [index, { candidate, view }] of few.entries()) {
        if (!visit(whole[index] ?? view, candidate, order)) return;
      }
    }
    const end = hits.at(-1);
    if (end === undefined || hits.length < limit) return;
    after = end.position;
    limit = chunkMax;
  }
}
