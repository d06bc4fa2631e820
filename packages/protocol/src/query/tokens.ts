import { QueryError } from "./query-error.ts";

export type QueryToken = {
  type: "name" | "number" | "string" | "symbol" | "end";
  /** As written; of a string, what it means. */
  text: string;
  /** Of a number. */
  value: number;
  /** Where it begins, UTF-16 units. */
  offset: number;
  end: number;
};

// Sticky, so that each looks at one place only: reading stays linear in the length of the text.
const SPACE = /\s+/y;
const NAME = /[\p{L}_$][\p{L}\p{N}\p{M}_$]*/uy;
const NAME_PART = /[\p{L}\p{N}_$]/u;
const NUMBER = /(?:0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)/y;
const SYMBOL = /<=|>=|<>|!=|[=<>+\-*/%()[\],.]/y;
const STRING_PART = /[^'"\\]+/y;

/**
 * The words of a query.
 * @throws QueryError `query.syntax`
 */
export function tokenizeQuery(text: string): QueryToken[] {
  const tokens: QueryToken[] = [];
  let offset = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = offset;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) offset += found.length;
    return found;
  };
  for (;;) {
    take(SPACE);
    const start = offset;
    const push = (type: QueryToken["type"], word: string, value = Number.NaN): void => {
      tokens.push({ type, text: word, value, offset: start, end: offset });
    };
    if (offset >= text.length) {
      push("end", "");
      return tokens;
    }
    const name = take(NAME);
    if (name !== undefined) {
      push("name", name);
      continue;
    }
    const number = take(NUMBER);
    if (number !== undefined) {
      const next = String.fromCodePoint(text.codePointAt(offset) ?? 0x20);
      if (NAME_PART.test(next)) {
        throw new QueryError("query.syntax", text, start, `${number}${next} is not a number`);
      }
      const value = Number(number);
      if (!Number.isFinite(value)) {
        throw new QueryError("query.syntax", text, start, `${number} is too large a number`);
      }
      push("number", number, value);
      continue;
    }
    const first = text[offset];
    if (first === "'" || first === '"') {
      const read = readString(text, offset);
      offset = read.end;
      push("string", read.value);
      continue;
    }
    const symbol = take(SYMBOL);
    if (symbol === undefined) {
      const shown = JSON.stringify(String.fromCodePoint(text.codePointAt(offset) ?? 0));
      throw new QueryError("query.syntax", text, start, `${shown} has no meaning here`);
    }
    push("symbol", symbol);
  }
}

/** Escapes are `\'`, `\"`, `\\` and `\u` with four digits; everything else stands for itself. */
function readString(text: string, start: number): { value: string; end: number } {
  const quote = text[start];
  let value = "";
  let at = start + 1;
  while (at < text.length) {
    const unit = text[at];
    if (unit === quote) return { value, end: at + 1 };
    if (unit === "\\") {
      const escape = /\\(?:(['"\\])|u([0-9a-fA-F]{4}))/y;
      escape.lastIndex = at;
      const found = escape.exec(text);
      if (found === null) {
        throw new QueryError(
          "query.syntax",
          text,
          at,
          "after a backslash comes ', \", \\ or u and four hexadecimal digits",
        );
      }
      const [all, character, hex = ""] = found;
      value += character ?? String.fromCharCode(Number.parseInt(hex, 16));
      at += all.length;
      continue;
    }
    STRING_PART.lastIndex = at;
    const part = STRING_PART.exec(text)?.[0] ?? text.charAt(at);
    value += part;
    at += part.length;
  }
  throw new QueryError("query.syntax", text, start, "this string does not end");
}
