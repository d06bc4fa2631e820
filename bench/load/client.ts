/**
 * `@hubwire/device` against azure-iot-device and mqtt.js: one connection, TLS, QoS 1, 256 B, a sink that acknowledges and
 * discards. The clients take turns, each in a process of its own on one core, the sink on the other. Ours is loaded as it is
 * published.
 */
import { join } from "node:path";
import { compiled } from "../support/compiled.ts";
import { makeCertificate, runCompiled, runNode, startNodeServer } from "../support/process.ts";
import { formatSpread, ratios, spread, type Spread } from "../support/statistics.ts";
import type { ClientOptions, ClientResult } from "./client-measure.ts";
import type { MemoryResult } from "./client-memory.ts";

const here = import.meta.dirname;

const clients = {
  hubwire: "client-hubwire.ts",
  "hubwire, durable outbox": "client-hubwire.ts",
  "azure-iot-device": "client-azure.ts",
  "mqtt.js": "client-mqttjs.ts",
  "no client (the ceiling)": "client-raw.ts",
} as const;
type ClientName = keyof typeof clients;
const names = Object.keys(clients) as ClientName[];

export type ClientRow = {
  node: string;
  inflight: number;
  client: ClientName;
  perS: Spread;
  ratioToAzure: Spread;
  ratioToMqttJs: Spread;
  cpuSPer100k: number;
  connectMs: number;
};

/** A Node to measure on: users have old ones, and how far clients are apart differs between them. */
export type BenchNode = { name: string; path: string };

export async function run(
  options: { rounds: number; inflight: readonly number[]; node: BenchNode },
  progress: (line: string) => void,
): Promise<ClientRow[]> {
  const { node } = options;
  const scripts = await compiled(Object.values(clients));
  const tls = makeCertificate();
  const server = await startNodeServer<{ port: number }>(join(here, "discard-server.ts"), [
    tls.keyFile,
    tls.certFile,
  ]);
  const key = Buffer.alloc(32, 7).toString("base64");
  const rows: ClientRow[] = [];
  try {
    for (const inflight of options.inflight) {
      const results = new Map<ClientName, ClientResult[]>(names.map((name) => [name, []]));
      for (let round = 1; round <= options.rounds; round += 1) {
        for (const name of names) {
          const input: ClientOptions = {
            connectionString: `HostName=localhost:${server.info.port};DeviceId=bench;SharedAccessKey=${key}`,
            ca: tls.ca,
            inflight,
            durable: name === "hubwire, durable outbox",
            payloadBytes: 256,
            warmMs: 600,
            measureMs: 1500,
          };
          const script = join(scripts, clients[name].replace(".ts", ".mjs"));
          const result = await runCompiled<ClientResult>(node.path, script, input);
          results.get(name)?.push(result);
          progress(
            `Node ${node.name}, round ${round}/${options.rounds}  ${inflight} in flight  ${name}: ${(result.perS / 1000).toFixed(1)} k/s`,
          );
        }
      }
      const of = (name: ClientName, field: keyof ClientResult): number[] =>
        (results.get(name) ?? []).map((result) => result[field]);
      for (const name of names) {
        rows.push({
          node: node.name,
          inflight,
          client: name,
          perS: spread(of(name, "perS")),
          ratioToAzure: ratios(of(name, "perS"), of("azure-iot-device", "perS")),
          ratioToMqttJs: ratios(of(name, "perS"), of("mqtt.js", "perS")),
          cpuSPer100k: spread(of(name, "cpuSPer100k")).median,
          connectMs: spread(of(name, "connectMs")).median,
        });
      }
    }
  } finally {
    await server.stop();
    tls.remove();
  }
  return rows;
}

/** Ten million messages through one client; what it holds after each million. */
export async function memory(progress: (line: string) => void): Promise<MemoryResult> {
  const tls = makeCertificate();
  const server = await startNodeServer<{ port: number }>(join(here, "discard-server.ts"), [
    tls.keyFile,
    tls.certFile,
  ]);
  try {
    const key = Buffer.alloc(32, 7).toString("base64");
    const input: ClientOptions = {
      connectionString: `HostName=localhost:${server.info.port};DeviceId=bench;SharedAccessKey=${key}`,
      ca: tls.ca,
      inflight: 100,
      durable: false,
      payloadBytes: 256,
      warmMs: 0,
      measureMs: 0,
    };
    progress("ten million messages through one client");
    return await runNode<MemoryResult>(join(here, "client-memory.ts"), input, ["--expose-gc"]);
  } finally {
    await server.stop();
    tls.remove();
  }
}

export function formatMemory(result: MemoryResult): string {
  const cells = (name: "heapMiB" | "rssMiB"): string =>
    result.map((sample) => sample[name].toFixed(0)).join(" | ");
  return [
    `| million messages | ${result.map((sample) => sample.messages / 1e6).join(" | ")} |`,
    `| --- | ${result.map(() => "---:").join(" | ")} |`,
    `| heap after collection, MiB | ${cells("heapMiB")} |`,
    `| RSS, MiB | ${cells("rssMiB")} |`,
  ].join("\n");
}

const thousands = ({ median, min, max, runs }: Spread): Spread => ({
  median: median / 1000,
  min: min / 1000,
  max: max / 1000,
  runs,
});

export function format(rows: readonly ClientRow[]): string {
  const lines = [
    "| Node | in flight | client | thousand messages/s, median (min–max) | × azure-iot-device | × mqtt.js | CPU s/100 k | connect, ms |",
    "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
  ];
  for (const row of rows) {
    lines.push(
      `| ${row.node} | ${row.inflight} | ${row.client} | ${formatSpread(thousands(row.perS))} | ${formatSpread(row.ratioToAzure)} | ${formatSpread(row.ratioToMqttJs)} | ${row.cpuSPer100k.toFixed(2)} | ${row.connectMs.toFixed(0)} |`,
    );
  }
  return lines.join("\n");
}
