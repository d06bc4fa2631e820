import { readFileSync } from "node:fs";
import { join } from "node:path";
import { catalog } from "@hubwire/protocol";
import { expect, test } from "vitest";
import { command, generatedPages, renderPage } from "../../scripts/docs/generate.ts";
import { renderErrors } from "../../scripts/docs/errors.ts";

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
  expect([...byCode.keys()].toSorted()).toEqual(Object.keys(catalog).toSorted());
  for (const [code, { summary, remedy }] of Object.entries(catalog)) {
    expect(byCode.get(code)).toContain(`\n\n${summary}\n\n**What to do:** ${remedy}\n`);
  }
});
