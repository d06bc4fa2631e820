import type { ParsedQuery, QueryColumn, QueryPath } from "./ast.ts";
import type { Fail, QueryPlaces } from "./parser.ts";
import { columnNames } from "./columns.ts";

/** What each part of a query may say only together with the others. */
export function checkQuery(query: ParsedQuery, places: QueryPlaces, fail: Fail): void {
  const { select, from, groupBy } = query;
  const columns = select === "*" ? [] : select;
  const aggregateAt = columns.findIndex(({ value }) => value.type === "aggregate");
  const isAggregated = aggregateAt >= 0 || groupBy !== undefined;
  const firstAggregate = places.columns[aggregateAt] ?? places.groupBy;
  if (isAggregated && from !== "devices") {
    fail("query.unsupported", firstAggregate, `${from} has no aggregates and no GROUP BY`);
  }
  if (from === "devices.jobs" && select !== "*") {
    fail("query.unsupported", places.columns[0] ?? 0, "devices.jobs takes SELECT * only");
  }
  if (groupBy !== undefined && select === "*") {
    fail("query.not_grouped", places.groupBy, "GROUP BY needs columns instead of *");
  }
  if (isAggregated) {
    for (const [index, column] of columns.entries()) {
      if (isOfGroup(column, groupBy)) continue;
      const what = groupBy === undefined ? "there is no GROUP BY" : "GROUP BY names another";
      fail("query.not_grouped", places.columns[index] ?? 0, `this column has many values: ${what}`);
    }
  }
  const seen = new Set<string>();
  for (const [index, name] of columnNames(columns).entries()) {
    if (seen.has(name)) {
      fail(
        "query.duplicate_column",
        places.columns[index] ?? 0,
        `a column ${JSON.stringify(name.slice(0, 64))} is there already`,
      );
    }
    seen.add(name);
  }
}

const isOfGroup = ({ value }: QueryColumn, groupBy: QueryPath | undefined): boolean =>
  value.type === "aggregate" ||
  (value.type === "path" && groupBy !== undefined && samePath(value.path, groupBy));

const samePath = (a: QueryPath, b: QueryPath): boolean =>
  a.length === b.length && a.every((segment, index) => segment === b[index]);
