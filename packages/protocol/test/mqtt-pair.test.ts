import { describe, expect, test } from "vitest";
import { Pair } from "./mqtt/pair.ts";
import type { PairLog } from "./mqtt/pair.ts";
import { decodePackets } from "./mqtt/packets.ts";
import type { Packet } from "./mqtt/packets.ts";
import { Random } from "./mqtt/random.ts";

const runs = process.env.HUBWIRE_LONG === "1" ? 20_000 : 150;
const seed = Number(process.env.HUBWIRE_SEED ?? Date.now() % 2 ** 31);
const inflightMax = 5;

/** First occurrences, in order. */
const firsts = (texts: readonly string[]): string[] => [...new Set(texts)];
const numbered = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/** Half a minute of traffic both ways with cuts (and hub restarts), then a minute of peace to settle. */
function storm(
  random: Random,
  withRestarts: boolean,
): { pair: Pair; d2c: string[]; c2d: string[] } {
  const latencyMs = 1 + random.below(200);
  const pair = new Pair({ random, latencyMs, workMs: random.below(2_000), inflightMax });
  const d2c = numbered("d", random.below(60));
  const c2d = numbered("c", random.below(30));
  for (const text of d2c) pair.later(random.below(30_000), () => pair.send(text, 1));
  for (const text of c2d) pair.later(random.below(30_000), () => pair.enqueue(text));
  pair.connect();
  for (let t = 0; t < 30_000; t += 100 + random.below(4_000)) {
    pair.runUntil(t);
    if (random.chance(50)) continue;
    if (withRestarts && random.chance(30)) pair.restartHub();
    else pair.cut();
    pair.connect();
  }
  pair.runUntil(200_000);
  return { pair, d2c, c2d };
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): T[][] {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

type Sent = { connection: number; direction: string; packet: Packet };

function packetsOf(log: PairLog): Sent[] {
  const streams = groupBy(log.wire, ({ connection, direction }) => `${connection} ${direction}`);
  return streams.flatMap((parts) => {
    const { connection, direction } = parts[0]!;
    const packets = decodePackets(parts.map(({ bytes }) => bytes)) as Packet[];
    return packets.map((packet) => ({ connection, direction, packet }));
  });
}

const textIn = (hex: string): string => Buffer.from(hex, "hex").toString();

/** A message goes out without DUP at most once, and never without DUP after it went out with it. */
function checkDup(sent: readonly Sent[], direction: string): void {
  const seen = new Set<string>();
  for (const { packet, direction: way } of sent) {
    if (way !== direction || packet.type !== "publish") continue;
    const text = textIn(packet.payload);
    if (!packet.dup) expect(seen, `${text} without DUP again`).not.toContain(text);
    seen.add(text);
  }
}

/** On each connection the server's PUBACKs are the first of the client's QoS 1 publishes, in their order. */
function checkPubackOrder(sent: readonly Sent[]): void {
  for (const packets of groupBy(sent, ({ connection }) => connection)) {
    const idsOf = (direction: string, type: string) =>
      packets.flatMap(({ packet, direction: way }) =>
        way === direction && packet.type === type && "packetId" in packet ? [packet.packetId] : [],
      );
    const publishes = idsOf("toServer", "publish").filter((packetId) => packetId !== 0);
    const pubacks = idsOf("toClient", "puback");
    expect(pubacks).toEqual(publishes.slice(0, pubacks.length));
  }
}

/** At no moment of a connection are more identifiers unacknowledged than the window allows. */
function checkWindow(log: PairLog): void {
  const open = new Map<string, Set<number>>();
  for (const { connection, direction, bytes } of log.wire) {
    for (const packet of decodePackets([bytes]) as Packet[]) {
      const other = direction === "toServer" ? "toClient" : "toServer";
      const way = packet.type === "publish" ? direction : other;
      const ids = open.get(`${connection} ${way}`) ?? new Set();
      open.set(`${connection} ${way}`, ids);
      if (packet.type === "publish" && packet.packetId !== 0) ids.add(packet.packetId);
      if (packet.type === "puback") ids.delete(packet.packetId);
      expect(ids.size).toBeLessThanOrEqual(inflightMax);
    }
  }
}

describe.each([
  { name: "cuts", withRestarts: false },
  { name: "cuts and hub restarts", withRestarts: true },
])("under $name", ({ withRestarts }) => {
  test(
    `nothing is lost and order is kept, in ${runs} storms from seed ${seed}`,
    { timeout: 3_600_000 },
    () => {
      for (let run = 0; run < runs; run++) {
        const storms = new Random(seed + run);
        const { pair, d2c, c2d } = storm(storms, withRestarts);
        const { log } = pair;
        const sent = packetsOf(log);
        const where = `seed ${seed + run}`;
        expect(log.published.toSorted(), where).toEqual(d2c.toSorted());
        expect(firsts(log.committed), where).toEqual(log.sent);
        expect(log.completed.toSorted(), where).toEqual(c2d.toSorted());
        expect(firsts(log.handed), where).toEqual(log.enqueued);
        if (!withRestarts) expect(log.doubled, where).toEqual([]);
        expect(pair.client.openReceipts, where).toBe(0);
        expect(pair.client.inflight, where).toBe(0);
        expect(log.closes, where).toEqual([]);
        checkPubackOrder(sent);
        checkWindow(log);
        if (!withRestarts) checkDup(sent, "toClient");
        checkDup(sent, "toServer");
      }
    },
  );
});
