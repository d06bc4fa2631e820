import { group } from "./entry.ts";

const argumentInvalid = { status: 400, code: 400004, name: "ArgumentInvalid" } as const;

/** Queries over twins. Messages name the line and column they are about. */
export const queryErrors = group({
  "query.syntax": {
    retryable: false,
    summary: "A query cannot be read.",
    remedy:
      "Look at the column the message names; the form is SELECT … FROM devices [WHERE …] [GROUP BY …].",
    http: argumentInvalid,
  },
  "query.too_long": {
    retryable: false,
    summary: "A query is longer than 8192 characters.",
    remedy: "Shorten it, or split a long IN list over several queries.",
    http: argumentInvalid,
  },
  "query.too_deep": {
    retryable: false,
    summary: "Parentheses, brackets or operators of a query are nested too deeply.",
    remedy: "Write it flatter: AND and OR chain without parentheses, and IN takes a list.",
    http: argumentInvalid,
  },
  "query.unknown_collection": {
    retryable: false,
    summary: "FROM names something that cannot be queried.",
    remedy: "Query devices, devices.modules or devices.jobs.",
    http: argumentInvalid,
  },
  "query.unsupported": {
    retryable: false,
    summary: "The collection cannot be queried in this way.",
    remedy:
      "Aggregates and GROUP BY work over devices only, and devices.jobs takes SELECT * only, as in Azure.",
    http: argumentInvalid,
  },
  "query.unknown_function": {
    retryable: false,
    summary: "A query calls a function that does not exist.",
    remedy: "Check its spelling; IS_DEFINED is the one that Azure documents for twin queries.",
    http: argumentInvalid,
  },
  "query.wrong_arguments": {
    retryable: false,
    summary: "A function in a query has too few or too many arguments.",
    remedy: "Give it the arguments that the message names.",
    http: argumentInvalid,
  },
  "query.not_grouped": {
    retryable: false,
    summary: "A query mixes aggregates with a column that is not the one it groups by.",
    remedy: "Group by that column, aggregate it, or leave it out.",
    http: argumentInvalid,
  },
  "query.duplicate_column": {
    retryable: false,
    summary: "Two columns of a query's result would have the same name.",
    remedy: "Give one of them another name with AS.",
    http: argumentInvalid,
  },
  "query.too_many_groups": {
    retryable: false,
    summary: "A query's GROUP BY makes more than 10,000 groups.",
    remedy: "Narrow it with WHERE, or group by something with fewer values.",
    http: argumentInvalid,
  },
  "query.bad_page_size": {
    retryable: false,
    summary: "The page size of a query is not a whole number from 1.",
    remedy: "Send x-ms-max-item-count from 1 to 1000, or leave it out for pages of 100.",
    http: argumentInvalid,
  },
  "query.bad_continuation": {
    retryable: false,
    summary: "A continuation token is not one that the hub gave for this query.",
    remedy:
      "Send the token of the page before with the very same query, or start again without it.",
    http: argumentInvalid,
  },
  "query.busy": {
    retryable: true,
    summary: "Too many queries are running.",
    remedy: "Try again a little later, with fewer queries at a time.",
    http: { status: 429, code: 429001, name: "ThrottlingException" },
  },
});
