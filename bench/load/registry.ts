/**
 * A hub with 100,000 devices, over its REST API: queries, start, memory, point reads and writes. The server has one core, the
 * back end the other. Peers: the same query written so that no index helps, and Node's bare HTTPS server.
 */
import { createHmac } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSasToken, parseServiceConnectionString } from "@hubwire/protocol";
import { makeCertificate, runNode, startNodeServer } from "../support/process.ts";
import { formatSpread, ratios, spread, type Spread } from "../support/statistics.ts";
import type { FillOptions, FillResult } from "./registry-fleet.ts";
import type {
  LatencyOptions,
  LatencyResult,
  RateOptions,
  RateResult,
  TimedQuery,
} from "./registry-generator.ts";
import type { MemoryResult } from "./registry-memory.ts";
import type { RegistryServerInfo } from "./registry-server.ts";

const here = import.meta.dirname;
const repeats = 20;

export type RegistryOptions = { devices: number; rounds: number };
export type RegistryResult = {
  devices: number;
  twinBytes: number;
  readyMs: Spread;
  emptyReadyMs: Spread;
  rssPerDevice: { started: Spread; afterQueries: Spread };
  memoryStore: MemoryResult;
  queries: {
    name: string;
    items: number;
    ms: Spread;
    p95: Spread;
    timesFaster: Spread | undefined;
  }[];
  rates: { name: string; perS: Spread; ofBare: Spread; generatorCpu: number }[];
};

const times = (make: (n: number) => string): string[] =>
  Array.from({ length: repeats }, (_, n) => make(n));

/** Paths of which a hub that was never asked has no index; one a round. */
const newPaths = [
  "tags.customer.contract",
  "properties.reported.battery",
  "properties.desired.level",
  "tags.floor",
  "properties.reported.network.rssi",
  "properties.reported.firmware.version",
  "tags.customer.name",
];

const first = "by a tag, the very first time (makes the index)";
const scan = "the same tag where no index helps (reads everything)";

const queriesOf = (round: number): TimedQuery[] => [
  {
    name: first,
    texts: [`SELECT deviceId FROM devices WHERE ${newPaths[round % newPaths.length]} = -5`],
  },
  {
    name: "by a tag: 50 of all",
    texts: times((n) => `SELECT * FROM devices WHERE tags.batch = 'batch-${(n * 97) % 2000}'`),
  },
  {
    name: "reported number above a bound: 50 of all",
    texts: times(
      (n) => `SELECT * FROM devices WHERE properties.reported.temperature >= ${99_950 - (n % 3)}`,
    ),
  },
  {
    name: "status: 100 of all",
    texts: times((n) => `SELECT * FROM devices WHERE status = 'disabled' AND ${n} = ${n}`),
  },
  {
    name: "beginning of a device id: 100 of all",
    texts: times(
      (n) => `SELECT * FROM devices WHERE STARTSWITH(deviceId, 'device-0${100 + n * 40}')`,
    ),
  },
  {
    name: "one device id",
    texts: times((n) => `SELECT * FROM devices WHERE deviceId = 'device-0${10_000 + n * 997}'`),
  },
  {
    name: "who is connected: nobody",
    texts: times(() => "SELECT * FROM devices WHERE connectionState = 'Connected'"),
  },
  {
    name: "a tag of 1,000 devices and a reported number of 10,000: 100 of all",
    texts: times(
      (n) =>
        `SELECT * FROM devices WHERE tags.site = 'site-${n}' AND properties.reported.temperature > 90000`,
    ),
  },
  { name: "page of 100, one after the other", texts: ["SELECT * FROM devices"], pages: repeats },
  {
    name: "page of 100 of a tag that a hundredth has",
    texts: ["SELECT * FROM devices WHERE tags.site = 'site-7'"],
    pages: 10,
  },
  {
    name: scan,
    texts: ["SELECT * FROM devices WHERE CONCAT(tags.batch, '') = 'batch-7'"],
  },
  { name: "COUNT() of everything", texts: ["SELECT COUNT() AS n FROM devices"] },
  {
    name: "COUNT() and AVG() by site",
    texts: [
      "SELECT tags.site, COUNT() AS n, AVG(properties.reported.temperature) AS t FROM devices GROUP BY tags.site",
    ],
  },
];

function residentBytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}

async function tokenFor(connectionString: string): Promise<string> {
  const { sharedAccessKey, sharedAccessKeyName } = parseServiceConnectionString(connectionString);
  const sign = (text: string): Promise<string> =>
    Promise.resolve(
      createHmac("sha256", Buffer.from(sharedAccessKey, "base64")).update(text).digest("base64"),
    );
  const expiresAtS = Math.floor(Date.now() / 1000) + 3600;
  const token = await buildSasToken({ resource: "localhost", expiresAtS }, sign);
  return `${token}&skn=${sharedAccessKeyName}`;
}

