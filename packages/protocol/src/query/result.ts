import { IotError } from "../errors/iot-error.ts";
import { emptyObject } from "../twin/json.ts";
import type { JsonObject, JsonValue } from "../twin/json.ts";
import type { AggregateName, ParsedQuery, QueryColumn, QueryPath } from "./ast.ts";
import { columnNames } from "./columns.ts";
import { evaluate, valueAt } from "./evaluate.ts";
import type { QueryValue } from "./functions.ts";
import { queryGroupsMax } from "./limits.ts";

/** Whether the rows are made of groups rather than of documents. */
export const isAggregated = ({ select, groupBy }: ParsedQuery): boolean =>
  groupBy !== undefined ||
  (select !== "*" && select.some(({ value }) => value.type === "aggregate"));

/** What `x-ms-item-type` says of a query's result. */
export function queryItemType({ select, from }: ParsedQuery): "Twin" | "Raw" | "DeviceJob" {
  if (select !== "*") return "Raw";
  return from === "devices.jobs" ? "DeviceJob" : "Twin";
}

/** A function from a document to its row. A column without value is left out of the row. */
export function projection({ select }: ParsedQuery): (document: JsonObject) => JsonObject {
  if (select === "*") return (document) => document;
  const names = columnNames(select);
  return (document) => {
    const row = emptyObject();
    for (const [index, { value }] of select.entries()) {
      const shown = value.type === "aggregate" ? undefined : evaluate(value, document);
      if (shown !== undefined) row[names[index] as string] = shown;
    }
    return row;
  };
}

type Group = { key: QueryValue; totals: readonly Total[] };

/**
 * Collects documents into groups. Without GROUP BY there is one group, also when no document came. Documents without the
 * attribute make a group whose row does not have it.
 */
export class Aggregation {
  readonly #columns: readonly QueryColumn[];
  readonly #names: readonly string[];
  readonly #groupBy: QueryPath | undefined;
  readonly #groups = new Map<string, Group>();

  constructor({ select, groupBy }: ParsedQuery) {
    this.#columns = select === "*" ? [] : select;
    this.#names = columnNames(this.#columns);
    this.#groupBy = groupBy;
    if (groupBy === undefined) this.#group(undefined);
  }

  /** @throws IotError `query.too_many_groups` */
  add(document: JsonValue): void {
    const key = this.#groupBy === undefined ? undefined : valueAt(document, this.#groupBy);
    const { totals } = this.#group(key);
    for (const total of totals) total.add(document);
  }

  /** In an order that does not depend on that of the documents. */
  rows(): JsonObject[] {
    const names = [...this.#groups.keys()].sort();
    return names.map((name) => {
      const { key, totals } = this.#groups.get(name) as Group;
      const row = emptyObject();
      for (const [index, total] of totals.entries()) {
        const isAggregate = this.#columns[index]?.value.type === "aggregate";
        const value = isAggregate ? total.result() : key;
        if (value !== undefined) row[this.#names[index] as string] = value;
      }
      return row;
    });
  }

  #group(key: QueryValue): Group {
    // JSON of one spelling per value; what is not there sorts last.
    const name = key === undefined ? "~" : JSON.stringify(key);
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    if (this.#groups.size >= queryGroupsMax) {
      throw new IotError("query.too_many_groups", `There are more than ${queryGroupsMax} groups`);
    }
    const totals = this.#columns.map(({ value }) =>
      value.type === "aggregate"
        ? new Total(value.name, value.path)
        : new Total("COUNT", undefined),
    );
    const group = { key, totals };
    this.#groups.set(name, group);
    return group;
  }
}

/**
 * One aggregate of one group. AVG and SUM look at numbers, MIN and MAX at numbers or, when there are none, at strings;
 * what is of another type or missing does not count. Without anything to look at there is no value.
 */
class Total {
  readonly #name: AggregateName;
  readonly #path: QueryPath | undefined;
  #documents = 0;
  #numbers = 0;
  #sum = 0;
  #least: number | undefined;
  #greatest: number | undefined;
  #first: string | undefined;
  #last: string | undefined;

  constructor(name: AggregateName, path: QueryPath | undefined) {
    this.#name = name;
    this.#path = path;
  }

  add(document: JsonValue): void {
    this.#documents++;
    if (this.#path === undefined) return;
    const value = valueAt(document, this.#path);
    if (typeof value === "number") {
      this.#numbers++;
      this.#sum += value;
      if (this.#least === undefined || value < this.#least) this.#least = value;
      if (this.#greatest === undefined || value > this.#greatest) this.#greatest = value;
    } else if (typeof value === "string") {
      if (this.#first === undefined || value < this.#first) this.#first = value;
      if (this.#last === undefined || value > this.#last) this.#last = value;
    }
  }

  result(): QueryValue {
    switch (this.#name) {
      case "COUNT":
        return this.#documents;
      case "SUM":
        return this.#numbers === 0 ? undefined : this.#sum;
      case "AVG":
        return this.#numbers === 0 ? undefined : this.#sum / this.#numbers;
      case "MIN":
        return this.#least ?? this.#first;
      case "MAX":
        return this.#greatest ?? this.#last;
    }
  }
}
