import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { createProgram } from "../src/main.ts";
import { run } from "./support/run.ts";

/** Commands that do something, with the words that name them. */
function leaves(command: Command, words: string[] = []): { words: string[]; command: Command }[] {
  if (command.commands.length === 0) return [{ words, command }];
  return command.commands.flatMap((child) => leaves(child as Command, [...words, child.name()]));
}

/** Words of a line as a shell would split it; quotes as in the examples, no escapes. */
const shellWords = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/gu)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? "",
  );

/** What of the command line `commander` would refuse: an unknown option, a missing or surplus argument. */
function complaints(
  { words, command }: { words: string[]; command: Command },
  line: string,
): string {
  const rest = shellWords(line).slice(1 + words.length);
  const program = createProgram().exitOverride();
  const { operands, unknown } = command.parseOptions(rest);
  const known = program.options.flatMap((option) => [option.long, option.short]);
  const foreign = unknown.filter((word) => word.startsWith("-") && !known.includes(word));
  const { registeredArguments } = command;
  const needed = registeredArguments.filter((argument) => argument.required).length;
  if (foreign.length > 0) return `unknown ${foreign.join(" ")}`;
  if (unknown.length === 0 && operands.length < needed) return "too few arguments";
  if (operands.length > registeredArguments.length) return "too many arguments";
  return "";
}

const all = leaves(createProgram());

test("there are the commands that the documentation speaks of", () => {
  expect(all.map(({ words }) => words.join(" ")).toSorted()).toEqual([
    "c2d purge",
    "c2d send",
    "ca create",
    "ca delete",
    "ca issue",
    "ca list",
    "ca upload",
    "ca verify",
    "device create",
    "device delete",
    "device list",
    "device show",
    "feedback",
    "hub connection-string",
    "hub env",
    "hub reset",
    "hub start",
    "method",
    "module create",
    "module delete",
    "module list",
    "module show",
    "module update",
    "monitor",
    "query",
    "sas",
    "send",
    "twin get",
    "twin update",
  ]);
});

test.each(all.map((leaf) => [leaf.words.join(" "), leaf] as const))(
  "the help of %s describes it and has an example that parses",
  async (name, leaf) => {
    const { code, stdout, stderr } = await run(...leaf.words, "--help");
    expect([code, stderr]).toEqual([0, ""]);
    expect(leaf.command.description()).toMatch(/^\p{Ll}|^[A-Z]{2}/u);
    const examples = stdout
      .slice(stdout.indexOf("\nExample"))
      .replaceAll("\\\n", " ")
      .split("\n")
      .map((line) => /^ +\$ (.*)$/u.exec(line)?.[1])
      .filter((line) => line !== undefined);
    expect(examples.length).toBeGreaterThan(0);
    const own = examples.filter((line) => line.startsWith(`hubwire ${name}`));
    // The one example that is a line for another program shows the command inside it.
    if (own.length === 0) expect(examples.join()).toContain(`$(hubwire ${name} `);
    for (const line of own) expect([line, complaints(leaf, line)]).toEqual([line, ""]);
    for (const option of leaf.command.options) {
      expect([option.flags, option.description]).toEqual([
        option.flags,
        expect.stringMatching(/\S/u),
      ]);
    }
  },
);

test("the first help shows every command's group and the exit codes", async () => {
  const { code, stdout } = await run("--help");
  expect(code).toBe(0);
  for (const { words } of all) expect(stdout).toMatch(new RegExp(`^  ${words[0] ?? ""}\\b`, "mu"));
  expect(stdout).toContain("Exit codes:");
});

test("the version is the package's", async () => {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { version } = JSON.parse(text) as { version: string };
  expect(await run("--version")).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});
