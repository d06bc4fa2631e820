import { membersOf, type Member } from "./options/members.ts";
import { connectTables, innerTables, type Table } from "./options/tables.ts";
import { unitOf } from "./options/values.ts";
import { numberOptions } from "../../packages/device/src/options/bounds.ts";

const cell = (text: string): string => text.replaceAll("|", String.raw`\|`);

/** What needs no docstring: system properties that are text and nothing else, and the word that tells a union's branches apart. */
const plain: Readonly<Record<string, readonly string[]>> = {
  OutboxOptions: ["kind"],
  TelemetryOptions: [
    "correlationId",
    "userId",
    "to",
    "absoluteExpiryTime",
    "creationTimeUtc",
    "interfaceId",
    "outputName",
    "schema",
    "diagnosticId",
    "diagnosticContext",
    "traceState",
  ],
};
/** Said before each branch of a union instead. */
const kind =
  '`"memory"`: gone when the process ends. `"durable"`: on disk, and sent again after a restart.';

const membersOfTable = ({ of, names }: Table): Member[] => {
  const found = new Map<string, Member>();
  for (const [file, type] of of) {
    for (const member of membersOf(file, type, plain[type])) {
      const known = found.get(member.name);
      if (known === undefined || known.text === "") found.set(member.name, member);
    }
  }
  if (names === undefined) return [...found.values()];
  return names.map((name) => {
    const member = found.get(name);
    if (member === undefined) throw new Error(`no option ${name} any more`);
    return member;
  });
};

/** Why the bounds are as they are, where the docstring does not say it already. */
function whyOf(name: string, text: string): string {
  const why: string = Object.hasOwn(numberOptions, name)
    ? numberOptions[name as keyof typeof numberOptions].why
    : "";
  return why === "" || text.includes(why.slice(0, 40)) ? "" : ` The bounds: ${why}.`;
}

function row(table: Table, { name, isOptional, text }: Member): string {
  const value = table.values?.[name];
  const preset =
    table.presets?.[name] ?? value?.preset ?? (isOptional ? undefined : "**required**");
  if (preset === undefined) throw new Error(`${table.title}: what is ${name} when it is left out?`);
  const unit = unitOf(name);
  const range = value?.range ?? "";
  const measure =
    range === "" || /[KMGT]iB/u.test(range) ? range || unit : `${range} ${unit}`.trim();
  const why = table.values === undefined ? "" : whyOf(name, text);
  const words = name === "kind" ? kind : text;
  return `| \`${name}\` | ${cell(preset)} | ${measure} | ${cell(words + why)} |`;
}

const render = (table: Table, level: string): string => {
  const rows = membersOfTable(table).map((member) => row(table, member));
  const intro = table.intro === "" ? "" : `${table.intro}\n\n`;
  return `${level} ${table.title}\n\n${intro}| option | default | unit, range | what it does, and why |\n| --- | --- | --- | --- |\n${rows.join("\n")}\n`;
};

/** The names of the options of `connect` on the page. */
export const namesOnPage: readonly string[] = connectTables.flatMap(({ names }) => names ?? []);

/** The names of the options of `connect` in its types. */
export const namesInTypes = (): string[] => [
  ...new Set(
    ["Identification", "DeviceOptions"].flatMap((type) =>
      membersOf("packages/device/src/options/options.ts", type).map(({ name }) => name),
    ),
  ),
];

/** The page `docs/options.md`, out of the docstrings and the defaults of the code. @throws when an option is on no table */
export function renderOptions(): string {
  const missing = namesInTypes().filter((name) => !namesOnPage.includes(name));
  if (missing.length > 0) throw new Error(`options on no table: ${missing.join(", ")}`);
  return `# Every option of the device client

This page is made from the code. Everything but who connects has a default: start without options, and come here when you know what you need.

\`\`\`ts
import type { ConnectOptions } from "@hubwire/device";

export const options: ConnectOptions = {
  connectionString: "HostName=myhub.azure-devices.net;DeviceId=pump-3;SharedAccessKey=c2VjcmV0",
  keepAliveS: 240,
  outbox: { kind: "durable", directory: "outbox" },
  retry: { maxMs: 60_000 },
};
\`\`\`

A number has its unit at the end of its name: \`…S\` seconds, \`…Ms\` milliseconds, \`…Bytes\` bytes. What is out of its bounds, unknown or
misspelt is refused by \`connect()\` with \`argument.invalid\`, which names the option. Names in quotes, such as "keepalive", are those of the
connection guide.

## Options of \`connect\`

${connectTables.map((table) => render(table, "###")).join("\n")}
## Options inside options, and of calls

${innerTables.map((table) => render(table, "###")).join("\n")}`;
}
