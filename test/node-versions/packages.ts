import { execFile } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { startHub } from "@hubwire/hub";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeBinary } from "./node-binaries.ts";
import { runScript } from "./run-script.ts";
import { deviceProgram, hubProgram, logProgram } from "./type-programs.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const libraries = ["protocol", "transport", "log", "device"];
const extras = ["websocket", "pkcs11", "keychain"];

/** What the tarballs hold, and what a project that has nothing else can do with them. */
export function testPackages(): void {
  /** Somebody else's project, with nothing but our tarballs. */
  const project = mkdtempSync(join(tmpdir(), "hubwire-packed-"));
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  beforeAll(async () => {
    const workspaces = libraries.map((name) => `--workspace=@hubwire/${name}`);
    await run("npm", ["pack", ...workspaces, "--pack-destination", project], { cwd: root });
    writeFileSync(join(project, "package.json"), `{"name":"somebody","private":true}`);
    const tarballs = readdirSync(project).filter((name) => name.endsWith(".tgz"));
    // Offline: what these packages need, these packages are.
    const args = ["install", "--offline", "--ignore-scripts", "--loglevel=error"];
    await run("npm", [...args, ...tarballs.map((name) => `./${name}`)], { cwd: project });
    for (const file of [
      "checks.mjs",
      "import.mjs",
      "outbox-checks.mjs",
      "require.cjs",
      "subpath-checks.mjs",
    ]) {
      copyFileSync(join(import.meta.dirname, file), join(project, file));
    }
  }, 120_000);

  test("a package holds what its readers need and no sources, tests or build state", () => {
    for (const name of libraries) {
      const folder = join(project, "node_modules/@hubwire", name);
      const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
      expect(files).toContain(join("bundle", "index.js"));
      expect(files).toContain(join("bundle", "index.d.ts"));
      const wanted = /^(?:package\.json|README\.md|LICENSE|bundle(?:\/.*\.(?:js|d\.ts))?)$/u;
      const strange = files.filter((file) => !wanted.test(file));
      expect(strange.filter((file) => /\.[^/]+$/u.test(file))).toEqual([]);
    }
  });

  test("all of it together takes less than a megabyte", () => {
    const folder = join(project, "node_modules/@hubwire");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const bytes = files.map((name) => statSync(join(folder, name)));
    expect(bytes.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0)).toBeLessThan(1e6);
  });

  test("nothing but our own packages was installed", () => {
    const installed = readdirSync(join(project, "node_modules")).filter((name) => name !== "types");
    expect(installed.filter((name) => !name.startsWith("."))).toEqual(["@hubwire"]);
    expect(readdirSync(join(project, "node_modules/@hubwire")).toSorted()).toEqual(
      libraries.toSorted(),
    );
  });

  test.each([
    ["20.19.0", "import.mjs"],
    ["20.19.0", "require.cjs"],
    ["24", "import.mjs"],
    ["24", "require.cjs"],
  ])("the tarballs work in a bare project: Node %s, %s", async (version, file) => {
    await using hub = await startHub();
    const { connectionString } = await hub.createDevice({ deviceId: "d" });
    await hub.sendToDevice("d", "hello");
    const env = { HUBWIRE_TEST_HUB: JSON.stringify({ connectionString, ca: hub.caPem }) };
    const binary = await nodeBinary(version);
    const { code, output } = await runScript(binary, [file], { cwd: project, env });
    expect(code, output).toBe(0);
  });

  /** Declarations name types of Node's; \`AsyncDisposable\` and \`await using\` must not need a library of the reader's own choice. */
  test.each([
    {
      name: "device, checking declarations too",
      program: deviceProgram,
      skipLibCheck: false,
      types: ["node"],
    },
    { name: "device", program: deviceProgram, skipLibCheck: true, types: ["node"] },
    { name: "device, without @types/node", program: deviceProgram, skipLibCheck: true, types: [] },
    {
      name: "hub, checking declarations too",
      program: hubProgram,
      skipLibCheck: false,
      types: ["node"],
    },
    { name: "log, without @types/node", program: logProgram, skipLibCheck: true, types: [] },
    { name: "hub, without @types/node", program: hubProgram, skipLibCheck: true, types: [] },
  ])("declarations: $name", async ({ program, skipLibCheck, types }) => {
    const folder = mkdtempSync(join(project, "types-"));
    const scope = join(folder, "node_modules/@types");
    mkdirSync(scope, { recursive: true });
    if (types.length > 0)
      symlinkSync(join(root, "node_modules/@types/node"), join(scope, "node"), "dir");
    // The hub has dependencies of its own, which are where this repository has them.
    if (program === hubProgram) {
      mkdirSync(join(folder, "node_modules/@hubwire"));
      symlinkSync(join(root, "packages/hub"), join(folder, "node_modules/@hubwire/hub"), "dir");
    }
    writeFileSync(join(folder, "package.json"), `{"type":"module"}`);
    writeFileSync(join(folder, "main.ts"), program);
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      target: "es2022",
      lib: ["es2022"],
      module: "nodenext",
      skipLibCheck,
      types,
    };
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["main.ts"] }),
    );
    const { code, output } = await runScript("tsc", ["-p", folder], { cwd: folder });
    expect(code, output).toBe(0);
  });

  test("every package says for which Node it is, and that Node is tested", () => {
    const engines = Object.fromEntries(
      [...libraries, ...extras, "hub", "cli"].map((name) => {
        const manifest = join(root, "packages", name, "package.json");
        expect(existsSync(manifest)).toBe(true);
        return [
          name,
          (JSON.parse(readFileSync(manifest, "utf8")) as { engines: { node: string } }).engines
            .node,
        ];
      }),
    );
    expect(engines).toEqual({
      protocol: ">=20.19",
      transport: ">=20.19",
      log: ">=20.19",
      device: ">=20.19",
      websocket: ">=20.19",
      pkcs11: ">=20.19",
      keychain: ">=20.19",
      hub: ">=22.13",
      cli: ">=22.13",
    });
  });
}
