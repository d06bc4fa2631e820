/**
 * `npm run bench [-- codec|ingestion|client|registry] [--rounds=5] [--json] [--write]`: Hubwire against its peers, in interleaved runs, as ratios
 * with median and spread. `--write` also rewrites bench/results.md.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as footprint from "../bench/load/client-footprint.ts";
import * as client from "../bench/load/client.ts";
import * as ingestion from "../bench/load/ingestion.ts";
import * as registry from "../bench/load/registry.ts";
import * as codec from "../bench/micro/codec.ts";
import { ensureSystemPackages } from "./system-packages.ts";

const { values, positionals } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

const parts = ["codec", "ingestion", "client", "registry"] as const;
type Part = (typeof parts)[number];
const unknown = positionals.filter((name) => !(parts as readonly string[]).includes(name));
const rounds = Number(values.rounds);
if (values.help || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  if (unknown.length > 0) process.stderr.write(`Unknown benchmark: ${unknown.join(", ")}\n`);
  process.stderr.write(
    "usage: npm run bench [-- codec|ingestion|client|registry] [--rounds=5] [--json] [--write]\n",
  );
  process.exit(values.help ? 0 : 2);
}

const wants = (part: Part): boolean => positionals.length === 0 || positionals.includes(part);
const progress = (line: string): void => {
  if (!values.json) process.stderr.write(`  ${line}\n`);
};
const say = (text: string): void => {
  if (!values.json) process.stdout.write(`${text}\n`);
};

const results: Record<string, unknown> = {};
const sections: { part: string; text: string }[] = [];
const keep = (part: string, title: string, data: unknown, text: string): void => {
  results[part] = data;
  sections.push({ part, text: `## ${title}\n\n${text}` });
  say(`\n${title}\n\n${text}`);
};

ensureSystemPackages();

if (wants("codec")) {
  const rows = codec.run({ rounds: Math.max(rounds, 9) });
  const lines = rows.map(
    (row) =>
      `| ${row.name} | ${row.oursNs.median.toFixed(0)} ± ${row.oursNs.spread.toFixed(0)} | ${row.peerNs.median.toFixed(0)} ± ${row.peerNs.spread.toFixed(0)} | ${row.ratio.toFixed(1)} |`,
  );
  keep(
    "codec",
    "MQTT codec against mqtt-packet: PUBLISH, QoS 1, 100 B",
    rows,
    `| | hubwire, ns | mqtt-packet, ns | times faster |\n| --- | ---: | ---: | ---: |\n${lines.join("\n")}`,
  );
}

if (wants("ingestion")) {
  for (const options of [{ devices: 50, window: 20, rounds }]) {
    const rows = await ingestion.run(options, progress);
    keep(
      "ingestion",
      `Telemetry in: QoS 1, TLS, ${options.devices} devices, 256 B, ${options.window} in flight per device`,
      rows,
      ingestion.format(rows),
    );
  }
}

if (wants("client")) {
  const rows: client.ClientRow[] = [];
  for (const node of nodes()) {
    rows.push(...(await client.run({ rounds, inflight: [1, 20, 100, 1000], node }, progress)));
  }
  keep(
    "client",
    "Device client against azure-iot-device and mqtt.js: QoS 1, TLS, 256 B, one connection",
    rows,
    client.format(rows),
  );
  const memory = await client.memory(progress);
  keep(
    "memory",
    "Memory of the device client over 10 million messages",
    memory,
    client.formatMemory(memory),
  );
  const cost = footprint.run({ rounds: 4 * rounds, nodes: nodes() }, progress);
  keep("footprint", "What loading the device client costs", cost, footprint.format(cost));
}

if (wants("registry")) {
  const found = await registry.run({ devices: 100_000, rounds }, progress);
  keep("registry", "Registry: 100,000 devices, durable, over HTTPS", found, registry.format(found));
}

/** This Node, and the system's where it is another one. */
function nodes(): { name: string; path: string }[] {
  const found = [{ name: process.version, path: process.execPath }];
  for (const directory of (process.env["PATH"] ?? "").split(":")) {
    const path = join(directory, "node");
    if (directory.includes("node_modules") || !existsSync(path)) continue;
    const name = execFileSync(path, ["--version"], { encoding: "utf8" }).trim();
    if (found.every((node) => node.name !== name)) found.push({ name, path });
  }
  return found;
}

const machine = {
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
  mosquitto: version("mosquitto", ["-h"]),
  date: new Date().toISOString().slice(0, 10),
};

function version(command: string, args: string[]): string {
  try {
    const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/usr/local/sbin`;
    execFileSync(command, args, { encoding: "utf8", env: { ...process.env, PATH: path } });
    return "unknown";
  } catch (error) {
    // mosquitto -h prints its version and exits with 1.
    const output = error instanceof Error && "stdout" in error ? String(error.stdout) : "";
    return /version (\S+)/u.exec(output)?.[1] ?? "unknown";
  }
}

if (values.json) process.stdout.write(`${JSON.stringify({ machine, results })}\n`);

if (values.write) {
  const page = join(import.meta.dirname, "..", "bench", "results.md");
  const facts = `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, mosquitto ${machine.mosquitto}, ${machine.date}. ${rounds} interleaved rounds; ratios are taken round by round.`;
  const [intro = "", rest = ""] = readFileSync(page, "utf8").split("<!-- results -->\n");
  // What was not measured now stays as it was.
  const kept = new Map<string, string>();
  for (const piece of rest.split(/^(?=<!-- \w+ -->$)/mu)) {
    const part = /^<!-- (\w+) -->/u.exec(piece)?.[1];
    if (part !== undefined) kept.set(part, piece.trim());
  }
  for (const { part, text } of sections) kept.set(part, `<!-- ${part} -->\n\n${text}\n\n${facts}`);
  writeFileSync(page, `${intro}<!-- results -->\n\n${[...kept.values()].join("\n\n")}\n`);
  say(`\nWrote bench/results.md`);
}
