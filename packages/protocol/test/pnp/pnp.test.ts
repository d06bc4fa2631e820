import { expect, test } from "vitest";
import vectors from "../../../../vectors/pnp.json" with { type: "json" };
import {
  checkDtdlName,
  componentPatch,
  componentProperties,
  formatCommandName,
  parseCommandName,
  writablePropertyPatch,
} from "../../src/pnp/index.ts";
import type { Acknowledgement } from "../../src/pnp/index.ts";
import type { JsonObject } from "../../src/twin/index.ts";

test.each(vectors.componentPatches)("reported by component $component", (one) => {
  expect(componentPatch(one.component ?? undefined, one.patch as JsonObject)).toEqual(one.reported);
});

test.each(vectors.acknowledgements)("$component $property is acknowledged", (one) => {
  const patch = writablePropertyPatch(
    one.component ?? undefined,
    one.property,
    one.ack as Acknowledgement,
  );
  expect(JSON.parse(JSON.stringify(patch))).toEqual(one.reported);
});

test.each(vectors.commands)("$method is a command's method", ({ component, command, method }) => {
  expect(formatCommandName(component ?? undefined, command)).toBe(method);
  expect(parseCommandName(method)).toEqual({ component: component ?? undefined, command });
});

test.each(vectors.sections)("the properties of $component are read", (one) => {
  const properties = componentProperties(one.section as JsonObject, one.component ?? undefined);
  expect({ ...properties }).toEqual(one.properties);
});

test("names are those DTDL takes", () => {
  for (const name of vectors.goodNames) expect(() => checkDtdlName("property", name)).not.toThrow();
  expect(() => checkDtdlName("property", "a".repeat(512))).not.toThrow();
  for (const name of [...vectors.badNames, "a".repeat(513), 1, undefined]) {
    expect(() => checkDtdlName("property", name), String(name)).toThrow(
      expect.objectContaining({ code: "argument.invalid" }),
    );
  }
});

test.each([
  ["a code that is no whole number", { value: 1, ac: 200.5, av: 1 }],
  ["a version that is none", { value: 1, ac: 200, av: -1 }],
  ["no value", { value: undefined, ac: 200, av: 1 }],
])("an acknowledgement with %s is the caller's mistake", (_name, ack) => {
  expect(() => writablePropertyPatch(undefined, "p", ack)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
});

test.each(["*a", "a*", "a*b*c"])("%s is no command", (name) => {
  expect(() => parseCommandName(name)).toThrow(
    expect.objectContaining({ code: "argument.invalid" }),
  );
});
