import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJson } from "../../src/twin/index.ts";
import { iotErrorOf, valueOrIotError } from "../expect-iot-error.ts";
import "../long-runs.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("untrusted JSON", () => {
  test.each<[string, string, string]>([
    ["empty", "", "json.malformed"],
    ["a space, which Node devices send as an empty body", " ", "json.malformed"],
    ["half an object", '{"a":', "json.malformed"],
    ["two values", "1 2", "json.malformed"],
    ["NaN", "NaN", "json.malformed"],
    ["single quotes", "{'a':1}", "json.malformed"],
    ["65 levels", `${"[".repeat(65)}${"]".repeat(65)}`, "json.too_deep"],
    ["a million open brackets", "[".repeat(200_000), "json.too_deep"],
    ["more than 256 KiB", `"${"x".repeat(262_143)}"`, "json.too_large"],
  ])("%s is refused", (_, text, code) => {
    iotErrorOf(() => parseJson(bytes(text)), code);
  });

  test.each([[[0xff]], [[0x22, 0xc3, 0x22]], [[0x22, 0xed, 0xa0, 0x80, 0x22]]])(
    "bytes %j are no UTF-8",
    (raw) => {
      iotErrorOf(() => parseJson(Uint8Array.from(raw)), "json.bad_utf8");
    },
  );

  test("brackets inside strings do not count as depth", () => {
    const text = JSON.stringify({ a: `${"[{".repeat(500)}\\"`, b: '"[' });
    expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
    const escapedQuote = JSON.stringify(`"${"[".repeat(100)}`);
    expect(parseJson(bytes(escapedQuote))).toBe(JSON.parse(escapedQuote));
  });

  test("limits can be tightened", () => {
    const limits = { bytesMax: 10, depthMax: 2 };
    expect(parseJson(bytes("[[1]]"), limits)).toEqual([[1]]);
    iotErrorOf(() => parseJson(bytes("[[[1]]]"), limits), "json.too_deep");
    iotErrorOf(() => parseJson(bytes("[1,2,3,4,5]"), limits), "json.too_large");
  });

  test("__proto__ is an own property and nothing else", () => {
    const value = parseJson(bytes('{"__proto__":{"x":1}}')) as Record<string, unknown>;
    expect(Object.hasOwn(value, "__proto__")).toBe(true);
    expect(value["x"]).toBeUndefined();
  });

  test("errors never show the document", () => {
    const error = iotErrorOf(() => parseJson(bytes('{"password":"hunter2"')));
    expect(`${error.message}${error.remedy}`).not.toContain("hunter2");
    expect(error.cause).toBeUndefined();
  });

  test("what JSON.stringify writes is read", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => {
        expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("any bytes are parsed or refused with an IotError", () => {
    const piece = fc.constantFrom(...'{}[]",:\\0aé\u0000 '.split("")).map((text) => bytes(text));
    const anyBytes = fc.oneof(
      fc.uint8Array(),
      fc.array(piece).map((pieces) => Uint8Array.from(pieces.flatMap((one) => [...one]))),
    );
    fc.assert(fc.property(anyBytes, (any) => void valueOrIotError(() => parseJson(any))));
  });
});
