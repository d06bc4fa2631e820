import { readFileSync } from "node:fs";
import { join } from "node:path";
import { catalog } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { checkOptionNames } from "../../packages/device/src/options/option-names.ts";
import { command, generatedPages, renderPage } from "../../scripts/docs/generate.ts";
import { named, sections } from "../../scripts/docs/compatibility.ts";
import { fileOf, readTests } from "../../scripts/docs/compatibility/evidence.ts";
import { renderErrors } from "../../scripts/docs/errors.ts";
import { events, otherWay } from "../../scripts/docs/guarantees/events.ts";
import { namedGuarantees } from "../../scripts/docs/guarantees.ts";
import { namesInTypes, namesOnPage } from "../../scripts/docs/options.ts";

const root = join(import.meta.dirname, "..", "..");

test.each(generatedPages.map((page) => [page.file, page] as const))(
  "%s is as the code says",
  async (file, page) => {
    const written = readFileSync(join(root, file), "utf8");
    expect(written === (await renderPage(page)), `${file} is stale; run: ${command}`).toBe(true);
  },
);

test("every error code has its own entry on the error page, with its remedy", () => {
  const entries = renderErrors().split("\n### ").slice(1);
  const byCode = new Map(entries.map((entry) => [/^`([^`]+)`/u.exec(entry)?.[1], entry]));
  expect(new Set(byCode.keys())).toEqual(new Set(Object.keys(catalog)));
  expect(entries).toHaveLength(byCode.size);
  for (const [code, { summary, remedy }] of Object.entries(catalog)) {
    expect(byCode.get(code)).toContain(`\n\n${summary}\n\n**What to do:** ${remedy}\n`);
  }
});

test("every test that the compatibility page names exists, once", () => {
  const tests = readTests();
  expect(named.length).toBeGreaterThan(100);
  for (const shown of named) expect(tests.get(fileOf(shown, tests))).toContain(shown.title);
  const moved = { within: "packages/hub/test/", title: "a test that nobody wrote" };
  expect(() => fileOf(moved, tests)).toThrow("no test");
});

test("every test that the page of guarantees names exists, once, and every row names one", () => {
  const tests = readTests();
  for (const shown of namedGuarantees)
    expect(tests.get(fileOf(shown, tests))).toContain(shown.title);
  const rows = [...events, ...otherWay];
  expect(rows.filter(({ shown }) => shown.length === 0)).toEqual([]);
});

test("every option of connect is on the page once, in its types, and known to connect", () => {
  expect(namesOnPage.toSorted()).toEqual(namesInTypes().toSorted());
  for (const name of namesOnPage) expect(() => checkOptionNames({ [name]: 1 })).not.toThrow();
  expect(() => checkOptionNames({ notOnThePage: 1 })).toThrow("notOnThePage");
});

test("what is said to be the same as on Azure is shown by a test", () => {
  const rows = sections.flatMap((section) => section.rows);
  const bare = rows.filter(({ verdict, shown }) => verdict === "same" && shown.length === 0);
  expect(bare).toEqual([]);
  const unexplained = rows.filter(({ verdict, how }) => verdict === "differs" && how === undefined);
  expect(unexplained).toEqual([]);
});
