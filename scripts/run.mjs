// The one entry behind `npm start`, `npm test` and `npm run bench`: plain JavaScript for any Node from 20 on, built-ins only,
// because nothing is installed yet when it first runs. It installs what is missing, then hands over to the pinned Node.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 24;
const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const [command, ...rest] = process.argv.slice(2);
const quiet = rest.includes("--json");
const say = (line) => {
  if (!quiet) process.stderr.write(`${line}\n`);
};

function lockHash() {
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json"])
    hash.update(readFileSync(join(root, file)));
  return hash.digest("hex");
}

function install() {
  const marker = join(root, "node_modules", ".installed-lock");
  const wanted = lockHash();
  if (existsSync(marker) && readFileSync(marker, "utf8") === wanted) return;
  say("Installing npm packages (the first time takes about half a minute) ...");
  const startedMs = Date.now();
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const result = spawnSync(npm, ["ci", "--loglevel=error", "--no-fund", "--no-audit"], {
    cwd: root,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
    process.stderr.write(
      `\nInstalling npm packages failed${result.error ? ` (${result.error.message})` : ""}.` +
        "\nThe lines above are npm's own. Check the network or the npm registry setting, then run the same command again.\n",
    );
    process.exit(1);
  }
  writeFileSync(marker, wanted);
  say(`Installed in ${((Date.now() - startedMs) / 1000).toFixed(0)} s.`);
}

/** The pinned Node of this repository, or the system's when it is new enough. */
function findNode() {
  const pinned = join(
    root,
    "node_modules",
    ".bin",
    process.platform === "win32" ? "node.exe" : "node",
  );
  if (existsSync(pinned) && spawnSync(pinned, ["--version"]).status === 0) return pinned;
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) return process.execPath;
  process.stderr.write(
    `Hubwire's repository needs Node ${NODE_MAJOR_MIN} or newer and this is ${process.version}.\n` +
      `The npm package "node" has no build for ${process.platform}-${process.arch}; ` +
      `install Node ${NODE_MAJOR_MIN} from nodejs.org, then run the same command again.\n`,
  );
  process.exit(1);
}

const scripts = { start: "start.ts", test: "test.ts", bench: "bench.ts" };
if (!Object.hasOwn(scripts, command ?? "")) {
  process.stderr.write(
    `usage: node scripts/run.mjs <${Object.keys(scripts).join("|")}> [options]\n`,
  );
  process.exit(2);
}

install();
const node = findNode();
const child = spawn(
  node,
  [
    "--conditions=@hubwire/source",
    "--disable-warning=ExperimentalWarning",
    join(root, "scripts", scripts[command]),
    ...rest,
  ],
  {
    cwd: root,
    stdio: "inherit",
    // Everything below, npx included, sees the same Node first.
    env: {
      ...process.env,
      PATH: `${join(root, "node_modules", ".bin")}:${process.env.PATH ?? ""}`,
    },
  },
);
// A terminal sends Ctrl-C to the whole group; a supervisor may send it to this process alone.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (!process.stdin.isTTY || signal !== "SIGINT") child.kill(signal);
  });
}
child.on("exit", (code, signal) => {
  process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
});
