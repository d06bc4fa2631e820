import type {
  ParsedQuery,
  QueryCollection,
  QueryColumnValue,
  QueryExpression,
  QueryPath,
} from "./ast.ts";
import { reservedWords } from "./names.ts";

/** Writes a query as text that `parseQuery` reads as the same query. */
export function formatQuery(query: ParsedQuery): string {
  const { select, top, from, where, groupBy } = query;
  const columns =
    select === "*"
      ? "*"
      : select
          .map(({ value, alias }) => {
            const shown = formatColumn(value, from);
            return alias === undefined ? shown : `${shown} AS ${formatString(alias)}`;
          })
          .join(", ");
  return [
    `SELECT ${top === undefined ? "" : `TOP ${top} `}${columns} FROM ${from}`,
    ...(where === undefined ? [] : [`WHERE ${formatExpression(where, from)}`]),
    ...(groupBy === undefined ? [] : [`GROUP BY ${formatPath(groupBy, from)}`]),
  ].join(" ");
}

function formatColumn(value: QueryColumnValue, from: QueryCollection): string {
  if (value.type !== "aggregate") return formatExpression(value, from);
  return `${value.name}(${value.path === undefined ? "" : formatPath(value.path, from)})`;
}

/** Parentheses around every operand that is an operation: nobody has to know which binds tighter. */
export function formatExpression(
  expression: QueryExpression,
  from: QueryCollection = "devices",
): string {
  const inner = (one: QueryExpression): string => {
    const text = formatExpression(one, from);
    return isOperation(one) ? `(${text})` : text;
  };
  switch (expression.type) {
    case "literal":
      return typeof expression.value === "string"
        ? formatString(expression.value)
        : String(expression.value);
    case "undefined":
      return "undefined";
    case "path":
      return formatPath(expression.path, from);
    case "array":
      return `[${expression.elements.map((one) => formatExpression(one, from)).join(", ")}]`;
    case "call":
      return `${expression.name}(${expression.args.map((one) => formatExpression(one, from)).join(", ")})`;
    case "not":
      return `NOT ${inner(expression.operand)}`;
    case "negate":
      return `-(${formatExpression(expression.operand, from)})`;
    case "and":
    case "or":
      return expression.operands.map(inner).join(` ${expression.type.toUpperCase()} `);
    case "compare":
    case "arithmetic":
      return `${inner(expression.left)} ${expression.operator} ${inner(expression.right)}`;
    case "in":
    case "nin": {
      const { left, right, type } = expression;
      // IN refuses an opening parenthesis, because people write SQL's IN (…) by habit.
      const list = isOperation(right) ? formatExpression(right, from) : inner(right);
      return `${inner(left)} ${type.toUpperCase()} ${list}`;
    }
  }
}

const operations: ReadonlySet<string> = new Set("not and or compare in nin arithmetic".split(" "));
const isOperation = ({ type }: QueryExpression): boolean => operations.has(type);

function formatString(text: string): string {
  const escaped = text.replaceAll(/[\\']/g, String.raw`\$&`);
  return `'${escaped}'`;
}

const PLAIN = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

function formatPath(path: QueryPath, from: QueryCollection): string {
  const [first, ...rest] = path;
  if (first === undefined) return from;
  const isAmbiguous =
    typeof first !== "string" ||
    !PLAIN.test(first) ||
    first.toLowerCase() === "devices" ||
    reservedWords.has(first.toUpperCase());
  const start = isAmbiguous ? `${from}${formatSegment(first)}` : first;
  return start + rest.map(formatSegment).join("");
}

function formatSegment(segment: string | number): string {
  if (typeof segment === "number") return `[${segment}]`;
  return PLAIN.test(segment) ? `.${segment}` : `[${formatString(segment)}]`;
}
