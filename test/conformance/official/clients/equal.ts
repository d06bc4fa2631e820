import { deepStrictEqual } from "node:assert";

export const equal: (actual: unknown, expected: unknown) => void = (actual, expected) =>
  deepStrictEqual(actual, expected);
