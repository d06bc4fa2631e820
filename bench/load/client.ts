/**
 * `@hubwire/device` against azure-iot-device and mqtt.js: one connection, TLS, QoS 1, 256 B, a sink that acknowledges and
 * discards. The clients take turns, each in a process of its own on one core, the sink on the other.
 */
import { join } from "node:path";
import { makeCertificate, runNode, startNodeServer } from "../support/process.ts";
import { formatSpread, ratios, spread, type Spread } from "../support/statistics.ts";
import type { ClientOptions, ClientResult } from "./client-measure.ts";
import type { MemoryResult } from "./client-memory.ts";

const here = import.meta.dirname;

const clients = {
  hubwire: "client-hubwire.ts",
  "hubwire, durable outbox": "client-hubwire.ts",
  "azure-iot-device": "client-azure.ts",
  "mqtt.js": "client-mqttjs.ts",
} as const;
type ClientName = keyof typeof clients;
const names = Object.keys(clients) as ClientName[];

export type ClientRow = {
  inflight: number;
  client: ClientName;
  perS: Spread;
  ratioToAzure: Spread;
  ratioToMqttJs: Spread;
  cpuSPer100k: number;
  connectMs: number;
};

export async function run(
  options: { rounds: number; inflight: readonly number[] },
  progress: (line: string) => void,
): Promise<ClientRow[]> {
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
            warmMs: 700,
            measureMs: 2000,
          };
          const result = await runNode<ClientResult>(join(here, clients[name]), input);
          results.get(name)?.push(result);
          progress(
            `round ${round}/${options.rounds}  ${inflight} in flight  ${name}: ${(result.perS / 1000).toFixed(1)} k/s`,
          );
        }
      }
      const of = (name: ClientName, field: keyof ClientResult): number[] =>
        (results.get(name) ?? []).map((result) => result[field]);
      for (const name of names) {
        rows.push({
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
    "| in flight | client | thousand messages/s, median (min–max) | × azure-iot-device | × mqtt.js | CPU s/100 k | connect, ms |",
    "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
  ];
  for (const row of rows) {
    lines.push(
      `| ${row.inflight} | ${row.client} | ${formatSpread(thousands(row.perS))} | ${formatSpread(row.ratioToAzure)} | ${formatSpread(row.ratioToMqttJs)} | ${row.cpuSPer100k.toFixed(2)} | ${row.connectMs.toFixed(0)} |`,
    );
  }
  return lines.join("\n");
}
