/** A query as data. The parser makes it, `formatQuery` writes it back, the evaluation reads it. */

export type QueryCollection = "devices" | "devices.modules" | "devices.jobs";

/** From the root of a twin's JSON; a number is the index of an array's element. Empty: the whole document. */
export type QueryPath = readonly (string | number)[];

export type ComparisonOperator = "=" | "!=" | "<" | "<=" | ">" | ">=";
export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%";
export type AggregateName = "COUNT" | "AVG" | "SUM" | "MIN" | "MAX";

export type QueryExpression =
  | { readonly type: "literal"; readonly value: string | number | boolean | null }
  | { readonly type: "undefined" }
  | { readonly type: "path"; readonly path: QueryPath }
  | { readonly type: "array"; readonly elements: readonly QueryExpression[] }
  | { readonly type: "call"; readonly name: string; readonly args: readonly QueryExpression[] }
  | { readonly type: "not" | "negate"; readonly operand: QueryExpression }
  /** Two operands or more. */
  | { readonly type: "and" | "or"; readonly operands: readonly QueryExpression[] }
  | {
      readonly type: "compare";
      readonly operator: ComparisonOperator;
      readonly left: QueryExpression;
      readonly right: QueryExpression;
    }
  | {
      readonly type: "in" | "nin";
      readonly left: QueryExpression;
      readonly right: QueryExpression;
    }
  | {
      readonly type: "arithmetic";
      readonly operator: ArithmeticOperator;
      readonly left: QueryExpression;
      readonly right: QueryExpression;
    };

/** What a column shows: a value of each document, or an aggregate of a group; COUNT has no path. */
export type QueryColumnValue =
  | QueryExpression
  | {
      readonly type: "aggregate";
      readonly name: AggregateName;
      readonly path: QueryPath | undefined;
    };

export type QueryColumn = {
  readonly value: QueryColumnValue;
  /** As written after AS. */
  readonly alias: string | undefined;
};

export type ParsedQuery = {
  readonly select: "*" | readonly QueryColumn[];
  readonly top: number | undefined;
  readonly from: QueryCollection;
  readonly where: QueryExpression | undefined;
  readonly groupBy: QueryPath | undefined;
};
