/** `@hubwire/device` against azure-iot-device: one connection, TLS, QoS 1, 256 B, a sink that acknowledges and discards. */
import { join } from "node:path";
import { makeCertificate, runNode, startNodeServer } from "../support/process.ts";
import { formatSpread, ratios, spread, type Spread } from "../support/statistics.ts";
import type { ClientOptions, ClientResult } from "./client-measure.ts";

const here = import.meta.dirname;

export type ClientRow = {
  inflight: number;
  hubwirePerS: Spread;
  azurePerS: Spread;
  ratio: Spread;
  hubwireCpuSPer100k: number;
  azureCpuSPer100k: number;
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
      const input: ClientOptions = {
        connectionString: `HostName=localhost:${server.info.port};DeviceId=bench;SharedAccessKey=${key}`,
        ca: tls.ca,
        inflight,
        payloadBytes: 256,
        warmMs: 700,
        measureMs: 2000,
      };
      const hubwire: ClientResult[] = [];
      const azure: ClientResult[] = [];
      for (let round = 1; round <= options.rounds; round += 1) {
        hubwire.push(await runNode<ClientResult>(join(here, "client-hubwire.ts"), input));
        azure.push(await runNode<ClientResult>(join(here, "client-azure.ts"), input));
        progress(
          `round ${round}/${options.rounds}  ${inflight} in flight: hubwire ${((hubwire.at(-1)?.perS ?? 0) / 1000).toFixed(1)} k/s, azure-iot-device ${((azure.at(-1)?.perS ?? 0) / 1000).toFixed(1)} k/s`,
        );
      }
      const rate = (results: ClientResult[]): number[] => results.map((result) => result.perS);
      const cpu = (results: ClientResult[]): number =>
        spread(results.map((result) => result.cpuSPer100k)).median;
      rows.push({
        inflight,
        hubwirePerS: spread(rate(hubwire)),
        azurePerS: spread(rate(azure)),
        ratio: ratios(rate(hubwire), rate(azure)),
        hubwireCpuSPer100k: cpu(hubwire),
        azureCpuSPer100k: cpu(azure),
      });
    }
  } finally {
    await server.stop();
    tls.remove();
  }
  return rows;
}

const thousands = ({ median, min, max, runs }: Spread): Spread => ({
  median: median / 1000,
  min: min / 1000,
  max: max / 1000,
  runs,
});

export function format(rows: readonly ClientRow[]): string {
  const lines = [
    "| in flight | hubwire, thousand/s | azure-iot-device, thousand/s | ratio | hubwire CPU s/100 k | azure CPU s/100 k |",
    "| ---: | ---: | ---: | ---: | ---: | ---: |",
  ];
  for (const row of rows) {
    lines.push(
      `| ${row.inflight} | ${formatSpread(thousands(row.hubwirePerS))} | ${formatSpread(thousands(row.azurePerS))} | ${formatSpread(row.ratio)} | ${row.hubwireCpuSPer100k.toFixed(2)} | ${row.azureCpuSPer100k.toFixed(2)} |`,
    );
  }
  return lines.join("\n");
}
