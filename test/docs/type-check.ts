import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blocksOf } from "./markdown.ts";

/** As strict as anybody's project may be, and as users have it: the packages are found by their names. */
const compilerOptions = {
  target: "es2023",
  lib: ["es2023", "esnext.disposable"],
  module: "nodenext",
  moduleDetection: "force",
  types: ["node"],
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  erasableSyntaxOnly: true,
};

/** Compiles every `ts` block of the pages. @returns the compiler's complaints, each with the page and line of its block */
export function typeErrors(root: string, pages: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "hubwire-docs-types-"));
  try {
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
    const config = { compilerOptions, include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    for (const page of pages) {
      for (const block of blocksOf(readFileSync(join(root, page), "utf8"))) {
        if (block.language !== "ts") continue;
        const name = `${page.replaceAll("/", "_")}-line-${block.line}.ts`;
        writeFileSync(join(folder, name), block.code);
      }
    }
    const tsc = join(root, "node_modules", ".bin", "tsc");
    const ran = spawnSync(tsc, ["-p", folder], { cwd: folder, encoding: "utf8" });
    return ran.status === 0 ? "" : `${ran.stdout}${ran.stderr}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
