import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSources, rules, violations } from "./support/boundaries.ts";

const root = join(import.meta.dirname, "..");

test("every package imports only what its arrow allows", () => {
  expect(violations(readSources(root))).toEqual([]);
});

const planted = [
  ["protocol", `import { connect } from "node:tls";`, "may not import node:tls"],
  ["protocol", `import { Log } from "@hubwire/log";`, "may not import @hubwire/log"],
  ["protocol", "const t = Date.now();", "pure code may not use Date.now"],
  ["protocol", "const b = Buffer.from([1]);", "pure code may not use Buffer"],
  ["protocol", "setTimeout(() => {}, 1);", "pure code may not use setTimeout"],
  ["transport", `import { startHub } from "@hubwire/hub";`, "may not import @hubwire/hub"],
  ["log", `import { IotError } from "@hubwire/protocol";`, "may not import @hubwire/protocol"],
  ["device", `import { startHub } from "@hubwire/hub";`, "may not import @hubwire/hub"],
  ["device", `import mqtt from "mqtt";`, "may not import mqtt"],
  ["hub", `import { connect } from "@hubwire/device";`, "may not import @hubwire/device"],
  ["hub", `import * as x509 from "@peculiar/x509";`, "may not import @peculiar/x509"],
  ["cli", `import { createHub } from "@hubwire/hub";`, "may not import @hubwire/hub"],
  ["hub", `const m = await import("@hubwire/device");`, "may not import @hubwire/device"],
  [
    "device",
    `import { x } from "../../hub/src/index.ts";`,
    "reaches into another package by path: ../../hub/src/index.ts",
  ],
] as const;

test.each(planted)("a broken arrow in %s is found: %s", (name, text, sentence) => {
  const file = `packages/${name}/src/planted.ts`;
  expect(violations([{ package: name, file, text }])).toEqual([`${file}: ${sentence}`]);
});

test.each([
  ["hub", `const x509 = await import("@peculiar/x509");`],
  ["hub", `import type { X509Certificate } from "@peculiar/x509";`],
  ["cli", `const { createHub } = await import("@hubwire/hub");`],
  ["protocol", "// Date.now() is for drivers\nexport const a = 1;"],
])("what %s may do is let through: %s", (name, text) => {
  expect(violations([{ package: name, file: "planted.ts", text }])).toEqual([]);
});

test.each(["protocol", "transport", "log", "device"])(
  "%s has no third-party dependency",
  (name) => {
    const manifest = JSON.parse(
      readFileSync(join(root, "packages", name, "package.json"), "utf8"),
    ) as { dependencies?: Record<string, string> };
    const foreign = Object.keys(manifest.dependencies ?? {}).filter(
      (dependency) => !dependency.startsWith("@hubwire/"),
    );
    expect(foreign).toEqual([]);
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      expect(rules[name]?.may).toContain(dependency);
    }
  },
);
