import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  evaluate,
  formatExpression,
  formatQuery,
  matches,
  parseQuery,
  parseQueryCondition,
  queryFunctions,
} from "../../src/query/index.ts";
import type { ParsedQuery, QueryExpression, QueryPath } from "../../src/query/index.ts";
import type { JsonValue } from "../../src/twin/index.ts";
import { valueOrIotError } from "../expect-iot-error.ts";
import { naive } from "./naive.ts";
import "../long-runs.ts";

const names = fc.constantFrom(
  ..."x y select AS __proto__ constructor $version zoë 0 devices".split(" "),
  "",
  "a b",
  "it's",
  '"',
  "\\",
  "a.b",
  "]",
  "\n",
  "\ud800",
);
const segment = fc.oneof(names, names, fc.nat(3));
const path: fc.Arbitrary<QueryPath> = fc.oneof(
  fc.tuple(fc.constantFrom("tags", "deviceId", "status"), segment).map((both) => both),
  fc.tuple(fc.constantFrom("tags", "x", "devices", "a b", "NOT", "$1"), segment, segment),
  fc.tuple(fc.constant("properties"), fc.constantFrom("desired", "reported"), segment),
  fc.tuple(fc.nat(2)),
  fc.constant([]),
);
const number = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value)),
);
const literal = fc.oneof(
  number,
  fc.string({ unit: "binary" }),
  fc.constantFrom("'", "\\", "\ud800"),
  fc.boolean(),
  fc.constant(null),
);

/** Expressions over some paths; as the parser makes them. */
function expressions(
  paths: fc.Arbitrary<QueryPath>,
  literals: fc.Arbitrary<string | number | boolean | null>,
): fc.Arbitrary<QueryExpression> {
  const { tree } = fc.letrec<{ tree: QueryExpression; list: QueryExpression }>((tie) => ({
    list: fc.oneof(
      fc
        .array(tie("tree"), { maxLength: 3 })
        .map((elements): QueryExpression => ({ type: "array", elements })),
      paths.map((one): QueryExpression => ({ type: "path", path: one })),
    ),
    tree: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      literals.map((value): QueryExpression => ({ type: "literal", value })),
      paths.map((one): QueryExpression => ({ type: "path", path: one })),
      fc.constant<QueryExpression>({ type: "undefined" }),
      tie("list"),
      fc
        .constantFrom(...queryFunctions.entries())
        .chain(([name, { argsMin, argsMax }]) =>
          fc
            .array(tie("tree"), { minLength: argsMin, maxLength: Math.min(argsMax, argsMin + 2) })
            .map((args): QueryExpression => ({ type: "call", name, args })),
        ),
      fc
        .record({ type: fc.constantFrom("not", "negate"), operand: tie("tree") })
        .map((one) => one as QueryExpression),
      fc
        .record({
          type: fc.constantFrom("and", "or"),
          operands: fc.array(tie("tree"), { minLength: 2, maxLength: 3 }),
        })
        .map((one) => one as QueryExpression),
      fc
        .record({
          type: fc.constant("compare"),
          operator: fc.constantFrom("=", "!=", "<", "<=", ">", ">="),
          left: tie("tree"),
          right: tie("tree"),
        })
        .map((one) => one as QueryExpression),
      fc
        .record({ type: fc.constantFrom("in", "nin"), left: tie("tree"), right: tie("list") })
        .map((one) => one as QueryExpression),
      fc
        .record({
          type: fc.constant("arithmetic"),
          operator: fc.constantFrom("+", "-", "*", "/", "%"),
          left: tie("tree"),
          right: tie("tree"),
        })
        .map((one) => one as QueryExpression),
    ),
  }));
  return tree;
}

const anything = expressions(path, literal);

test("what was written is read again as the same expression", () => {
  fc.assert(
    fc.property(anything, (expression) => {
      expect(parseQueryCondition(`(${formatExpression(expression)})`)).toEqual(expression);
    }),
  );
});

