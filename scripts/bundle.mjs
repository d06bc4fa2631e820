// What users of the libraries load: one file for each entry of a package, and one for each part that is loaded later. A
// hundred small modules cost a device about 70 ms at every start, one file costs a tenth of that. Sources and tests never
// see this. The type declarations are the compiler's, those that the entries lead to.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const packages = fileURLToPath(new URL("../packages", import.meta.url));

/**
 * The device client takes along what it uses of `protocol` and `transport`, which is half of them. Only the errors stay where
 * they are: `IotError` must be one class for everybody in a process.
 */
const takenAlong = {
  name: "taken-along",
  resolveId: {
    async handler(id, importer) {
      const known = /^@hubwire\/(protocol|transport)(\/[a-z]+)?$/u.exec(id);
      const resolved = known
        ? join(packages, known[1], "src", known[2] ?? "", "index.ts")
        : (await this.resolve(id, importer, { skipSelf: true }))?.id;
      if (resolved?.startsWith(join(packages, "protocol", "src", "errors"))) {
        return { id: "@hubwire/protocol/errors", external: true };
      }
      return known ? resolved : undefined;
    },
  },
};

/** The error catalogue as text that is parsed as JSON, which is twice as fast as the same as code. */
const catalogAsText = {
  name: "catalog-as-text",
  async load(id) {
    if (id !== join(packages, "protocol", "src", "errors", "catalog", "index.ts")) return undefined;
    const built = await rolldown({ input: id });
    const { output } = await built.generate({ format: "esm" });
    await built.close();
    const { catalog } = await import(
      `data:text/javascript;base64,${Buffer.from(output[0].code).toString("base64")}`
    );
    const text = JSON.stringify(JSON.stringify(catalog));
    return { code: `export const catalog = JSON.parse(${text});`, moduleType: "js" };
  },
};

/** Within `protocol` too the errors are one file of their own. */
const errorsApart = {
  name: "errors-apart",
  async resolveId(id, importer) {
    if (importer === undefined) return undefined;
    const errors = join(packages, "protocol", "src", "errors");
    if (importer.startsWith(errors)) return undefined;
    const resolved = (await this.resolve(id, importer, { skipSelf: true }))?.id;
    if (!resolved?.startsWith(errors)) return undefined;
    return { id: "@hubwire/protocol/errors", external: true };
  },
};

/** One character outside ASCII makes a whole file twice as large in memory, and slower to read. */
const onlyAscii = {
  name: "only-ascii",
  generateBundle(_options, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type !== "chunk") continue;
      file.code = file.code.replace(
        /[^\0-\x7f]/gu,
        // By UTF-16 unit: `split("")` takes surrogate pairs apart, as the escapes have to.
        (character) => character.split("").map(escaped).join(""),
      );
    }
  },
};

/** A chunk that only hands on `IotError` is one file more to find and open: whoever imports it is led to the source. */
const noBridges = {
  name: "no-bridges",
  generateBundle(_options, bundle) {
    for (const [name, bridge] of Object.entries(bundle)) {
      const found = /^export\{(\w+) as (\w+)\}from"(@hubwire\/[a-z/]+)";\s*$/u.exec(
        bridge.code ?? "",
      );
      if (found === null || bridge.isEntry) continue;
      const [, original, short, source] = found;
      for (const file of Object.values(bundle)) {
        file.code = file.code?.replaceAll(
          new RegExp(`import\\{${short} as (\\w+)\\}from"\\./${name}"`, "gu"),
          (_whole, local) => `import{${original} as ${local}}from"${source}"`,
        );
      }
      const left = Object.values(bundle).filter((file) => file.code?.includes(name));
      if (left.length > 0) throw new Error(`${name} is imported in a way that is not known`);
      delete bundle[name];
    }
  },
};

const escaped = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

async function write(entries, dir, name) {
  const isDevice = name === "@hubwire/device";
  const built = await rolldown({
    input: Object.fromEntries(entries),
    // Only what is in the package itself: the others are loaded once, whoever asks for them.
    external: (id) =>
      !id.startsWith(".") &&
      !isAbsolute(id) &&
      !(isDevice && /^@hubwire\/(?:protocol|transport)/u.test(id)),
    plugins: [
      isDevice && takenAlong,
      name === "@hubwire/protocol" && [errorsApart, catalogAsText],
      noBridges,
      onlyAscii,
    ],
    platform: "node",
    // Parts that are loaded later find what they share in the entry, not in chunks beside it.
    preserveEntrySignatures: "allow-extension",
    logLevel: "warn",
  });
  const { output } = await built.write({
    dir,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
    comments: false,
    // Without white space, for the size; names of functions and classes stay, so that a stack trace can be read.
    minify: { compress: true, mangle: { keepNames: true }, codegen: { removeWhitespace: true } },
  });
  await built.close();
  return output;
}

/** @returns {Promise<void>} */
async function bundle(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  /** @type {[string, string][]} */
  const entries = Object.values(manifest.exports ?? {})
    .filter((entry) => entry.default?.startsWith("./bundle/"))
    .map((entry) => [
      entry.default.slice("./bundle/".length).replace(/\.js$/u, ""),
      join(folder, entry["@hubwire/source"]),
    ]);
  if (entries.length === 0) return;
  const dir = join(folder, "bundle");
  const fresh = new Set();
  // Each entry of the client with its own copy of what it shares: else loading it would mean loading a dozen chunks. What
  // passes between them are plain values. Other packages share.
  const isDevice = manifest.name === "@hubwire/device";
  const groups = isDevice ? entries.map((entry) => [entry]) : [entries];
  for (const group of groups) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other into one folder
    const output = await write(group, dir, manifest.name);
    for (const file of output) fresh.add(join(dir, file.fileName));
  }
  for (const name of declarations(join(folder, "dist"), entries)) {
    const text = readFileSync(join(folder, "dist", name), "utf8");
    const file = join(dir, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text.replace(/\n\/\/# sourceMappingURL=.*\n?$/u, "\n"));
    fresh.add(file);
  }
  for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
    const file = join(dir, name);
    if (/\.(?:js|ts)$/u.test(name) && !fresh.has(file)) rmSync(file, { force: true });
  }
}

/** The declarations the entries lead to; what is inside stays inside. */
function declarations(dist, entries) {
  const found = new Set();
  const pending = entries.map(([name]) => `${name}.d.ts`);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    const file = join(dist, name);
    if (!existsSync(file)) throw new Error(`${file} is missing: run tsc -b first`);
    const text = readFileSync(file, "utf8");
    for (const [, path] of text.matchAll(/(?:from |import\()"(\.[^"]+)\.ts"/gu)) {
      pending.push(`${join(dirname(name), path)}.d.ts`);
    }
  }
  return found;
}

const wanted = process.argv.slice(2);
const folders = readdirSync(packages)
  .filter((name) => wanted.length === 0 || wanted.includes(name))
  .map((name) => join(packages, name))
  .filter((folder) => existsSync(join(folder, "package.json")));
await Promise.all(folders.map(bundle));
