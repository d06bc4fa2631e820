import { catalog } from "@hubwire/protocol";
import type { CatalogEntry } from "@hubwire/protocol";

/** What the codes of a prefix have in common, in the order the page shows them. */
const groups: Readonly<Record<string, string>> = {
  connection_string:
    "A connection string that cannot be used. Messages never show the secret in it.",
  sas: "Making and reading shared access signatures.",
  secret: "Places where a secret lives. Messages name the place and never the secret.",
  certificate: "Having the hub issue a certificate, and keeping it (preview).",
  provisioning:
    "The Device Provisioning Service, seen from the device: what it answered, or that it did not.",
  pkcs11: "Keys in a PKCS#11 token.",
  ca: "The hub's certificate authorities, whose certificates name devices.",
  auth: "Why the hub did not let somebody in: one code for each check. Azure tells the device none of this; the hub's log does.",
  transport: "The network and TLS, seen from the side that connects.",
  mqtt: "What ends an MQTT connection; the remedy cites the rule of MQTT 3.1.1.",
  amqp: "What ends an AMQP connection, session or link of the hub.",
  events: "Reading telemetry as an event stream.",
  topic: "Topics, topic filters and property bags.",
  message: "Messages in either direction.",
  connection: "Why the hub ended a connection it had accepted.",
  device: "What the device client tells its caller, and what the registry says about devices.",
  module: "Modules of devices.",
  identity: "Identities on their way into the registry.",
  twin: "Device twins.",
  query: "Queries over twins. Messages begin with the line and column they are about.",
  json: "JSON documents, wherever they come in.",
  method: "Direct methods.",
  etag: "Optimistic concurrency with If-Match.",
  request: "HTTP requests to the hub.",
  route: "Addresses of the hub's HTTPS endpoint.",
  quota: "Limits on numbers and rates.",
  store: "The hub's store.",
  hub: "The hub as a program.",
  service: "Calls to a hub's HTTPS endpoint, seen from the caller.",
  cli: "The `hubwire` command.",
  call: "Any call that takes time.",
  argument: "Arguments and options.",
  client: "Objects that were closed.",
};

const head = `# Error reference

Every error of Hubwire is an \`IotError\` with a \`code\`. Branch on the code; show \`message\` and \`remedy\` to people. \`retryable\` says whether
the same thing may succeed later without anybody changing anything.

\`\`\`ts
import { connect, IotError } from "@hubwire/device";

try {
  await connect({ connectionString: "HostName=localhost;DeviceId=meter-7" });
} catch (error) {
  if (!(error instanceof IotError)) throw error;
  console.log(error.code, error.message, error.remedy, error.retryable);
}
\`\`\`

A code may have a face on the wire: an HTTP status with Azure's own number and name, or the return code in CONNACK.

`;

const prefixOf = (code: string): string => code.slice(0, code.indexOf("."));

/** GitHub's anchor of a heading \`like.this\`. */
const anchorOf = (code: string): string => code.replaceAll(".", "");

function facts({ retryable, http, connack }: CatalogEntry): string {
  return [
    retryable ? "Retryable" : "Not retryable",
    ...(http === undefined ? [] : [`HTTP ${http.status}, ${http.code} ${http.name}`]),
    ...(connack === undefined ? [] : [`CONNACK ${connack}`]),
  ].join(" · ");
}

/** The page `docs/errors.md`, out of the catalogue. @throws when a code's prefix has no place on the page */
export function renderErrors(): string {
  const entries: [string, CatalogEntry][] = Object.entries(catalog);
  for (const [code] of entries) {
    if (!Object.hasOwn(groups, prefixOf(code))) {
      throw new Error(`${code}: its prefix has no line in scripts/docs/errors.ts`);
    }
  }
  const sections = Object.entries(groups).map(([prefix, intro]) => {
    const members = entries.filter(([code]) => prefixOf(code) === prefix);
    if (members.length === 0) throw new Error(`${prefix}: no code has this prefix any more`);
    const codes = members.map(
      ([code, entry]) =>
        `### \`${code}\`\n\n${entry.summary}\n\n**What to do:** ${entry.remedy}\n\n${facts(entry)}\n`,
    );
    return {
      prefix,
      count: members.length,
      text: `## ${prefix}\n\n${intro}\n\n${codes.join("\n")}`,
    };
  });
  const contents = sections.map(
    ({ prefix, count }) => `[${prefix}](#${anchorOf(prefix)}) (${count})`,
  );
  return `${head}${contents.join(" · ")}\n\n${sections.map(({ text }) => text).join("\n")}`;
}
