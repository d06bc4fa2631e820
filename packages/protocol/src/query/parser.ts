import { IotError } from "../errors/iot-error.ts";
import type { ErrorCode } from "../errors/iot-error.ts";
import type {
  AggregateName,
  ParsedQuery,
  QueryCollection,
  QueryColumn,
  QueryColumnValue,
  QueryExpression,
} from "./ast.ts";
import { checkQuery } from "./check.ts";
import { ExpressionParser } from "./expression-parser.ts";
import { queryCharactersMax } from "./limits.ts";

const aggregates: ReadonlySet<string> = new Set<AggregateName>([
  "COUNT",
  "AVG",
  "SUM",
  "MIN",
  "MAX",
]);
const collections: ReadonlySet<string> = new Set<QueryCollection>([
  "devices",
  "devices.modules",
  "devices.jobs",
]);

/**
 * Reads a query.
 * @throws QueryError with line and column: `query.syntax`, `query.too_deep`, `query.unknown_collection`,
 *   `query.unknown_function`, `query.wrong_arguments`, `query.unsupported`, `query.not_grouped`, `query.duplicate_column`;
 *   IotError `query.too_long`
 * @see Azure IoT Hub docs, "IoT Hub query language for device and module twins, jobs, and message routing"
 */
export function parseQuery(text: string): ParsedQuery {
  checkLength(text);
  return new QueryParser(text).query();
}

/**
 * Reads what may stand after WHERE, as jobs and configurations have it; `*` (undefined here) means every document.
 * @throws as `parseQuery`
 */
export function parseQueryCondition(
  text: string,
  from: QueryCollection = "devices",
): QueryExpression | undefined {
  checkLength(text);
  const parser = new QueryParser(text);
  return parser.condition(from);
}

function checkLength(text: string): void {
  if (text.length <= queryCharactersMax) return;
  throw new IotError(
    "query.too_long",
    `The query has ${text.length} characters; the limit is ${queryCharactersMax}`,
  );
}

/** Where the parts of a query stand, for messages about what they mean together. */
export type QueryPlaces = { columns: readonly number[]; groupBy: number };
export type Fail = (code: ErrorCode, offset: number, what: string) => never;

class QueryParser extends ExpressionParser {
  query(): ParsedQuery {
    this.keyword("SELECT");
    const top = this.isKeyword("TOP") && this.peek(1).type === "number" ? this.#top() : undefined;
    const columns: number[] = [];
    const select = this.takeSymbol("*") ? "*" : this.#columns(columns);
    this.keyword("FROM");
    const from = this.#collection();
    const where = this.takeKeyword("WHERE") ? this.expression() : undefined;
    let groupBy: readonly (string | number)[] | undefined;
    let groupByAt = 0;
    if (this.takeKeyword("GROUP")) {
      this.keyword("BY");
      groupByAt = this.peek().offset;
      groupBy = this.path();
      if (this.isSymbol(",")) this.fail("query.syntax", "GROUP BY takes one attribute");
    }
    this.end(
      where === undefined && groupBy === undefined ? "WHERE, GROUP BY or the end" : "the end",
    );
    this.canonicalizePaths(from);
    const query: ParsedQuery = { select, top, from, where, groupBy };
    checkQuery(query, { columns, groupBy: groupByAt }, (code, offset, what) =>
      this.failAt(code, offset, what),
    );
    return query;
  }

  condition(from: QueryCollection): QueryExpression | undefined {
    if (this.isSymbol("*") && this.peek(1).type === "end") return undefined;
    const expression = this.expression();
    this.end("the end");
    this.canonicalizePaths(from);
    return expression;
  }

  #top(): number {
    this.next();
    const { value, offset } = this.next();
    if (!Number.isSafeInteger(value) || value < 1) {
      this.failAt("query.syntax", offset, "TOP takes a whole number from 1");
    }
    return value;
  }

  #columns(places: number[]): QueryColumn[] {
    const columns: QueryColumn[] = [];
    do {
      places.push(this.peek().offset);
      const value = this.#columnValue();
      const alias = this.takeKeyword("AS") ? this.#alias() : undefined;
      columns.push({ value, alias });
    } while (this.takeSymbol(","));
    return columns;
  }

  #columnValue(): QueryColumnValue {
    const { type, text } = this.peek();
    const name = text.toUpperCase();
    if (type !== "name" || !this.isSymbol("(", 1) || !aggregates.has(name)) {
      return this.expression();
    }
    this.next();
    this.next();
    if (name === "COUNT") {
      if (!this.isSymbol(")")) this.fail("query.syntax", "COUNT takes nothing: COUNT()");
      this.next();
      return { type: "aggregate", name, path: undefined };
    }
    const path = this.path();
    this.symbol(")");
    return { type: "aggregate", name: name as AggregateName, path };
  }

  #alias(): string {
    const { type, text } = this.peek();
    if (type !== "name" && type !== "string") this.expected("a name");
    this.next();
    return text;
  }

  #collection(): QueryCollection {
    const start = this.peek();
    if (start.type !== "name") this.expected("devices, devices.modules or devices.jobs");
    let name = this.next().text.toLowerCase();
    if (this.takeSymbol(".")) {
      if (this.peek().type !== "name") this.expected("modules or jobs");
      name += `.${this.next().text.toLowerCase()}`;
    }
    if (!collections.has(name)) {
      this.failAt(
        "query.unknown_collection",
        start.offset,
        `${JSON.stringify(name.slice(0, 64))} is not devices, devices.modules or devices.jobs`,
      );
    }
    return name as QueryCollection;
  }
}
