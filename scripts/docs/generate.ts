/** Run as a program, writes the pages that are made from code. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, type FormatConfig } from "oxfmt";
import { renderCommand } from "./command.ts";
import { renderCompatibility } from "./compatibility.ts";
import { readTests } from "./compatibility/evidence.ts";
import { renderErrors } from "./errors.ts";
import { renderFaults } from "./faults.ts";
import { renderGuarantees } from "./guarantees.ts";
import { renderOfficialClients } from "./official-clients.ts";
import { renderOptions } from "./options.ts";
import { renderRestApi } from "./rest-api.ts";

const root = join(import.meta.dirname, "..", "..");

export const generatedPages = [
  { file: "docs/errors.md", render: renderErrors },
  { file: "docs/faults.md", render: renderFaults },
  { file: "docs/delivery-guarantees.md", render: () => renderGuarantees(readTests()) },
  { file: "docs/options.md", render: renderOptions },
  { file: "docs/official-clients.md", render: renderOfficialClients },
  { file: "docs/rest-api.md", render: renderRestApi },
  { file: "docs/command.md", render: renderCommand },
  { file: "docs/compatibility.md", render: () => renderCompatibility(readTests()) },
];

export const command = "node --conditions=@hubwire/source scripts/docs/generate.ts";

/** The page as it belongs into the repository, formatted like every other file. */
export async function renderPage(page: (typeof generatedPages)[number]): Promise<string> {
  const options = JSON.parse(readFileSync(join(root, ".oxfmtrc.json"), "utf8")) as FormatConfig;
  const { code } = await format(page.file, page.render(), options);
  return code;
}

if (import.meta.main) {
  for (const page of generatedPages) {
    writeFileSync(join(root, page.file), await renderPage(page));
    process.stdout.write(`${page.file}\n`);
  }
}
