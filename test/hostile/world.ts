import { readdirSync } from "node:fs";
import { startHub, type Hub, type HubConfig } from "@hubwire/hub";
import { expect } from "vitest";
import { readAllTelemetry } from "../support/find-telemetry.ts";
import { connectPacket, type ConnectFields } from "../support/packets.ts";
import { RecordingLogger } from "../support/recording-logger.ts";
import { deviceToken } from "../support/token.ts";
import { WireClient, type WireOptions } from "../support/wire-client.ts";
import { Witness } from "../support/witness.ts";

type Key = { deviceId: string; primaryKey: string; secondaryKey: string };
type Levels = { streams: number; connections: number; descriptors: number };

/**
 * A running hub over real TLS with one well-behaved device on it that sends all the time, and the means to be a hostile one beside it.
 * `end` checks what every test here promises: nothing left behind, nobody else disturbed, no secret told.
 */
export async function hostileWorld(config: HubConfig = {}) {
  const logger = new RecordingLogger();
  const hub = await startHub({ logger, ...config });
  const secrets = new Set<string>();
  const keyed = async (deviceId: string): Promise<Key> => {
    const { identity } = await hub.createDevice({ deviceId });
    const { authentication } = identity;
    if (authentication.type !== "sas") throw new Error("a device is made with keys");
    secrets.add(authentication.primaryKey).add(authentication.secondaryKey);
    return { deviceId, ...authentication };
  };
  const witnessKey = await keyed("witness");
  const witness = await Witness.start({
    connectionString: await hub.deviceConnectionString("witness"),
    ca: hub.caPem,
  });
  await witness.beat();
  const before = await levels(hub);

  const open = (options: Partial<WireOptions> = {}): Promise<WireClient> =>
    WireClient.connect({ port: hub.mqttPort, ca: hub.caPem, ...options });

  const world = {
    hub,
    logger,
    witness,
    witnessKey,
    keyed,
    /** Must not turn up in the log, whole or in part. */
    secrets,
    /** A TLS connection; nothing is sent on it yet. */
    open,

    /** CONNECT as a good device sends it. */
    async connectFields({ deviceId, primaryKey }: Key): Promise<ConnectFields> {
      return {
        clientId: deviceId,
        username: `localhost/${deviceId}/?api-version=2021-04-12`,
        password: await deviceToken("localhost", deviceId, primaryKey),
      };
    },

    /** Connected and let in. */
    async online(key: Key, fields: Partial<ConnectFields> = {}): Promise<WireClient> {
      const client = await open();
      client.send(connectPacket({ ...(await world.connectFields(key)), ...fields }));
      expect(await client.next()).toMatchObject({ cmd: "connack", returnCode: 0 });
      return client;
    },

    /** Waits until the hub has a stream beside the witness's: with TLS 1.3 a client is ready before the server is. */
    async arrived(): Promise<void> {
      while ((await levels(hub)).streams <= before.streams) await turn();
    },

    /** Waits for the lines about a connection that has ended; the hub may see the end a moment later. */
    async lastLineAbout({ address }: WireClient, event: string) {
      for (;;) {
        const line = logger.about(address).find((each) => each.event === event);
        if (line !== undefined) return line;
        await turn();
      }
    },

    async bodiesOf(deviceId: string): Promise<string[]> {
      const events = await readAllTelemetry(hub.telemetry);
      return events
        .filter((event) => event.deviceId === deviceId)
        .map(({ body }) => Buffer.from(body).toString("utf8"));
    },

    /** Streams, connections and open files are what they were before. */
    async nothingLeft(): Promise<void> {
      for (let i = 0; i < 400; i += 1) {
        const now = await levels(hub);
        if (Object.entries(before).every(([name, level]) => now[name as keyof Levels] <= level))
          return;
        await turn(5);
      }
      expect(await levels(hub)).toEqual(before);
    },

    async end(): Promise<void> {
      await witness.beat();
      await world.nothingLeft();
      const { acknowledged, states } = await witness.stop();
      expect(states).toEqual(["connecting", "connected"]);
      const stored = await world.bodiesOf("witness");
      expect(stored).toEqual(Array.from({ length: acknowledged }, (_, n) => `{"n":${n}}`));
      await hub.stop();
      expect(logger.of("internal_error")).toEqual([]);
      const told = JSON.stringify(logger.lines);
      for (const secret of secrets) expect(told).not.toContain(secret);
    },
  };
  return world;
}

export type HostileWorld = Awaited<ReturnType<typeof hostileWorld>>;

export const turn = (ms = 1): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function levels(hub: Hub): Promise<Levels> {
  const text = await hub.metricsText();
  const level = (name: string): number =>
    Number(new RegExp(`^hubwire_${name} (\\d+)$`, "m").exec(text)?.[1] ?? Number.NaN);
  return {
    streams: level("streams"),
    connections: level("connections"),
    descriptors: readdirSync("/proc/self/fd").length,
  };
}
