import { isJsonObject } from "../twin/json.ts";
import type { JsonValue } from "../twin/json.ts";
import { own } from "../twin/merge-patch.ts";
import type { ArithmeticOperator, ComparisonOperator, QueryExpression, QueryPath } from "./ast.ts";
import { finite, queryFunctions } from "./functions.ts";
import type { QueryValue } from "./functions.ts";

/**
 * The value of an expression for one document. A missing member, and an operation on types it is not made for, is undefined;
 * AND, OR and NOT know three values (undefined AND false is false, undefined OR true is true, NOT undefined is undefined).
 */
export function evaluate(expression: QueryExpression, document: JsonValue): QueryValue {
  switch (expression.type) {
    case "literal":
      return expression.value;
    case "undefined":
      return undefined;
    case "path":
      return valueAt(document, expression.path);
    case "array":
      return expression.elements.map((one) => evaluate(one, document) ?? null);
    case "call": {
      const args = expression.args.map((one) => evaluate(one, document));
      return queryFunctions.get(expression.name)?.apply(args);
    }
    case "not": {
      const value = evaluate(expression.operand, document);
      return typeof value === "boolean" ? !value : undefined;
    }
    case "negate": {
      const value = evaluate(expression.operand, document);
      return typeof value === "number" ? 0 - value : undefined;
    }
    case "and":
      return junction(expression.operands, document, false);
    case "or":
      return junction(expression.operands, document, true);
    case "compare": {
      const left = evaluate(expression.left, document);
      return compare(expression.operator, left, evaluate(expression.right, document));
    }
    case "in":
    case "nin": {
      const found = isIn(expression.left, expression.right, document);
      return found === undefined ? undefined : found === (expression.type === "in");
    }
    case "arithmetic": {
      const left = evaluate(expression.left, document);
      return calculate(expression.operator, left, evaluate(expression.right, document));
    }
  }
}

/** Whether a document passes WHERE: what is not exactly true does not. */
export const matches = (where: QueryExpression | undefined, document: JsonValue): boolean =>
  where === undefined || evaluate(where, document) === true;

/** The member at `path`; never an inherited one. */
export function valueAt(document: JsonValue, path: QueryPath): QueryValue {
  let value: QueryValue = document;
  for (const segment of path) {
    if (typeof segment === "number") {
      value = Array.isArray(value) ? value[segment] : undefined;
    } else value = isJsonObject(value) ? own(value, segment) : undefined;
    if (value === undefined) return undefined;
  }
  return value;
}

/** `decisive` is the value that settles it: false for AND, true for OR. */
function junction(
  operands: readonly QueryExpression[],
  document: JsonValue,
  decisive: boolean,
): boolean | undefined {
  let result: boolean | undefined = !decisive;
  for (const operand of operands) {
    const value = evaluate(operand, document);
    if (value === decisive) return decisive;
    if (value !== !decisive) result = undefined;
  }
  return result;
}

/** Only values of one primitive type compare; null equals null and has no order. */
function compare(
  operator: ComparisonOperator,
  left: QueryValue,
  right: QueryValue,
): boolean | undefined {
  if (left === null && right === null) {
    if (operator === "=") return true;
    return operator === "!=" ? false : undefined;
  }
  if (left === null || right === null || left === undefined || right === undefined) {
    return undefined;
  }
  if (typeof left !== typeof right || typeof left === "object") return undefined;
  switch (operator) {
    case "=":
      return left === right;
    case "!=":
      return left !== right;
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    case ">=":
      return left >= right;
  }
}

/** `x = a OR x = b …`, over a list written in the query or an array of the document. */
function isIn(
  left: QueryExpression,
  right: QueryExpression,
  document: JsonValue,
): boolean | undefined {
  const value = evaluate(left, document);
  const list =
    right.type === "array"
      ? right.elements.map((one) => evaluate(one, document))
      : evaluate(right, document);
  if (!Array.isArray(list)) return undefined;
  let result: boolean | undefined = false;
  for (const element of list) {
    const equal = compare("=", value, element);
    if (equal === true) return true;
    if (equal === undefined) result = undefined;
  }
  return result;
}

function calculate(operator: ArithmeticOperator, left: QueryValue, right: QueryValue): QueryValue {
  if (typeof left !== "number" || typeof right !== "number") return undefined;
  switch (operator) {
    case "+":
      return finite(left + right);
    case "-":
      return finite(left - right);
    case "*":
      return finite(left * right);
    case "/":
      return finite(left / right);
    case "%":
      return finite(left % right);
  }
}
