import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeBase64Lenient,
  encodeBase64,
  isCanonicalKey,
  utf8Bytes,
} from "../../src/iothub/index.ts";
import "../long-runs.ts";

describe("base64", () => {
  test("any bytes are written as the platform writes them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString("base64"));
      }),
    );
  });

  test("any bytes come back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(decodeBase64Lenient(encodeBase64(bytes))).toEqual(new Uint8Array(bytes));
      }),
    );
  });

  test("any text decodes to what Node's Buffer makes of it", () => {
    const letters = "ABCDwxyz0189+/-_ \n!é=".split("");
    const text = fc.string({ unit: fc.constantFrom(...letters), maxLength: 40 });
    const padding = fc.constantFrom("", "=", "==");
    fc.assert(
      fc.property(text, padding, (body, pad) => {
        expect(Buffer.from(decodeBase64Lenient(body + pad))).toEqual(
          Buffer.from(body + pad, "base64"),
        );
      }),
    );
  });

  test.each([
    ["15 bytes are too few", 15, false],
    ["16 bytes", 16, true],
    ["32 bytes, the usual key", 32, true],
    ["64 bytes", 64, true],
    ["65 bytes are too many", 65, false],
  ])("registry keys: %s", (_, length, good) => {
    expect(isCanonicalKey(encodeBase64(new Uint8Array(length).fill(7)))).toBe(good);
  });

  test("a key that only decodes leniently is not canonical", () => {
    expect(isCanonicalKey("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH=")).toBe(false);
    expect(isCanonicalKey(`${"A".repeat(42)}B=`)).toBe(false);
    expect(isCanonicalKey(" ".repeat(1e6))).toBe(false);
  });
});

test("UTF-8 lengths agree with the encoder for any text", () => {
  const anyText = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(anyText, (text) => {
      expect(utf8Bytes(text)).toBe(new TextEncoder().encode(text).length);
    }),
  );
  for (const text of ["\ud83c", "\ud83cx", "\udf21\ud83c", "\ud83c\ud83c\udf21"]) {
    expect(utf8Bytes(text)).toBe(new TextEncoder().encode(text).length);
  }
});
