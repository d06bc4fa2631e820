import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { blocksOf, brokenLinks } from "./docs/markdown.ts";
import type { Ran } from "./docs/page.scenario.ts";
import { typeErrors } from "./docs/type-check.ts";
import { runInNamespace } from "./support/namespace.ts";

const root = join(import.meta.dirname, "..");
const inFolder = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name));

const pages = [...inFolder("."), ...inFolder("docs")];
const linked = [...pages, ...inFolder("docs/decisions"), ...inFolder("bench")];
const runnable = ["sh", "ts", "python"];
const hasRunnable = (page: string): boolean =>
  blocksOf(readFileSync(join(root, page), "utf8")).some(({ language }) =>
    runnable.includes(language),
  );

/** What the output of a page's blocks must hold, so that "it ran" means "it did what the page says". */
const evidence: Readonly<Record<string, readonly RegExp[]>> = {
  "docs/start.md": [
    /^HostName=localhost;DeviceId=thermostat-1;SharedAccessKey=/mu,
    / thermostat-1 alert=false \{"temperature":21\.5\}$/mu,
    /^200 \{"rebooting":\{"delay":5\}\}$/mu,
    /^message: open the window$/mu,
    /^desired: \{"intervalS":5\}$/mu,
  ],
  "docs/connect-with-keys.md": [
    / meter-7 site=north \{"kWh":17\.25\}$/mu,
    / meter-7 site=north \{"kWh":17\.5\}$/mu,
    / meter-7 site=north \{"kWh": 17\.75\}$/mu,
  ],
  "docs/connect-with-x509.md": [
    / camera-1 \{"frames":25\}$/mu,
    / camera-2 \{"frames":25\}$/mu,
    / camera-1 \{"frames":30\}$/mu,
    / camera-2 \{"frames":35\}$/mu,
  ],
  "docs/test-your-device.md": [/^the fake hub had 1 message and an answer 202$/mu],
  "docs/watch-and-limit.md": [
    /^1 of 1 acknowledged, 0 wait, 0 reconnects$/mu,
    /^0 expired; mean round trip 0 ms$/mu,
    /^7999 messages left today$/mu,
  ],
  "docs/networks.md": [
    / pump-3 \{"bar":2\.5\}$/mu,
    /^websocket, auto: false$/mu,
    / pump-3 \{"bar":2\.75\}$/mu,
  ],
  "docs/keys-in-hardware.md": [/ pump-1 \{"bar":2\.5\}$/mu, / pump-2 \{"bar":2\.75\}$/mu],
  "docs/renew-certificates.md": [/^-----BEGIN CERTIFICATE REQUEST-----$/mu],
  "docs/hub-in-tests.md": [/^\d+ \d+ .*test-data\/ca\.pem$/mu],
  "docs/device-client.md": [
    /^message: open the valve$/mu,
    /^method: 202 \{"after":5\}$/mu,
    /^client\.closed, retryable: false$/mu,
    /^waiting, 1 in the outbox$/mu,
    /^sent 1000 readings$/mu,
    /"targetTemperature":\{"value":22,"ac":200,"av":2\}/u,
  ],
  "docs/credentials.md": [
    /^sealed: connected$/mu,
    /^certificates: 1 exchanged, 0 failures$/mu,
    /^device\.rotation_refused connected$/mu,
    /^stored for the next start$/mu,
  ],
  "docs/provisioning.md": [/^44 characters$/mu],
  "docs/in-the-field.md": [/^after a day: 1 message, connected$/mu],
  "docs/from-azure-iot-device.md": [/^moved: \{"bar":2\.5\}$/mu],
  "docs/device-security.md": [/^\{"patient":4711\}$/mu],
  "docs/service-client.md": [
    /^north: boiler-1 2$/mu,
    /^stale: etag\.mismatch$/mu,
    /^imported: true 251$/mu,
    /^feedback: boiler-1 Success$/mu,
    /^event: boiler-1 Telemetry \{"bar":2\.5\}$/mu,
    /^without a good token: service\.unauthorized$/mu,
  ],
  "docs/options.md": [],
  "docs/delivery-guarantees.md": [/^accepted as [0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/mu],
  "docs/errors.md": [/^connection_string\.missing_credentials /mu],
};

const named = ["cli", "pkcs11", "websocket", "keychain"];

// The pages say `npx hubwire` and import packages by name: what users have is the build.
beforeAll(() => {
  const tsc = join(root, "node_modules", ".bin", "tsc");
  const built = spawnSync(tsc, ["-b", ...named.map((name) => `packages/${name}`)], {
    cwd: root,
    encoding: "utf8",
  });
  expect(built.status, built.stdout).toBe(0);
  const bundle = join(root, "scripts", "bundle.mjs");
  const bundled = spawnSync(process.execPath, [bundle], { cwd: root, encoding: "utf8" });
  expect(bundled.status, bundled.stderr).toBe(0);
}, 120_000);

test("links between pages lead somewhere", () => {
  expect(linked.flatMap((page) => brokenLinks(root, page))).toEqual([]);
});

test("blocks are tagged with what runs them, or as what nothing runs", () => {
  const known = [...runnable, "console", "json", ""];
  for (const page of pages) {
    for (const { line, language } of blocksOf(readFileSync(join(root, page), "utf8"))) {
      expect(known, `${page} line ${line}`).toContain(language);
    }
  }
});

test("every ts block type-checks", () => {
  expect(typeErrors(root, pages)).toBe("");
}, 60_000);

describe.concurrent("pages run from top to bottom", () => {
  test.each(pages.filter(hasRunnable))("%s", { timeout: 120_000 }, async (page) => {
    const result = await runInNamespace("test/docs/page.scenario.ts", {
      env: { DOCS_PAGE: page },
      timeoutMs: 110_000,
    });
    expect(result.code, result.stderr).toBe(0);
    const { failure, blocks } = JSON.parse(result.stdout) as { failure?: string; blocks: Ran[] };
    const shown = blocks.map((ran) => `line ${ran.line}:\n${ran.stdout}${ran.stderr}`).join("\n");
    expect(failure, shown).toBeUndefined();
    expect(evidence[page], "a page that runs says here what its output must hold").toBeDefined();
    for (const wanted of evidence[page] ?? []) expect(shown).toMatch(wanted);
  });
});
