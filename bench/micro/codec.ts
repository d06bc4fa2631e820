/**
 * The codec against `mqtt-packet`, in one process: PUBLISH, QoS 1, a telemetry topic, 100 bytes of payload.
 *
 *     node --conditions=@hubwire/source bench/micro/codec.ts [--json] [--rounds=15] [--packets=200000]
 *
 * Rounds alternate between the two, so that a machine that slows down slows both. What counts is the ratio.
 */
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { FrameReader, OutputBuffer, PublishDecoder, PublishEncoder } from "@hubwire/protocol";
import { ServerSession } from "@hubwire/protocol";
import mqttPacket from "mqtt-packet";

const TOPIC = "devices/sensor-0001/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8";
const PACKETS_PER_CHUNK = 50;

export type CodecBenchOptions = { rounds?: number; packets?: number };

export type CodecBenchResult = {
  name: string;
  /** Nanoseconds per packet: median and half the distance between the quartiles. */
  oursNs: { median: number; spread: number };
  peerNs: { median: number; spread: number };
  /** Peer over ours: how many times faster. */
  ratio: number;
};

/** Handles `packets` packets and returns a number that depends on every one of them, so that nothing is optimised away. */
type Work = (packets: number) => number;
type Contest = { name: string; ours: Work; peer: Work };

const publish = (packetId: number) =>
  mqttPacket.generate({
    cmd: "publish",
    topic: TOPIC,
    payload: Buffer.alloc(100, packetId & 0xff),
    qos: 1,
    messageId: packetId,
    dup: false,
    retain: false,
  });

function parseContest(name: string, packetsPerChunk: number): Contest {
  const ids = Array.from({ length: packetsPerChunk }, (_, i) => i + 1);
  const chunk = new Uint8Array(Buffer.concat(ids.map(publish)));
  const buffer = Buffer.from(chunk);
  const reader = new FrameReader(262_144);
  const decoder = new PublishDecoder();
  const parser = mqttPacket.parser();
  let peerSum = 0;
  parser.on("packet", (packet) => {
    if (packet.cmd === "publish") peerSum += packet.topic.length + packet.payload.length;
  });
  return {
    name,
    ours(packets) {
      let sum = 0;
      for (let done = 0; done < packets; done += packetsPerChunk) {
        reader.push(chunk);
        while (reader.next()) {
          decoder.decode(reader);
          sum += decoder.topic.length + (reader.bodyEnd - decoder.payloadStart);
        }
      }
      return sum;
    },
    peer(packets) {
      peerSum = 0;
      for (let done = 0; done < packets; done += packetsPerChunk) parser.parse(buffer);
      return peerSum;
    },
  };
}

/** The whole server session, with effects, receipts and PUBACKs, against the bare parser. */
function sessionContest(): Contest {
  const bare = parseContest("parse, whole ServerSession with ack", PACKETS_PER_CHUNK);
  const ids = Array.from({ length: PACKETS_PER_CHUNK }, (_, i) => i + 1);
  const chunk = new Uint8Array(Buffer.concat(ids.map(publish)));
  const options = {
    packetBytesMax: 262_144,
    connectTimeoutMs: 1,
    inflightMax: 20,
    pendingBytesMax: 65_536,
  };
  const session = new ServerSession(options, 0);
  session.receive(
    mqttPacket.generate({ cmd: "connect", clientId: "sensor-0001", keepalive: 60, clean: true }),
    0,
  );
  session.accept({ sessionPresent: false, keepAliveTimeoutMs: 90_000 }, 0);
  session.takeOutput();
  return {
    ...bare,
    ours(packets) {
      let sum = 0;
      for (let done = 0; done < packets; done += PACKETS_PER_CHUNK) {
        for (const effect of session.receive(chunk, done)) {
          if (effect.type !== "message") continue;
          sum += effect.topic.length + (effect.payloadEnd - effect.payloadStart);
          session.ack(effect.receipt);
        }
        if (session.takeOutput()?.length !== 4 * PACKETS_PER_CHUNK)
          throw new Error("PUBACKs missing");
      }
      return sum;
    },
  };
}

