import { createProgram } from "../../packages/cli/src/main.ts";

type Command = ReturnType<typeof createProgram>;

const intro = `# The command

\`hubwire\` runs a hub and does what a back end does: with the hub of this folder (\`.hubwire\`), with another one, or with Azure.

- Which hub: \`--connection-string\`, else \`IOTHUB_CONNECTION_STRING\`, else the hub in \`--data\` (\`.hubwire\`).
- \`--json\` on any command prints JSON, one object a line; errors too, on standard error: \`{"error":{"code","message","remedy"}}\`.
- Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Commands that wait end cleanly at Ctrl-C, with 0.
- Where it begins is in [start.md](start.md); the same calls from a program are in [service-client.md](service-client.md).
- What it shows of Azure: everything but \`hub start\`, \`hub reset\` and \`ca upload|verify|list|delete\`, which Azure does in its portal.
`;

const helpColumns = 100;

function* leaves(
  command: Command,
  words: string[],
): Generator<{ words: string[]; command: Command }> {
  if (command.commands.length === 0) yield { words, command };
  for (const child of command.commands as Command[]) yield* leaves(child, [...words, child.name()]);
}

/** The whole help of one command, as it is printed. */
function helpOf(command: Command): string {
  let text = "";
  command.configureHelp({ showGlobalOptions: false });
  command.configureOutput({
    writeOut: (part) => (text += part),
    getOutHelpWidth: () => helpColumns,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trimEnd();
}

/** `docs/command.md`, from the commander tree. */
export function renderCommand(): string {
  const all = [...leaves(createProgram(), ["hubwire"])];
  const anchor = (words: readonly string[]): string => words.join("-");
  const rows = all.map(
    ({ words, command }) =>
      `| [\`${words.slice(1).join(" ")}\`](#${anchor(words)}) | ${command.description().replaceAll("|", "\\|")} |`,
  );
  const sections = all.map(
    ({ words, command }) => `## ${words.join(" ")}\n\n\`\`\`\n${helpOf(command)}\n\`\`\``,
  );
  return [
    intro,
    "| command | what it does |\n| --- | --- |",
    ...rows,
    "",
    "Before or after any command: `--json`, `--data <directory>`, `--connection-string <string>`, `--ca <file>`.",
    "",
    sections.join("\n\n"),
    "",
  ].join("\n");
}
