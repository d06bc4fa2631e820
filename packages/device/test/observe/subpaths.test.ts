import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const src = join(import.meta.dirname, "..", "..", "src");

type Import = { from: string; typeOnly: boolean };

/** Static imports and exports of a module. Formatted sources only: one statement begins a line. */
const importsOf = (file: string): Import[] =>
  [
    ...readFileSync(file, "utf8").matchAll(
      /^(?:import|export)\s+(type\s+)?(?:[^;'"]*?\sfrom\s+)?"([^"]+)";/gmu,
    ),
  ].map(([, typeOnly, from]) => ({ from: from!, typeOnly: typeOnly !== undefined }));

/** What loading a module loads: its own package's files, and the names of others. */
function loadedBy(entry: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const { from, typeOnly } of importsOf(file)) {
      if (typeOnly) continue;
      if (from.startsWith(".")) visit(join(dirname(file), from));
      else packages.add(from);
    }
  };
  visit(join(src, entry));
  return { files: new Set([...files].map((file) => relative(src, file))), packages };
}

describe("what importing loads", () => {
  test("the client loads neither the hub for tests nor anything of OpenTelemetry", () => {
    const { files, packages } = loadedBy("index.ts");
    expect(files.size).toBeGreaterThan(30);
    expect([...files].filter((file) => /^(?:testing|opentelemetry)\//u.test(file))).toEqual([]);
    expect([...packages].filter((name) => name.startsWith("@opentelemetry"))).toEqual([]);
  });

  test("the OpenTelemetry subpath loads the API only when it is asked for the global one", () => {
    const { files, packages } = loadedBy("opentelemetry/index.ts");
    expect(files).toContain("opentelemetry/metrics.ts");
    expect([...packages].filter((name) => !name.startsWith("node:"))).toEqual([]);
  });

  test("the hub for tests needs nothing but the device's own dependencies", () => {
    const { files, packages } = loadedBy("testing/index.ts");
    expect(files).toContain("testing/fake-connection.ts");
    expect([...packages].toSorted()).toEqual([
      "@hubwire/protocol",
      "@hubwire/transport",
      "node:crypto",
    ]);
  });
});
