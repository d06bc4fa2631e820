import { choices } from "./compatibility/choices.ts";
import { deviceSections } from "./compatibility/devices.ts";
import { fileOf, type Shown } from "./compatibility/evidence.ts";
import type { Row, Section } from "./compatibility/row.ts";
import { serviceSections } from "./compatibility/services.ts";

export const sections: readonly Section[] = [...deviceSections, ...serviceSections];

/** Every test the page names. */
export const named: readonly Shown[] = [
  ...sections.flatMap(({ rows }) => rows.flatMap(({ shown }) => shown)),
  ...choices.flatMap(({ shown }) => shown),
];

const count = (verdict: Row["verdict"]): number =>
  sections.flatMap(({ rows }) => rows).filter((row) => row.verdict === verdict).length;

export const cell = (text: string): string => text.replaceAll("|", String.raw`\|`);

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.map(cell).join(" | ")} |`)
    .join("\n");

type Find = (shown: Shown) => string;

/** One link a file, its titles behind it; what a title fills in at run time is shown as N. */
export function evidence(shown: readonly Shown[], find: Find): string {
  const titles = new Map<string, string[]>();
  for (const test of shown) titles.set(find(test), [...(titles.get(find(test)) ?? []), test.title]);
  return [...titles]
    .map(([file, inFile]) => {
      const name = file.slice(file.lastIndexOf("/") + 1).replace(/\.test\.ts$/u, "");
      return `[${name}](../${file}): ${inFile.map((title) => `“${title.replaceAll(/\$\{[^}]*\}/gu, "N")}”`).join(", ")}`;
    })
    .join("; ");
}

const words = { same: "same", differs: "**differs**", absent: "absent" } as const;

const verdictOf = ({ verdict, how }: Row): string =>
  how === undefined ? words[verdict] : `${words[verdict]}: ${how}`;

/**
 * The page `docs/compatibility.md`.
 * @param tests the text of every test file, by path
 * @throws when a test it names does not exist
 */
export function renderCompatibility(tests: ReadonlyMap<string, string>): string {
  const find: Find = (shown) => fileOf(shown, tests);
  const tables = sections.map(
    ({ title, rows }) =>
      `## ${title}\n\n${table(
        ["Azure IoT Hub", "Hubwire", "shown by"],
        rows.map((row) => [row.behaviour, verdictOf(row), evidence(row.shown, find)]),
      )}\n`,
  );
  const chosen = table(
    ["point", "Hubwire", "option", "shown by"],
    choices.map(({ point, choice, option, shown }) => [
      point,
      choice,
      option ?? "",
      evidence(shown, find),
    ]),
  );
  return `# Compatibility with Azure IoT Hub

What this hub does like Azure IoT Hub, what it does differently and why, and what it does not have. Each line names the test that
shows it. Of ${count("same") + count("differs") + count("absent")} behaviours, ${count("same")} are the same, ${count("differs")} differ, ${count("absent")} are absent. Where Azure's own documentation leaves a
point open, see [the last section](#choices-where-azures-behaviour-is-not-documented).

${tables.join("\n")}
## Choices where Azure's behaviour is not documented

${chosen}
`;
}
