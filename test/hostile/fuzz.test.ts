import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "@hubwire/testkit";
import { expect, test } from "vitest";
import { get } from "../support/https-get.ts";
import { deviceToken } from "../support/token.ts";
import { Witness } from "../support/witness.ts";
import { Attacker } from "./attacker.ts";
import { pickAttack, type Stolen } from "./attacks.ts";
import { residentBytes, startHubProcess, type HubProcess } from "./hub-process.ts";
import { turn } from "./world.ts";

const long = process.env["HUBWIRE_LONG"] === "1";
const connections = long ? 100_000 : 1_500;
const atATime = 48;
const seed = Number(process.env["HUBWIRE_SEED"] ?? Date.now() % 2 ** 31);

const stolenIds = Array.from({ length: 20 }, (_, i) => `stolen-${i}`);
const keyOf = (connectionString: string): string =>
  /SharedAccessKey=(.*)$/.exec(connectionString)?.[1] ?? "";

/** So many attacks, several at a time; says how many there were of each kind. */
async function attack(
  count: number,
  { hub, stolen, seed: first }: { hub: HubProcess; stolen: readonly Stolen[]; seed: number },
): Promise<Map<string, number>> {
  const attacker = new Attacker(hub.mqttPort, hub.caPem);
  const kinds = new Map<string, number>();
  let begun = 0;
  const worker = async (): Promise<void> => {
    while (begun < count) {
      const random = seededRandom(first + begun++);
      const { name, run } = pickAttack(random);
      kinds.set(name, (kinds.get(name) ?? 0) + 1);
      // oxlint-disable-next-line no-await-in-loop -- one after another, in as many lanes as there are workers
      await run(attacker, random, random.pick(stolen));
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
  return kinds;
}

/** Waits until only the witness is connected, and no refused connection lingers. */
async function quiet(hub: HubProcess): Promise<void> {
  for (let i = 0; i < 1_500; i += 1) {
    // oxlint-disable-next-line no-await-in-loop -- polling
    if ((await hub.streams()) === 1) return;
    // oxlint-disable-next-line no-await-in-loop -- polling
    await turn(10);
  }
  throw new Error(`${await hub.streams()} streams are left`);
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

test(
  `${connections} hostile connections: the hub lives on, grows no more, and a good device notices nothing (seed ${seed})`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "hubwire-fuzz-"));
    const logFile = join(folder, "hub.log");
    const hub = await startHubProcess({
      config: {
        dataDirectory: join(folder, "data"),
        logLevel: "warn",
        limits: {
          handshakeTimeoutMs: 2_000,
          mqtt: { connectTimeoutMs: 2_000, slowReaderTimeoutMs: 2_000 },
        },
      },
      devices: ["witness", ...stolenIds],
      logFile,
    });
    try {
      const stolen = await Promise.all(
        stolenIds.map(async (deviceId) => ({
          deviceId,
          token: await deviceToken("localhost", deviceId, keyOf(hub.connectionStrings[deviceId]!)),
        })),
      );
      const witness = await Witness.start({
        connectionString: hub.connectionStrings["witness"]!,
        ca: hub.caPem,
      });
      await witness.beat();
      hub.feed(stolenIds);
      const startedMs = performance.now();
      const resident = [residentBytes(hub.pid)];
      const kept: number[] = [];
      const kinds = new Map<string, number>();
      for (const half of [0, 1]) {
        const count = connections / 2;
        const seen = await attack(count, { hub, stolen, seed: seed + half * count });
        for (const [name, n] of seen) kinds.set(name, (kinds.get(name) ?? 0) + n);
        await quiet(hub);
        kept.push(await hub.collect());
        resident.push(residentBytes(hub.pid));
        expect(await get(hub, "/readyz")).toBe(200);
      }
      const tookS = (performance.now() - startedMs) / 1000;
      await witness.beat();
      const { acknowledged, states } = await witness.stop();
      expect(states).toEqual(["connecting", "connected"]);
      expect(await hub.count("witness")).toMatchObject({ count: acknowledged, inOrder: true });
      expect(await hub.stop()).toBe(0);

      const log = readFileSync(logFile, "utf8");
      const lines = log
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as { level: string; event: string });
      const refusals = lines.filter(({ event }) => event === "connect_refused").length;
      const [atStart, first, second] = resident as [number, number, number];
      process.stdout.write(
        `${connections} hostile connections of ${kinds.size} kinds in ${tookS.toFixed(0)} s, ${refusals} CONNECTs refused; ` +
          `RSS ${mebibytes(atStart)} before, ${mebibytes(first)} after the first half, ${mebibytes(second)} after the second ` +
          `(${(second / first).toFixed(3)}), of which JavaScript holds ${kept.map(mebibytes).join(", then ")}; the witness had ${acknowledged} messages acknowledged on one connection\n`,
      );
      expect(lines.filter(({ level }) => level === "error")).toEqual([]);
      const secrets = [
        ...Object.values(hub.connectionStrings).map(keyOf),
        ...stolen.map(({ token }) => /sig=([^&]*)/.exec(token)![1]!),
      ];
      for (const secret of secrets) expect(log).not.toContain(secret);
      expect(refusals).toBeGreaterThan(connections / 10);
      // A hub that has just started is still growing into its work.
      expect(second / first).toBeLessThan(long ? 1.1 : 1.5);
      expect(kept[1]! / kept[0]!).toBeLessThan(long ? 1.1 : 1.3);
    } finally {
      await hub.kill();
      rmSync(folder, { recursive: true, force: true });
    }
  },
  long ? 3_600_000 : 60_000,
);
