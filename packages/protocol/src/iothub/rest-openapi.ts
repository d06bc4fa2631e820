import { acceptedApiVersions, restRoutes } from "./rest-routes.ts";
import type { RestBodyKind, RestQueryName, RestRoute } from "./rest-route.ts";
import { restBodySchemas, restSchemas } from "./rest-schemas.ts";
import type { JsonSchema } from "./rest-schemas.ts";

/** The version every current service SDK sends. */
export const apiVersionDefault = "2021-04-12";

/** Which members of the query mean what. */
const queryParameters: Readonly<Record<RestQueryName, JsonSchema>> = {
  top: {
    name: "top",
    in: "query",
    description: "How many at most; 1000 unless given, and never more.",
    schema: { type: "integer", minimum: 1, default: 1000 },
  },
  reject: {
    name: "reject",
    in: "query",
    description: "Drops the message instead of completing it; the value does not matter.",
    allowEmptyValue: true,
    schema: { type: "string" },
  },
};

const ifMatchTexts = {
  update:
    "The etag read before, or * for any: update what is there. Without it the call creates and refuses what exists.",
  required: "The etag read before, or * for any.",
  optional: "The etag read before; left out, or *, any will do.",
} as const;

const header = (name: string, description: string, required = false): JsonSchema => ({
  name,
  in: "header",
  description,
  required,
  schema: { type: "string" },
});

/** The service REST API as an OpenAPI 3.1 document: plain JSON, made from the route table. */
export function openApiDocument(options: { title: string; version: string }): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const route of restRoutes) {
    const path = (paths[route.path] ??= {});
    path[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: options.title,
      version: options.version,
      description:
        "Azure IoT Hub's service REST API as this hub serves it. Fixed path segments ignore case, ids do not; a slash at the end is tolerated.",
    },
    servers: [{ url: "/" }],
    security: [{ sharedAccessSignature: [] }],
    paths,
    components: {
      schemas: restSchemas,
      securitySchemes: {
        sharedAccessSignature: {
          type: "apiKey",
          in: "header",
          name: "Authorization",
          description: "SharedAccessSignature sr={host}&sig=…&se=…&skn={policy}",
        },
      },
    },
  };
}

function operation(route: RestRoute): JsonSchema {
  return {
    operationId: route.name,
    tags: [route.path.split("/")[1]],
    summary: route.summary,
    description: `Needs ${route.permission}.`,
    parameters: parametersOf(route),
    ...(route.request === "none"
      ? {}
      : { requestBody: { required: true, content: content(route.request) } }),
    responses: responsesOf(route),
  };
}

function parametersOf(route: RestRoute): JsonSchema[] {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const { ifMatch } = route;
  return [
    ...names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
    {
      name: "api-version",
      in: "query",
      required: true,
      schema: { type: "string", enum: acceptedApiVersions, default: apiVersionDefault },
    },
    ...(route.query ?? []).map((name) => queryParameters[name]),
    ...(ifMatch === undefined
      ? []
      : [header("If-Match", ifMatchTexts[ifMatch], ifMatch === "required")]),
    ...(route.paged === true
      ? [
          header("x-ms-max-item-count", "Size of a page, from 1."),
          header("x-ms-continuation", "From the answer with the page before."),
        ]
      : []),
  ];
}

const content = (kind: Exclude<RestBodyKind, "none">): JsonSchema => ({
  "application/json": { schema: restBodySchemas[kind] },
});

function responsesOf(route: RestRoute): JsonSchema {
  const { response, status } = route;
  const good =
    response === "none"
      ? { description: "Done." }
      : { description: "Done.", headers: answerHeaders(route), content: content(response) };
  return {
    [status]: good,
    ...(response === "feedback" ? { 204: { description: "Nothing waits." } } : {}),
    ...(response === "bulkResult"
      ? { 400: { description: "At least one element failed.", content: content(response) } }
      : {}),
    default: {
      description: "Refused: `iothub-errorcode` names the error.",
      headers: { "iothub-errorcode": { schema: { type: "string" } } },
      content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
    },
  };
}

/** Kinds of answers whose etag is a header too. */
const withEtag: ReadonlySet<RestBodyKind> = new Set(["device", "module", "twin", "feedback"]);

function answerHeaders(route: RestRoute): JsonSchema {
  const text = { schema: { type: "string" } };
  return {
    "x-ms-request-id": text,
    ...(withEtag.has(route.response) ? { ETag: text } : {}),
    ...(route.paged === true ? { "x-ms-item-type": text, "x-ms-continuation": text } : {}),
  };
}
