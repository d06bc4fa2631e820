import {
  absentRoutes,
  acceptedApiVersions,
  restBodySchemas,
  restRoutes,
  restSchemas,
} from "@hubwire/protocol";
import type { JsonSchema, RestBodyKind, RestRoute } from "@hubwire/protocol";

/** How the groups of routes are called, by the first words of their names. */
const sections = [
  { title: "Devices", names: ["devices.list", "devices.bulk", "device."] },
  { title: "Modules", names: ["modules.", "module."] },
  { title: "Twins", names: ["twin.", "moduleTwin."] },
  { title: "Queries", names: ["devices.query"] },
  { title: "Direct methods", names: ["method.", "moduleMethod."] },
  { title: "Messages", names: ["commands.", "feedback."] },
  { title: "Statistics", names: ["statistics."] },
] as const;

const ifMatchTexts = {
  update: "updates what is there; without it the call only creates",
  required: "needed; `*` takes any etag",
  optional: "optional",
} as const;

const shapeNames = new Map(Object.keys(restSchemas).map((name) => [name.toLowerCase(), name]));

/** A type in a few words, with a link where the shape has a section. */
function typeText(schema: JsonSchema): string {
  const { $ref: reference, type, items, enum: values } = schema;
  if (typeof reference === "string") {
    const name = reference.slice(reference.lastIndexOf("/") + 1);
    return `[${name}](#${name.toLowerCase()})`;
  }
  if (Array.isArray(values)) return values.map((value) => `\`${String(value)}\``).join(", ");
  if (type === "array") return `array of ${typeText(items as JsonSchema)}`;
  if (Array.isArray(type)) return type.join(" or ");
  if (typeof type !== "string") return "any JSON";
  const inner = schema["properties"] as Record<string, JsonSchema> | undefined;
  if (inner === undefined) return type;
  const members = Object.entries(inner).map(([name, of]) => `\`${name}\`: ${typeText(of)}`);
  return `object of ${members.join("; ")}`;
}

const bodyText = (kind: RestBodyKind): string =>
  kind === "none" ? "none" : typeText(restBodySchemas[kind]);

function routeText(route: RestRoute): string {
  const lines = [
    `Permission: ${route.permission}`,
    ...(route.query === undefined
      ? []
      : [`query: ${route.query.map((name) => `\`${name}\``).join(", ")}`]),
    ...(route.ifMatch === undefined ? [] : [`If-Match: ${ifMatchTexts[route.ifMatch]}`]),
    ...(route.paged === true
      ? ["pages: `x-ms-max-item-count` and `x-ms-continuation`; the latter is absent on the last"]
      : []),
    `body: ${bodyText(route.request)}`,
    `answer: ${route.status} ${route.response === "none" ? "" : bodyText(route.response)}`.trim(),
    ...(route.errorForm === undefined ? [] : [`errors in form ${route.errorForm}`]),
  ];
  return `### \`${route.method} ${route.path}\`\n\n${route.summary}\n\n${lines.map((line) => `- ${line}`).join("\n")}\n`;
}

function shapeText(name: string, schema: JsonSchema): string {
  const properties = schema["properties"] as Record<string, JsonSchema> | undefined;
  if (properties === undefined) return `### ${name}\n\n${String(schema["description"])}\n`;
  const required = (schema["required"] ?? []) as readonly string[];
  const rows = Object.entries(properties).map(
    ([member, of]) =>
      `| \`${member}\`${required.includes(member) ? " (required)" : ""} | ${typeText(of)} |`,
  );
  return `### ${name}\n\n| member | value |\n| --- | --- |\n${rows.join("\n")}\n`;
}

/** The page `docs/rest-api.md`, out of the route table. @throws when a route has no place on the page */
export function renderRestApi(): string {
  const left = new Set<string>(restRoutes.map(({ name }) => name));
  const parts = sections.map(({ title, names }) => {
    const own = restRoutes.filter(({ name }) => names.some((start) => name.startsWith(start)));
    for (const { name } of own) left.delete(name);
    return `## ${title}\n\n${own.map((route) => routeText(route)).join("\n")}`;
  });
  if (left.size > 0) {
    throw new Error(`${[...left].join(", ")}: no section in scripts/docs/rest-api.ts`);
  }
  const features = [...new Set(absentRoutes.map(({ feature }) => feature))].map((feature) => {
    const calls = absentRoutes.filter((route) => route.feature === feature);
    return `| ${feature} | ${calls.map(({ method, path }) => `\`${method} ${path}\``).join("<br>")} |`;
  });
  const shapes = [...shapeNames.values()].map((name) => shapeText(name, restSchemas[name] ?? {}));
  return `${head}${parts.join("\n")}
## Absent

Azure has these calls. This hub answers them with 404 and \`FeatureNotSupported\` (404013).

| feature | calls |
| --- | --- |
${features.join("\n")}

## Shapes

Members that only the hub sets are ignored when they are sent, so what was read can be changed and sent back.

${shapes.join("\n")}`;
}

const head = `# REST API

Azure IoT Hub's service REST API as this hub serves it, made from the table of routes that the hub itself works from. The same as
OpenAPI 3.1: \`GET /openapi.json\`, which needs no token.

- **Address:** \`https://{host}{path}?api-version=2021-04-12\`. Versions: ${acceptedApiVersions.join(", ")}. Fixed words of a path may come in any case, with
  or without a last \`/\`; ids are percent-encoded and compared verbatim.
- **Authorization:** \`SharedAccessSignature sr={host}&sig=…&se=…&skn={policy}\`. The resource may be narrower than the host
  (\`{host}/devices\`, \`{host}/devices/{id}\`): it then covers the paths that begin with it.
- **Bodies** are JSON in UTF-8, \`Content-Type: application/json\`.
- **Etags:** the \`ETag\` header is quoted; \`If-Match\` may be quoted or bare, and \`*\` takes any.
- **Errors:** the header \`iothub-errorcode\` has Azure's name, \`hubwire-errorcode\` the code of the [error reference](errors.md). The body is form A,
  \`{"Message":"ErrorCode:{Name};…","ExceptionMessage":"Tracking ID:…"}\`, unless a call says otherwise; form B is
  \`{"errorCode","message","trackingId","timestampUtc","info"}\`.

`;
