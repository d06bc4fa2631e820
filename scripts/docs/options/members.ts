import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..", "..");

/** One property of an options type, as its declaration and its docstring say it. */
export type Member = { name: string; type: string; isOptional: boolean; text: string };

/** The text of a docstring, on one line. */
const proseOf = (docstring: string): string =>
  docstring
    .replaceAll(/^\s*\* ?/gmu, "")
    .replaceAll(/\s+/gu, " ")
    .trim();

/**
 * The properties of an exported type, those of all its members when it is a union, each name once. Reads the text: the sources
 * are formatted by one formatter, one property to a line.
 * @throws when there is no such type, or no docstring anywhere for one of its properties
 */
export function membersOf(
  file: string,
  type: string,
  undocumented: readonly string[] = [],
): Member[] {
  const text = readFileSync(join(root, file), "utf8");
  const start = new RegExp(`^export type ${type}(?:<[^>]*>+)? =`, "mu").exec(text);
  if (start === null) throw new Error(`${file} has no type ${type}`);
  const rest = text.slice(start.index + start[0].length);
  const end = /^(?:\/\*\*|export |type |const |function |interface )/mu.exec(rest);
  const body = rest.slice(0, end?.index);
  const members = new Map<string, Member>();
  const property =
    /^\s+(?:\/\*\*(?<doc>(?:(?!\*\/)[\s\S])*)\*\/\s+)?(?<name>\w+)(?<mark>\?)?: (?<type>.+);$/gmu;
  for (const { groups } of body.matchAll(property)) {
    const { doc, name = "", mark, type: declared = "" } = groups ?? {};
    if (declared === "never") continue;
    const known = members.get(name);
    if (known !== undefined && (doc === undefined || known.text !== "")) continue;
    members.set(name, {
      name,
      type: declared,
      isOptional: mark === "?",
      text: doc === undefined ? "" : proseOf(doc),
    });
  }
  const bare = [...members.values()].filter(
    ({ name, text: words }) => words === "" && !undocumented.includes(name),
  );
  if (bare.length > 0) {
    throw new Error(`${file}: ${type}.${bare.map(({ name }) => name).join(", ")}: no docstring`);
  }
  return [...members.values()];
}
