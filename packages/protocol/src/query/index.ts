export type * from "./ast.ts";
export { columnNames } from "./columns.ts";
export { evaluate, matches, valueAt } from "./evaluate.ts";
export { formatExpression, formatQuery } from "./format.ts";
export { queryFunctions, type QueryValue } from "./functions.ts";
export * from "./limits.ts";
export { parseQuery, parseQueryCondition } from "./parser.ts";
export { QueryError } from "./query-error.ts";
export { Aggregation, isAggregated, projection, queryItemType } from "./result.ts";
