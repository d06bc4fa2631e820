/**
 * QoS 1 telemetry in over TLS: the hub (durable, and in memory) against mosquitto and aedes, interleaved, each server on one core and
 * the generator on the other. The peers deliver to one subscriber, which is what a back end behind them needs; their
 * figures without any subscriber are measured too.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  makeCertificate,
  runNode,
  startNodeServer,
  startProgram,
  type Tls,
} from "../support/process.ts";
import { formatSpread, ratios, spread, type Spread } from "../support/statistics.ts";
import type { GeneratorOptions, GeneratorResult } from "./generator.ts";
import type { HubServerInfo } from "./hub-server.ts";

const here = import.meta.dirname;
const PAYLOAD_BYTES = 256;

export type IngestionOptions = { devices: number; window: number; rounds: number };

type Peer = { name: string; run: (options: IngestionOptions) => Promise<GeneratorResult> };

const base = { qos: 1 as const, payloadBytes: PAYLOAD_BYTES, warmMs: 700, measureMs: 2000 };

const anonymous = (devices: number): GeneratorOptions["connections"] =>
  Array.from({ length: devices }, (_, index) => ({
    clientId: `device-${index}`,
    topic: `devices/device-${index}/messages/events/`,
  }));

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = address === null || typeof address === "string" ? 0 : address.port;
      probe.close(() => resolve(port));
    });
  });
}

async function untilListening(port: number): Promise<void> {
  const { connect } = await import("node:net");
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on ${port}`);
}

const generate = (options: GeneratorOptions): Promise<GeneratorResult> =>
  runNode(join(here, "generator.ts"), options);

function mosquitto(tls: Tls, subscribe: boolean): Peer["run"] {
  return async ({ devices, window }) => {
    const port = await freePort();
    const config = join(tls.directory, `mosquitto-${port}.conf`);
    writeFileSync(
      config,
      `listener ${port} 127.0.0.1\ncertfile ${tls.certFile}\nkeyfile ${tls.keyFile}\n` +
        `user root\nallow_anonymous true\npersistence false\nlog_type none\n`,
    );
    const server = startProgram("mosquitto", ["-c", config]);
    try {
      await untilListening(port);
      return await generate({
        ...base,
        port,
        ca: tls.ca,
        window,
        connections: anonymous(devices),
        serverPid: server.pid,
        ...(subscribe ? { subscribe: "devices/#" } : {}),
      });
    } finally {
      await server.stop();
    }
  };
}

function nodeServer(script: string, tls: Tls, subscribe: boolean): Peer["run"] {
  return async ({ devices, window }) => {
    const server = await startNodeServer<{ port: number }>(join(here, script), [
      tls.keyFile,
      tls.certFile,
    ]);
    try {
      return await generate({
        ...base,
        port: server.info.port,
        ca: tls.ca,
        window,
        connections: anonymous(devices),
        serverPid: server.pid,
        ...(subscribe ? { subscribe: "devices/#" } : {}),
      });
    } finally {
      await server.stop();
    }
  };
}

function hub(durable: boolean, reader: boolean): Peer["run"] {
  return async ({ devices, window }) => {
    const dataDirectory = mkdtempSync(join(tmpdir(), "hubwire-bench-hub-"));
    const server = await startNodeServer<HubServerInfo>(join(here, "hub-server.ts"), [
      JSON.stringify({ devices, reader, ...(durable ? { dataDirectory } : {}) }),
    ]);
    try {
      const { port, ca, connections } = server.info;
      return await generate({ ...base, port, ca, window, connections, serverPid: server.pid });
    } finally {
      await server.stop();
      rmSync(dataDirectory, { recursive: true, force: true });
    }
  };
}

export type IngestionRow = {
  peer: string;
  perS: Spread;
  ratioToMosquitto: Spread;
  ratioToAedes: Spread;
  serverCpuUs: number | undefined;
  generatorCpu: number;
};

/** Five servers, `rounds` times around; medians, spreads and ratios round by round. */
export async function run(
  options: IngestionOptions,
  progress: (line: string) => void,
): Promise<IngestionRow[]> {
  const tls = makeCertificate();
  const peers: Peer[] = [
    { name: "hub, durable", run: hub(true, false) },
    { name: "hub, durable, one reader following", run: hub(true, true) },
    { name: "hub, memory", run: hub(false, false) },
    { name: "mosquitto, one subscriber", run: mosquitto(tls, true) },
    { name: "mosquitto, no subscriber", run: mosquitto(tls, false) },
    { name: "aedes, one subscriber", run: nodeServer("aedes-server.ts", tls, true) },
    {
      name: "discard server (the generator's limit)",
      run: nodeServer("discard-server.ts", tls, false),
    },
  ];
  const results = new Map<string, GeneratorResult[]>(peers.map((peer) => [peer.name, []]));
  try {
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const peer of peers) {
        const result = await peer.run(options);
        results.get(peer.name)?.push(result);
        progress(
          `round ${round}/${options.rounds}  ${peer.name}: ${(result.acknowledgedPerS / 1000).toFixed(1)} k/s`,
        );
      }
    }
  } finally {
    tls.remove();
  }
  const rates = (name: string): number[] =>
    (results.get(name) ?? []).map((result) => result.acknowledgedPerS);
  return peers.map(({ name }) => {
    const all = results.get(name) ?? [];
    const cpu = all.flatMap((result) => result.serverCpuUsPerMessage ?? []);
    return {
      peer: name,
      perS: spread(rates(name)),
      ratioToMosquitto: ratios(rates(name), rates("mosquitto, one subscriber")),
      ratioToAedes: ratios(rates(name), rates("aedes, one subscriber")),
      serverCpuUs: cpu.length === 0 ? undefined : spread(cpu).median,
      generatorCpu: spread(all.map((result) => result.generatorCpu)).median,
    };
  });
}

export function format(rows: readonly IngestionRow[]): string {
  const lines = [
    "| server | thousand messages/s, median (min–max) | × mosquitto | × aedes | server CPU µs/message | generator CPU |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
  ];
  for (const row of rows) {
    const perS = { ...row.perS };
    for (const key of ["median", "min", "max"] as const) perS[key] /= 1000;
    lines.push(
      `| ${row.peer} | ${formatSpread(perS)} | ${formatSpread(row.ratioToMosquitto, 2)} | ${formatSpread(row.ratioToAedes, 2)} | ${row.serverCpuUs?.toFixed(2) ?? ""} | ${row.generatorCpu.toFixed(2)} |`,
    );
  }
  return lines.join("\n");
}
