import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";

/** What a package may import, besides its own files. `node:` stands for Node's built-in modules. */
export type Rule = {
  may: readonly string[];
  /** Names allowed only through `await import()`, so that starting up does not pay for them. */
  lazily?: readonly string[];
  /** Global names its sources must not mention: pure code gets time, randomness and I/O as arguments. */
  globals?: readonly string[];
};

const impure = [
  "Buffer",
  "process",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "queueMicrotask",
  "fetch",
  "performance",
  "Date.now",
  "new Date()",
  "Math.random",
  "crypto.",
  "console.",
];

/** The arrows of the architecture, one line a package. */
export const rules: Record<string, Rule> = {
  protocol: { may: [], globals: impure },
  transport: { may: ["node:", "@hubwire/protocol"] },
  log: { may: ["node:"] },
  device: {
    may: ["node:", "@hubwire/protocol", "@hubwire/transport", "@hubwire/log"],
    lazily: ["@opentelemetry/api"],
  },
  hub: {
    may: [
      "node:",
      "@hubwire/protocol",
      "@hubwire/transport",
      "@hubwire/log",
      "hono",
      "rhea",
      "ws",
      "pino",
      "prom-client",
    ],
    lazily: ["@peculiar/x509", "reflect-metadata"],
  },
  websocket: { may: ["node:", "@hubwire/protocol", "@hubwire/transport", "ws"] },
  pkcs11: { may: ["node:", "@hubwire/protocol", "@hubwire/device", "pkcs11js"] },
  keychain: { may: ["node:", "@hubwire/protocol"], lazily: ["@napi-rs/keyring"] },
  service: { may: ["node:", "@hubwire/protocol", "rhea"] },
  cli: {
    may: ["node:", "@hubwire/protocol", "@hubwire/service", "commander"],
    lazily: ["@hubwire/hub", "@hubwire/device"],
  },
};

export type Source = { package: string; file: string; text: string };

const staticImport = /^\s*(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']/gmu;
const dynamicImport = /\bimport\(\s*["']([^"']+)["']\s*\)/gu;

/** Code without comments and string contents, so that prose may name what code may not. */
function bare(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//gu, "")
    .replaceAll(/(^|[^:"'`])\/\/.*$/gmu, "$1")
    .replaceAll(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/gu, '""');
}

const matches = (specifier: string, allowed: string): boolean =>
  allowed === "node:"
    ? specifier.startsWith("node:")
    : specifier === allowed || specifier.startsWith(`${allowed}/`);

/** One sentence for each import or global that breaks an arrow. */
export function violations(sources: readonly Source[]): string[] {
  const found: string[] = [];
  for (const source of sources) {
    const rule = rules[source.package];
    if (rule === undefined) {
      found.push(`${source.file}: package "${source.package}" has no rule`);
      continue;
    }
    const lazily = rule.lazily ?? [];
    for (const [, typeOnly, specifier = ""] of source.text.matchAll(staticImport)) {
      if (specifier.startsWith(".")) {
        if (/(\.\.\/){2,}(protocol|transport|log|device|hub|cli|testkit)\//u.test(specifier)) {
          found.push(`${source.file}: reaches into another package by path: ${specifier}`);
        }
        continue;
      }
      if (rule.may.some((allowed) => matches(specifier, allowed))) continue;
      if (typeOnly !== undefined && lazily.some((allowed) => matches(specifier, allowed))) continue;
      found.push(`${source.file}: may not import ${specifier}`);
    }
    for (const [, specifier = ""] of source.text.matchAll(dynamicImport)) {
      if (specifier.startsWith(".")) continue;
      if ([...rule.may, ...lazily].some((allowed) => matches(specifier, allowed))) continue;
      found.push(`${source.file}: may not import ${specifier}`);
    }
    const code = bare(source.text);
    for (const name of rule.globals ?? []) {
      const escaped = name.replaceAll(/[.()]/gu, String.raw`\$&`);
      const boundary = /\w$/u.test(name) ? String.raw`\b` : "";
      if (new RegExp(String.raw`(?<![\w.$])${escaped}${boundary}`, "u").test(code)) {
        found.push(`${source.file}: pure code may not use ${name}`);
      }
    }
  }
  return found;
}

/** All sources of all packages that have a rule. */
export function readSources(root: string): Source[] {
  const sources: Source[] = [];
  for (const name of Object.keys(rules)) {
    const folder = join(root, "packages", name, "src");
    for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
      if (!entry.endsWith(".ts")) continue;
      const path = join(folder, entry);
      sources.push({
        package: name,
        file: relative(root, path),
        text: readFileSync(path, "utf8"),
      });
    }
  }
  return sources;
}