const generator = join(here, "registry-generator.ts");
const startHub = (dataDirectory: string) =>
  startNodeServer<RegistryServerInfo>(join(here, "registry-server.ts"), [
    JSON.stringify({ dataDirectory }),
  ]);

type Round = {
  readyMs: number;
  emptyReadyMs: number;
  emptyRss: number;
  startedRss: number;
  queriedRss: number;
  latencies: LatencyResult;
  read: RateResult;
  write: RateResult;
  writeUnasked: RateResult;
  bareRead: RateResult;
  bareWrite: RateResult;
};

export async function run(
  { devices, rounds }: RegistryOptions,
  progress: (line: string) => void,
): Promise<RegistryResult> {
  const root = mkdtempSync(join(tmpdir(), "hubwire-bench-registry-"));
  const directory = join(root, "full");
  const unasked = join(root, "unasked");
  const certificate = makeCertificate();
  try {
    // A hub made the directory, so that it is whole; then the documents go in behind its back, which is quicker.
    await (await startHub(directory)).stop();
    const fill: FillOptions = { directory, devices };
    const { twinBytes } = await runNode<FillResult>(join(here, "registry-fill.ts"), fill);
    progress(`${devices} devices are there, ${twinBytes} bytes of twin each`);
    cpSync(directory, unasked, { recursive: true });
    const all: Round[] = [];
    for (let round = 0; round < rounds; round++) {
      all.push(
        await oneRound({ root, directory, unasked, devices, round, certificate, twinBytes }),
      );
      const { readyMs, read, write } = all.at(-1) as Round;
      progress(
        `round ${round + 1}/${rounds}  ready ${readyMs.toFixed(0)} ms, ${read.perS.toFixed(0)} reads/s, ${write.perS.toFixed(0)} writes/s (${all.at(-1)?.writeUnasked.perS.toFixed(0)} without indexes)`,
      );
    }
    const memoryStore = await runNode<MemoryResult>(
      join(here, "registry-memory.ts"),
      { devices: Math.min(devices, 20_000) },
      ["--expose-gc"],
    );
    return summary(all, { devices, twinBytes, memoryStore });
  } finally {
    certificate.remove();
    rmSync(root, { recursive: true, force: true });
  }
}

async function oneRound(parts: {
  root: string;
  directory: string;
  /** The same devices, never queried. */
  unasked: string;
  devices: number;
  round: number;
  certificate: ReturnType<typeof makeCertificate>;
  twinBytes: number;
}): Promise<Round> {
  const { root, directory, unasked, devices, round, certificate, twinBytes } = parts;
  // The first start of a directory makes a CA, which no later one does.
  await (await startHub(join(root, `empty-${round}`))).stop();
  const empty = await startHub(join(root, `empty-${round}`));
  const emptyReadyMs = empty.info.readyMs;
  const emptyRss = residentBytes(empty.pid);
  await empty.stop();

  const rate = (
    target: Pick<RateOptions, "port" | "ca" | "authorization">,
    what: "read" | "write",
  ) =>
    runNode<RateResult>(generator, {
      ...target,
      type: "rate",
      what,
      devices,
      connections: 64,
      warmMs: 1_500,
      measureMs: 3_000,
    } satisfies RateOptions);

  const hub = await startHub(directory);
  const { port, ca, readyMs, connectionString } = hub.info;
  const target = { port, ca, authorization: await tokenFor(connectionString) };
  const startedRss = residentBytes(hub.pid);
  const latencies = await runNode<LatencyResult>(generator, {
    ...target,
    type: "latency",
    devices,
    queries: queriesOf(round),
  } satisfies LatencyOptions);
  const queriedRss = residentBytes(hub.pid);
  const read = await rate(target, "read");
  const write = await rate(target, "write");
  await hub.stop();

  const fresh = await startHub(unasked);
  const writeUnasked = await rate({ ...target, port: fresh.info.port, ca: fresh.info.ca }, "write");
  await fresh.stop();

  const bare = await startNodeServer<{ port: number }>(join(here, "registry-bare.ts"), [
    certificate.keyFile,
    certificate.certFile,
    String(twinBytes),
  ]);
  const bareTarget = { port: bare.info.port, ca: certificate.ca, authorization: "none" };
  const bareRead = await rate(bareTarget, "read");
  const bareWrite = await rate(bareTarget, "write");
  await bare.stop();
  const facts = { readyMs, emptyReadyMs, emptyRss, startedRss, queriedRss };
  return { ...facts, latencies, read, write, writeUnasked, bareRead, bareWrite };
}

