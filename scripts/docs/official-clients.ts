import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  expectedFailure,
  expectedFailures,
} from "../../test/conformance/official/expected-failures.ts";
import { surfaces } from "../../test/conformance/official/operations.ts";
import type { Surface } from "../../test/conformance/official/operations.ts";

const root = join(import.meta.dirname, "..", "..");
const cell = (text: string): string => text.replaceAll("|", String.raw`\|`);

function packageVersion(name: string): string {
  const file = join(root, "node_modules", name, "package.json");
  const { version } = JSON.parse(readFileSync(file, "utf8")) as { version: string };
  return `\`${name}\` ${version}`;
}

/** Operations of one surface, numbers of notes where one does not work. */
function table(key: keyof typeof surfaces, surface: Surface): string {
  const rows = surface.operations.map((operation) => {
    const cells = surface.transports.map((transport) => {
      const failure = expectedFailure(key, operation, transport);
      return failure === undefined ? "works" : `no (${expectedFailures.indexOf(failure) + 1})`;
    });
    return `| ${cell(operation)} | ${cells.join(" | ")} |`;
  });
  return `## ${surface.title}

${surface.package.split(", ").map(packageVersion).join(", ")}

| operation | ${surface.transports.join(" | ")} |
| --- | ${surface.transports.map(() => "---").join(" | ")} |
${rows.join("\n")}
`;
}

/** The page `docs/official-clients.md`. */
export function renderOfficialClients(): string {
  const notes = expectedFailures.map(
    ({ why, error }, i) => `${i + 1}. ${why} The client says \`${error}\`.`,
  );
  const tables = Object.entries(surfaces).map(([key, surface]) =>
    table(key as keyof typeof surfaces, surface),
  );
  return `# Official clients against the hub

Microsoft's own clients for Node.js, as they are installed from the registry and without a change, on the standard ports. Every cell is a
[test](../test/conformance/official): the operation is carried out in a process that has only these packages, a connection string and
\`NODE_EXTRA_CA_CERTS\`, and everything the client then shows is compared: properties, annotations, codes, names of errors. "Works" includes
refusals: where the service refuses, the client shows the same error. An operation that does not work is expected to fail in the
same test, so this page cannot fall behind.

${tables.join("\n")}
## What does not work, and why

${notes.join("\n")}
`;
}
