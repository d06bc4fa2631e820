import type { ErrorCode } from "../errors/iot-error.ts";
import type {
  ArithmeticOperator,
  ComparisonOperator,
  QueryCollection,
  QueryExpression,
} from "./ast.ts";
import { queryFunctions } from "./functions.ts";
import { queryDepthMax } from "./limits.ts";
import { canonicalize, reservedWords } from "./names.ts";
import { QueryError } from "./query-error.ts";
import { tokenizeQuery } from "./tokens.ts";
import type { QueryToken } from "./tokens.ts";

const comparisons: Readonly<Record<string, ComparisonOperator>> = {
  "=": "=",
  "!=": "!=",
  "<>": "!=",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
};

/**
 * Reads expressions by recursive descent. Loosest first: OR, AND, NOT, comparison and IN, `+ -`, `* / %`, unary minus.
 * Comparisons do not chain.
 */
export class ExpressionParser {
  readonly #text: string;
  readonly #tokens: readonly QueryToken[];
  #at = 0;
  #depth = 0;
  /** Every path read, to be given its canonical form once FROM is known. */
  readonly #paths: (string | number)[][] = [];

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenizeQuery(text);
  }

  expression(): QueryExpression {
    return this.#deeper(() => this.#chain("or", "OR", () => this.#and()));
  }

  path(): readonly (string | number)[] {
    const { type, text } = this.peek();
    if (type !== "name" || reservedWords.has(text.toUpperCase())) this.expected("an attribute");
    this.next();
    const path: (string | number)[] = [text];
    for (;;) {
      if (this.takeSymbol(".")) {
        if (this.peek().type !== "name") this.expected("a name");
        path.push(this.next().text);
      } else if (this.takeSymbol("[")) {
        path.push(this.#subscript());
        this.symbol("]");
      } else break;
    }
    this.#paths.push(path);
    return path;
  }

  canonicalizePaths(from: QueryCollection): void {
    for (const path of this.#paths) canonicalize(path, from);
  }

  // --- tokens ---

  peek(ahead = 0): QueryToken {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] as QueryToken;
  }

  next(): QueryToken {
    const token = this.peek();
    this.#at++;
    return token;
  }

  isKeyword(word: string): boolean {
    const { type, text } = this.peek();
    return type === "name" && text.toUpperCase() === word;
  }

  takeKeyword(word: string): boolean {
    const is = this.isKeyword(word);
    if (is) this.#at++;
    return is;
  }

  keyword(word: string): void {
    if (!this.takeKeyword(word)) this.expected(word);
  }

  isSymbol(symbol: string, ahead = 0): boolean {
    const { type, text } = this.peek(ahead);
    return type === "symbol" && text === symbol;
  }

  takeSymbol(symbol: string): boolean {
    const is = this.isSymbol(symbol);
    if (is) this.#at++;
    return is;
  }

  symbol(symbol: string): void {
    if (!this.takeSymbol(symbol)) this.expected(JSON.stringify(symbol));
  }

  end(what: string): void {
    if (this.peek().type !== "end") this.expected(what);
  }

  expected(what: string): never {
    const { type, offset, end } = this.peek();
    const shown = this.#text.slice(offset, Math.min(end, offset + 32));
    return this.fail(
      "query.syntax",
      `expected ${what}, found ${type === "end" ? "the end" : JSON.stringify(shown)}`,
    );
  }

  fail(code: ErrorCode, what: string): never {
    return this.failAt(code, this.peek().offset, what);
  }

  failAt(code: ErrorCode, offset: number, what: string): never {
    throw new QueryError(code, this.#text, offset, what);
  }

  // --- levels ---

  #deeper<T>(read: () => T): T {
    this.#checkDepth(++this.#depth);
    const result = read();
    this.#depth--;
    return result;
  }

  #checkDepth(depth: number): void {
    if (depth > queryDepthMax) {
      this.fail("query.too_deep", `the query is nested more than ${queryDepthMax} deep here`);
    }
  }

  #chain(type: "and" | "or", word: string, operand: () => QueryExpression): QueryExpression {
    const first = operand();
    if (!this.isKeyword(word)) return first;
    const operands = [first];
    while (this.takeKeyword(word)) operands.push(operand());
    return { type, operands };
  }

  #and(): QueryExpression {
    return this.#chain("and", "AND", () => this.#not());
  }

  #not(): QueryExpression {
    if (!this.takeKeyword("NOT")) return this.#comparison();
    return this.#deeper(() => ({ type: "not", operand: this.#not() }));
  }

  #comparison(): QueryExpression {
    const left = this.#sum();
    const { type, text } = this.peek();
    const operator = type === "symbol" ? comparisons[text] : undefined;
    if (operator !== undefined) {
      this.next();
      return { type: "compare", operator, left, right: this.#sum() };
    }
    for (const word of ["in", "nin"] as const) {
      if (!this.takeKeyword(word.toUpperCase())) continue;
      if (this.isSymbol("(")) {
        this.fail("query.syntax", `${word.toUpperCase()} takes a list in brackets: ['a', 'b']`);
      }
      return { type: word, left, right: this.#sum() };
    }
    return left;
  }

  #sum(): QueryExpression {
    return this.#arithmetic(["+", "-"], () =>
      this.#arithmetic(["*", "/", "%"], () => this.#unary()),
    );
  }

  #arithmetic(
    operators: readonly ArithmeticOperator[],
    operand: () => QueryExpression,
  ): QueryExpression {
    let left = operand();
    for (let length = 1; ; length++) {
      const operator = operators.find((one) => this.isSymbol(one));
      if (operator === undefined) return left;
      this.#checkDepth(this.#depth + length);
      this.next();
      left = { type: "arithmetic", operator, left, right: operand() };
    }
  }

  #unary(): QueryExpression {
    if (!this.takeSymbol("-")) return this.#primary();
    if (this.peek().type === "number") return { type: "literal", value: 0 - this.next().value };
    return this.#deeper(() => ({ type: "negate", operand: this.#unary() }));
  }

  #primary(): QueryExpression {
    const { type, text, value } = this.peek();
    if (type === "number") {
      this.next();
      return { type: "literal", value };
    }
    if (type === "string") {
      this.next();
      return { type: "literal", value: text };
    }
    if (this.takeSymbol("(")) {
      const inner = this.expression();
      this.symbol(")");
      return inner;
    }
    if (this.takeSymbol("[")) return { type: "array", elements: this.#list("]") };
    if (type !== "name") this.expected("a value");
    if (this.isSymbol("(", 1)) return this.#call();
    const word = this.#word(text.toUpperCase());
    return word ?? { type: "path", path: this.path() };
  }

  #word(word: string): QueryExpression | undefined {
    const words: Readonly<Record<string, QueryExpression>> = {
      TRUE: { type: "literal", value: true },
      FALSE: { type: "literal", value: false },
      NULL: { type: "literal", value: null },
      UNDEFINED: { type: "undefined" },
    };
    const found = Object.hasOwn(words, word) ? words[word] : undefined;
    if (found !== undefined) this.next();
    return found;
  }

  #call(): QueryExpression {
    const { text, offset } = this.next();
    const name = text.toUpperCase();
    const known = queryFunctions.get(name);
    if (known === undefined) {
      if (reservedWords.has(name)) {
        this.#at--;
        this.expected("a value");
      }
      this.failAt(
        "query.unknown_function",
        offset,
        `there is no function ${JSON.stringify(text.slice(0, 64))} here`,
      );
    }
    this.next();
    const args = this.#list(")");
    const { argsMin, argsMax } = known;
    if (args.length < argsMin || args.length > argsMax) {
      const count = argsMin === argsMax ? String(argsMin) : `${argsMin} to ${argsMax}`;
      this.failAt(
        "query.wrong_arguments",
        offset,
        `${name} takes ${count} argument${count === "1" ? "" : "s"}, not ${args.length}`,
      );
    }
    return { type: "call", name, args };
  }

  /** What stands between an opening bracket and `close`, which is taken too. */
  #list(close: string): QueryExpression[] {
    const list: QueryExpression[] = [];
    if (this.takeSymbol(close)) return list;
    do list.push(this.expression());
    while (this.takeSymbol(","));
    if (!this.takeSymbol(close)) this.expected(`"," or ${JSON.stringify(close)}`);
    return list;
  }

  #subscript(): string | number {
    const { type, text, value } = this.peek();
    if (type === "string") {
      this.next();
      return text;
    }
    if (type !== "number" || !Number.isSafeInteger(value)) this.expected("an index or a string");
    this.next();
    return value;
  }
}