function summary(
  all: readonly Round[],
  facts: Pick<RegistryResult, "devices" | "twinBytes" | "memoryStore">,
): RegistryResult {
  const names = all[0]?.latencies.map(({ name }) => name) ?? [];
  const each = (name: string): LatencyResult =>
    all.flatMap(({ latencies }) => latencies.filter((one) => one.name === name));
  const medians = (name: string): number[] => each(name).map(({ ms }) => spread(ms).median);
  const p95 = (ms: readonly number[]): number =>
    ms.toSorted((a, b) => a - b)[Math.ceil(ms.length * 0.95) - 1] ?? Number.NaN;
  const perDevice = (bytes: (round: Round) => number): Spread =>
    spread(all.map((round) => (bytes(round) - round.emptyRss) / facts.devices));
  const rateOf = (
    name: string,
    of: (round: Round) => RateResult,
    bare: (round: Round) => RateResult,
  ) => {
    const rates = all.map((round) => of(round).perS);
    return {
      name,
      perS: spread(rates),
      ofBare: ratios(
        rates,
        all.map((round) => bare(round).perS),
      ),
      generatorCpu: spread(all.map((round) => of(round).generatorCpu)).median,
    };
  };
  return {
    ...facts,
    readyMs: spread(all.map(({ readyMs }) => readyMs)),
    emptyReadyMs: spread(all.map(({ emptyReadyMs }) => emptyReadyMs)),
    rssPerDevice: {
      started: perDevice(({ startedRss }) => startedRss),
      afterQueries: perDevice(({ queriedRss }) => queriedRss),
    },
    queries: names.map((name) => ({
      name,
      items: each(name)[0]?.items ?? 0,
      ms: spread(medians(name)),
      p95: spread(each(name).map(({ ms }) => p95(ms))),
      timesFaster: name === scan ? undefined : ratios(medians(scan), medians(name)),
    })),
    rates: [
      rateOf(
        "twin read, hub",
        ({ read }) => read,
        ({ bareRead }) => bareRead,
      ),
      rateOf(
        "twin write, hub, durable, never queried",
        ({ writeUnasked }) => writeUnasked,
        ({ bareWrite }) => bareWrite,
      ),
      rateOf(
        "twin write, hub, durable, members indexed by the queries above",
        ({ write }) => write,
        ({ bareWrite }) => bareWrite,
      ),
      rateOf(
        "bare Node HTTPS, GET",
        ({ bareRead }) => bareRead,
        ({ bareRead }) => bareRead,
      ),
      rateOf(
        "bare Node HTTPS, PATCH",
        ({ bareWrite }) => bareWrite,
        ({ bareWrite }) => bareWrite,
      ),
    ],
  };
}

export function format(result: RegistryResult): string {
  const { queries, rates, rssPerDevice, memoryStore } = result;
  const rows = queries.map(
    ({ name, items, ms, p95, timesFaster }) =>
      `| ${name} | ${items} | ${formatSpread(ms)} | ${formatSpread(p95)} | ${timesFaster === undefined ? "" : formatSpread(timesFaster)} |`,
  );
  const rateRows = rates.map(
    ({ name, perS, ofBare, generatorCpu }) =>
      `| ${name} | ${formatSpread(perS, 0)} | ${formatSpread(ofBare, 2)} | ${generatorCpu.toFixed(2)} |`,
  );
  const bytes = (spreadOf: Spread): string => `${formatSpread(spreadOf, 0)} bytes`;
  return [
    "| query, over HTTPS | items | median ms (min–max of rounds) | 95th percentile ms | times faster than reading everything |",
    "| --- | ---: | ---: | ---: | ---: |",
    ...rows,
    "",
    "| point reads and writes, 64 kept connections, all threads of the server on one core | per s | of bare Node | generator CPU |",
    "| --- | ---: | ---: | ---: |",
    ...rateRows,
    "",
    `Ready after ${formatSpread(result.readyMs, 0)} ms with ${result.devices} devices, ${formatSpread(result.emptyReadyMs, 0)} ms with none (${formatSpread(ratios([result.readyMs.median], [result.emptyReadyMs.median]), 2)} times).`,
    `Memory per device beyond an empty hub, twins of ${result.twinBytes} bytes on disk: ${bytes(rssPerDevice.started)} after start, ${bytes(rssPerDevice.afterQueries)} after the queries;`,
    `without a data directory ${memoryStore.bytesPerDevice.toFixed(0)} bytes of heap, ${memoryStore.withIndexes.toFixed(0)} with two members indexed.`,
  ].join("\n");
}