function generateContest(name: string, topics: readonly string[]): Contest {
  const out = new OutputBuffer();
  const encoder = new PublishEncoder();
  const payload = new Uint8Array(100).fill(7);
  const peerPayload = Buffer.from(payload);
  return {
    name,
    ours(packets) {
      let sum = 0;
      for (let done = 0; done < packets; done += PACKETS_PER_CHUNK) {
        for (let i = 1; i <= PACKETS_PER_CHUNK; i++) {
          encoder.encode(out, topics[i % topics.length]!, payload, i, false);
        }
        sum += out.take()!.length;
      }
      return sum;
    },
    peer(packets) {
      let sum = 0;
      for (let done = 0; done < packets; done += PACKETS_PER_CHUNK) {
        for (let i = 1; i <= PACKETS_PER_CHUNK; i++) {
          sum += mqttPacket.generate({
            cmd: "publish",
            topic: topics[i % topics.length]!,
            payload: peerPayload,
            qos: 1,
            messageId: i,
            dup: false,
            retain: false,
          }).length;
        }
      }
      return sum;
    },
  };
}

function summarize(samples: number[]): { median: number; spread: number } {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))]!;
  return { median: at(0.5), spread: (at(0.75) - at(0.25)) / 2 };
}

function timeNs(work: Work, packets: number): { ns: number; sum: number } {
  const start = process.hrtime.bigint();
  const sum = work(packets);
  return { ns: Number(process.hrtime.bigint() - start) / packets, sum };
}

function contend({ name, ours, peer }: Contest, rounds: number, packets: number): CodecBenchResult {
  const oursNs: number[] = [];
  const peerNs: number[] = [];
  for (let round = -2; round < rounds; round++) {
    const a = timeNs(ours, packets);
    const b = timeNs(peer, packets);
    if (a.sum !== b.sum) throw new Error(`${name}: the two did not do the same work`);
    if (round < 0) continue; // the compiler warms up
    oursNs.push(a.ns);
    peerNs.push(b.ns);
  }
  const result = { name, oursNs: summarize(oursNs), peerNs: summarize(peerNs) };
  return { ...result, ratio: result.peerNs.median / result.oursNs.median };
}

export function run({
  rounds = 15,
  packets = 200_000,
}: CodecBenchOptions = {}): CodecBenchResult[] {
  const manyTopics = Array.from({ length: PACKETS_PER_CHUNK }, (_, i) => `${TOPIC}&n=${i + 100}`);
  const contests = [
    parseContest("parse, one packet per chunk", 1),
    parseContest(`parse, ${PACKETS_PER_CHUNK} packets per chunk`, PACKETS_PER_CHUNK),
    sessionContest(),
    generateContest("generate, one topic", [TOPIC]),
    generateContest("generate, another topic each time", manyTopics),
  ];
  return contests.map((contest) => contend(contest, rounds, packets));
}

function print(results: readonly CodecBenchResult[]): void {
  const cell = (text: string) => text.padStart(18);
  const time = ({ median, spread }: { median: number; spread: number }) =>
    cell(`${median.toFixed(0)} ± ${spread.toFixed(0)} ns`);
  console.log(
    `${"PUBLISH, QoS 1, 100 B".padEnd(40)}${cell("hubwire")}${cell("mqtt-packet")}${cell("ratio")}`,
  );
  for (const { name, oursNs, peerNs, ratio } of results) {
    console.log(`${name.padEnd(40)}${time(oursNs)}${time(peerNs)}${cell(`${ratio.toFixed(1)} ×`)}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      rounds: { type: "string", default: "15" },
      packets: { type: "string", default: "200000" },
    },
  });
  const results = run({ rounds: Number(values.rounds), packets: Number(values.packets) });
  if (values.json) console.log(JSON.stringify(results));
  else print(results);
}
