import type { QueryExpression } from "../../src/query/index.ts";
import type { JsonValue } from "../../src/twin/index.ts";

/** A value that is not there. */
const none = undefined;
type Value = JsonValue | undefined;

/** Three-valued logic as tables: t, f, and u for everything else. */
const andTable = {
  tt: "t",
  tf: "f",
  tu: "u",
  ft: "f",
  ff: "f",
  fu: "f",
  ut: "u",
  uf: "f",
  uu: "u",
};
const orTable = { tt: "t", tf: "t", tu: "t", ft: "t", ff: "f", fu: "u", ut: "t", uf: "u", uu: "u" };
type Letter = "t" | "f" | "u";
const letter = (value: Value): Letter => (value === true ? "t" : value === false ? "f" : "u");
const meaning = (one: string): Value => ({ t: true, f: false })[one];

const kind = (value: Value): string => {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
};

const number = (value: Value): number => (typeof value === "number" ? value : Number.NaN);
const orNone = (value: number): Value => (Number.isFinite(value) ? value : none);

function order(left: Value, right: Value): "less" | "same" | "more" | undefined {
  if (kind(left) !== kind(right)) return undefined;
  if (left === null) return "same";
  if (!["boolean", "number", "string"].includes(kind(left))) return undefined;
  if (left === right) return "same";
  return [left, right].sort((a, b) => (a! < b! ? -1 : 1))[0] === left ? "less" : "more";
}

const holds: Readonly<Record<string, readonly string[]>> = {
  "=": ["same"],
  "!=": ["less", "more"],
  "<": ["less"],
  "<=": ["less", "same"],
  ">": ["more"],
  ">=": ["more", "same"],
};

function compared(operator: string, left: Value, right: Value): Value {
  const result = order(left, right);
  if (result === undefined) return none;
  if (left === null && operator !== "=" && operator !== "!=") return none;
  return holds[operator]!.includes(result);
}

/** What an expression is worth, by another way of thinking than the one under test: everything is worked out, then combined. */
export function naive(expression: QueryExpression, twin: JsonValue): Value {
  const of = (one: QueryExpression): Value => naive(one, twin);
  switch (expression.type) {
    case "literal":
      return expression.value;
    case "undefined":
      return none;
    case "path":
      return expression.path.reduce<Value>((value, step) => {
        if (kind(value) === (typeof step === "number" ? "array" : "object")) {
          const entries = new Map(Object.entries(value as object));
          return entries.get(String(step)) as Value;
        }
        return none;
      }, twin);
    case "array":
      return expression.elements.map((one) => of(one) ?? null);
    case "not":
      return meaning({ t: "f", f: "t", u: "u" }[letter(of(expression.operand))]);
    case "negate":
      return orNone(number(of(expression.operand)) * -1 + 0);
    case "and":
    case "or": {
      const table: Readonly<Record<string, string>> =
        expression.type === "and" ? andTable : orTable;
      const letters = expression.operands.map((one): string => letter(of(one)));
      return meaning(letters.reduce((a, b) => table[a + b]!));
    }
    case "compare":
      return compared(expression.operator, of(expression.left), of(expression.right));
    case "in":
    case "nin": {
      const { left, right, type } = expression;
      const list = right.type === "array" ? right.elements.map(of) : of(right);
      if (!Array.isArray(list)) return none;
      const any = ["f", ...list.map((one): string => letter(compared("=", of(left), one)))].reduce(
        (a, b) => orTable[(a + b) as keyof typeof orTable],
      );
      return meaning(type === "in" ? any : { t: "f", f: "t", u: "u" }[any as Letter]);
    }
    case "arithmetic": {
      const [left, right] = [number(of(expression.left)), number(of(expression.right))];
      const results = {
        "+": left + right,
        "-": left - right,
        "*": left * right,
        "/": left / right,
        "%": left % right,
      };
      return orNone(results[expression.operator]);
    }
    case "call":
      return called(
        expression.name.replace(/^(STARTS|ENDS)WITH$/, "$1_WITH"),
        expression.args.map(of),
      );
  }
}

function called(name: string, args: readonly Value[]): Value {
  const [first, second, third] = args;
  const kinds = args.map(kind).join(" ");
  const isText = kinds === "string" || kinds === "string string";
  const text = typeof first === "string" ? first : "";
  const other = typeof second === "string" ? second : "";
  switch (name) {
    case "IS_DEFINED":
      return kinds !== "undefined";
    case "IS_NULL":
      return kinds === "null";
    case "IS_BOOL":
      return kinds === "boolean";
    case "IS_NUMBER":
      return kinds === "number";
    case "IS_STRING":
      return kinds === "string";
    case "IS_ARRAY":
      return kinds === "array";
    case "IS_OBJECT":
      return kinds === "object";
    case "IS_PRIMITIVE":
      return ["null", "boolean", "number", "string"].includes(kinds);
    case "AS_NUMBER":
      if (kinds === "number") return first;
      return isText && text.trim() !== "" ? orNone(Number(text)) : none;
    case "LENGTH":
      return isText ? text.length : none;
    case "LOWER":
      return isText ? text.toLowerCase() : none;
    case "UPPER":
      return isText ? text.toUpperCase() : none;
    case "STARTS_WITH":
      return isText ? text.slice(0, other.length) === other : none;
    case "ENDS_WITH":
      return isText ? other === "" || text.slice(-other.length) === other : none;
    case "CONTAINS":
      return isText ? text.split(other).length > 1 || other === "" : none;
    case "INDEX_OF":
      return isText ? text.indexOf(other) : none;
    case "CONCAT":
      return args.every((one) => kind(one) === "string")
        ? args.reduce((a, b) => `${a as string}${b as string}`)
        : none;
    case "SUBSTRING": {
      if (kind(first) !== "string" || kind(second) !== "number" || number(second) < 0) return none;
      if (third === none) return text.substring(number(second));
      const from = number(second);
      return kind(third) === "number" && number(third) >= 0
        ? text.slice(from, from + number(third))
        : none;
    }
    case "POWER":
      return orNone(Math.pow(number(first), number(second)));
    default: {
      const functions: Readonly<Record<string, (value: number) => number>> = {
        ABS: Math.abs,
        EXP: Math.exp,
        SQUARE: (value) => value ** 2,
        CEILING: Math.ceil,
        FLOOR: Math.floor,
        SIGN: Math.sign,
        SQRT: Math.sqrt,
      };
      return orNone(functions[name]!(number(first)));
    }
  }
}
