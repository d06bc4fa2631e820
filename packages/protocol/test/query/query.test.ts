import { describe, expect, test } from "vitest";
import vectors from "../../../../vectors/query.json" with { type: "json" };
import {
  Aggregation,
  evaluate,
  formatQuery,
  isAggregated,
  matches,
  parseQuery,
  parseQueryCondition,
  projection,
  queryCharactersMax,
  QueryError,
  queryGroupsMax,
  queryItemType,
} from "../../src/query/index.ts";
import type { JsonObject } from "../../src/twin/index.ts";
import { iotErrorOf } from "../expect-iot-error.ts";

const twin = vectors.twin as unknown as JsonObject;
const devices = vectors.devices as unknown as JsonObject[];

/** All rows of a query, without a store. */
function rowsOf(text: string, documents: readonly JsonObject[]): JsonObject[] {
  const query = parseQuery(text);
  const passed = documents.filter((document) => matches(query.where, document));
  if (!isAggregated(query)) return passed.map(projection(query));
  const aggregation = new Aggregation(query);
  for (const document of passed) aggregation.add(document);
  return aggregation.rows();
}

describe("reading", () => {
  test.each(vectors.formatted)("$name", ({ query, formatted }) => {
    const parsed = parseQuery(query);
    expect(formatQuery(parsed)).toBe(formatted);
    expect(parseQuery(formatted)).toEqual(parsed);
  });

  test.each(vectors.invalid)("refused: $name", ({ query, code, line, column }) => {
    const error = iotErrorOf(() => parseQuery(query), code);
    if (!(error instanceof QueryError)) throw new Error("it does not say where");
    expect([error.line, error.column]).toEqual([line, column]);
    expect(error.message).toMatch(
      line === 1 ? `Column ${column}: ` : `Line ${line}, column ${column}: `,
    );
  });

  test("a query is at most 8192 characters long", () => {
    const longest = "SELECT * FROM devices".padEnd(queryCharactersMax);
    expect(parseQuery(longest).from).toBe("devices");
    iotErrorOf(() => parseQuery(`${longest} `), "query.too_long");
    iotErrorOf(() => parseQueryCondition("a".repeat(queryCharactersMax + 1)), "query.too_long");
  });

  test.each([
    ["parentheses", `${"(".repeat(400)}a = 1${")".repeat(400)}`],
    ["NOT", `${"NOT ".repeat(400)}a`],
    ["unary minus", `${"- ".repeat(400)}a > 1`],
    ["brackets", `a IN ${"[".repeat(400)}1${"]".repeat(400)}`],
    ["functions", `${"IS_DEFINED(".repeat(400)}a${")".repeat(400)}`],
    ["sums", `a${" + 1".repeat(400)} > 1`],
  ])("%s nest to a bound", (_, condition) => {
    iotErrorOf(() => parseQueryCondition(condition), "query.too_deep");
  });

  test("AND, OR and lists are long without being deep", () => {
    const many = Array.from({ length: 600 }, (_, n) => `a=${n}`);
    expect(parseQueryCondition(many.join(" OR "))).toMatchObject({ type: "or" });
    expect(parseQueryCondition(`a IN [${"1,".repeat(2_000)}1]`)).toMatchObject({ type: "in" });
  });

  test("a job's condition is what stands after WHERE, or a star", () => {
    expect(parseQueryCondition("*")).toBeUndefined();
    expect(parseQueryCondition(" DEVICEID in ['a'] ")).toEqual(
      parseQuery("SELECT * FROM devices WHERE deviceId IN ['a']").where,
    );
    iotErrorOf(() => parseQueryCondition("SELECT * FROM devices"), "query.syntax");
    iotErrorOf(() => parseQueryCondition(""), "query.syntax");
  });
});

describe("evaluating", () => {
  test.each(vectors.conditions)("$name: $passes", ({ condition, passes }) => {
    expect(matches(parseQueryCondition(condition), twin)).toBe(passes);
  });

  test("an array's elements that have no value are null in it", () => {
    const array = parseQueryCondition("[1, tags.nothing, 'a']");
    expect(array && evaluate(array, twin)).toEqual([1, null, "a"]);
  });

  test("a key such as __proto__ is data", () => {
    const odd = JSON.parse('{"tags": {"__proto__": {"x": 1}}}') as JsonObject;
    expect(matches(parseQueryCondition("tags.__proto__.x = 1"), odd)).toBe(true);
    const rows = rowsOf("SELECT tags.__proto__ AS __proto__ FROM devices", [odd]);
    expect(JSON.stringify(rows)).toBe('[{"__proto__":{"x":1}}]');
  });
});

describe("results", () => {
  test.each(vectors.results)("$name", ({ query, itemType, rows }) => {
    expect(queryItemType(parseQuery(query))).toBe(itemType);
    const found = rowsOf(query, devices);
    expect(JSON.parse(JSON.stringify(found))).toEqual(rows);
    // The order of the documents is not the order of the groups.
    if (isAggregated(parseQuery(query))) {
      expect(rowsOf(query, devices.toReversed())).toEqual(found);
    }
  });

  test("groups are bounded", () => {
    const aggregation = new Aggregation(
      parseQuery("SELECT deviceId, COUNT() AS n FROM devices GROUP BY deviceId"),
    );
    for (let n = 0; n < queryGroupsMax; n++) aggregation.add({ deviceId: `d${n}` });
    aggregation.add({ deviceId: "d0" });
    iotErrorOf(() => aggregation.add({ deviceId: "one more" }), "query.too_many_groups");
  });

  test("values of different types are different groups", () => {
    const documents = [1, "1", true, "true", null, [1], undefined].map((x) =>
      x === undefined ? { tags: {} } : { tags: { x } },
    );
    const rows = rowsOf("SELECT tags.x, COUNT() AS n FROM devices GROUP BY tags.x", documents);
    expect(rows).toHaveLength(7);
  });
});