test("what was written is read again as the same query", () => {
  const aggregate = fc.record({
    type: fc.constant("aggregate" as const),
    name: fc.constantFrom("AVG", "SUM", "MIN", "MAX"),
    path: path.filter(([first]) => first !== undefined),
  });
  const ofDevices = fc.record({
    select: fc.oneof(
      fc.constant("*" as const),
      fc
        .array(anything, { minLength: 1, maxLength: 4 })
        .map((values) => values.map((value, n) => ({ value, alias: `c${n} '` }))),
    ),
    top: fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
    from: fc.constantFrom("devices", "devices.modules"),
    where: fc.option(anything, { nil: undefined }),
    groupBy: fc.constant(undefined),
  });
  const grouped = fc.record({
    select: fc
      .array(aggregate, { minLength: 1, maxLength: 3 })
      .map((values) => values.map((value, n) => ({ value, alias: `c${n}` }))),
    top: fc.constant(undefined),
    from: fc.constant("devices"),
    where: fc.option(anything, { nil: undefined }),
    groupBy: fc.option(path, { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.oneof(ofDevices, grouped), (made) => {
      const query = made as ParsedQuery;
      expect(parseQuery(formatQuery(query))).toEqual(query);
    }),
  );
});

const value: fc.Arbitrary<JsonValue> = fc.oneof(
  fc.constantFrom<JsonValue>(null, true, false, 0, 1, -1, 2.5, "", "a", "b", "1", "ab"),
  fc.constantFrom<JsonValue>([], [1, "a", null], { a: 1 }, [[1]]),
);
const document = fc.dictionary(fc.constantFrom("a", "b", "c"), value, { noNullPrototype: true });
const fewPaths = fc.oneof(
  fc.constantFrom<QueryPath>(["a"], ["b"], ["c"]),
  fc.constantFrom<QueryPath>(["a", 0], ["b", "a"], ["c", 1]),
);
const fewLiterals = fc.constantFrom(null, true, false, 0, 1, 2, -1, "", "a", "b", "1");

test("the value is that of a second implementation", () => {
  fc.assert(
    fc.property(expressions(fewPaths, fewLiterals), document, (expression, twin) => {
      expect(evaluate(expression, twin)).toEqual(naive(expression, twin));
      expect(matches(expression, twin)).toBe(naive(expression, twin) === true);
    }),
  );
});

test("whatever text comes, the answer is a query or a reason with a place", () => {
  const word = fc.constantFrom(
    ..."SELECT TOP FROM WHERE GROUP BY AS AND OR NOT IN NIN devices devices.modules tags".split(
      " ",
    ),
    ..."( ) [ ] , . * + - / % = != <> < <= > >= ' \" \\ 'a' 1 0x1F 1e3 true null COUNT() x $ ;".split(
      " ",
    ),
    ..."IS_DEFINED( STARTSWITH( AVG( 'it\\'s' \\u0041 \u{1f600} \ud800 é _ \n".split(" "),
  );
  const soup = fc.array(word, { maxLength: 60 }).map((words) => words.join(" "));
  const glued = fc.array(word, { maxLength: 60 }).map((words) => words.join(""));
  const almost = fc
    .tuple(anything, fc.nat(), fc.string({ unit: "binary", maxLength: 3 }))
    .map(([expression, at, junk]) => {
      const text = `SELECT * FROM devices WHERE ${formatExpression(expression)}`;
      const place = at % (text.length + 1);
      return text.slice(0, place) + junk + text.slice(place + 1);
    });
  const texts = fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), soup, glued, almost);
  fc.assert(
    fc.property(texts, (text) => {
      const result = valueOrIotError(() => parseQuery(text));
      if (result instanceof Error) {
        expect(result.code).toMatch(/^query\./);
        expect(result.message.length).toBeLessThan(300);
      } else expect(parseQuery(formatQuery(result))).toEqual(result);
    }),
  );
});

test("texts made to take long are read or refused like any other", () => {
  const hostile = [
    "(",
    "[",
    "'",
    '"',
    "\\",
    "a.",
    "a[0]",
    "NOT ",
    "- ",
    "1",
    "1.",
    ".1",
    "0x",
    "e1",
  ];
  hostile.push(
    "\u{1f600}",
    "x AND ",
    "x,",
    "IN [",
    " ",
    "\n",
    "''",
    "'\\u0041'",
    "<",
    "a=",
    "COUNT(",
  );
  for (const part of hostile) {
    const filler = part.repeat(8_000).slice(0, 8_100);
    for (const text of [`SELECT * FROM devices WHERE ${filler}`, `SELECT ${filler}`, filler]) {
      valueOrIotError(() => parseQuery(text.slice(0, 8192)));
    }
  }
});
