import { expect, test } from "vitest";
import { openApiDocument, restBodySchemas, restRoutes, restSchemas } from "../../src/index.ts";

type Operation = {
  operationId: string;
  parameters: { name: string; in: string; required?: boolean }[];
  requestBody?: unknown;
  responses: Record<string, unknown>;
};
const document = openApiDocument({ title: "T", version: "1" });
const paths = document["paths"] as Record<string, Record<string, Operation>>;

test.each(restRoutes.map((route) => [route.name, route] as const))(
  "%s is in the OpenAPI document",
  (name, route) => {
    const operation = paths[route.path]?.[route.method.toLowerCase()];
    expect(operation?.operationId).toBe(name);
    expect(operation?.requestBody !== undefined).toBe(route.request !== "none");
    expect(Object.keys(operation?.responses ?? {})).toContain(String(route.status));
    const inPath = operation?.parameters.filter((parameter) => parameter.in === "path") ?? [];
    expect(inPath.map((parameter) => `{${parameter.name}}`)).toEqual(
      route.path.match(/\{\w+\}/g) ?? [],
    );
    expect(operation?.parameters.map((parameter) => parameter.name)).toContain("api-version");
  },
);

test("the document has nothing that no route has", () => {
  const operations = Object.values(paths).flatMap((path) => Object.values(path));
  expect(operations.map(({ operationId }) => operationId).toSorted()).toEqual(
    restRoutes.map(({ name }) => name).toSorted(),
  );
});

test("every reference in the document leads to a shape, and every shape is used", () => {
  const text = JSON.stringify([document, restBodySchemas]);
  const used = new Set(
    [...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name),
  );
  expect(used).toEqual(new Set(Object.keys(restSchemas)));
});

test("the document is plain JSON", () => {
  expect(JSON.parse(JSON.stringify(document))).toEqual(document);
});
