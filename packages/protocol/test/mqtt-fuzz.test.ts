import { isDeepStrictEqual } from "node:util";
import { ClientSession, ServerSession, Violation } from "@hubwire/protocol";
import type { ClientEffect, ErrorCode, ServerEffect } from "@hubwire/protocol";
import { describe, expect, test } from "vitest";
import vectors from "../../../vectors/mqtt-violations.json" with { type: "json" };
import { cut } from "./mqtt/arbitraries.ts";
import { hostileBytes } from "./mqtt/hostile-bytes.ts";
import { askOracle } from "./mqtt/oracle.ts";
import { decodePackets, fromHex, toHex } from "./mqtt/packets.ts";
import { Random } from "./mqtt/random.ts";
import { clientOptions, openClient, openServer, request, serverOptions } from "./mqtt/sessions.ts";

const isLong = process.env.HUBWIRE_LONG === "1";
const inputs = isLong ? 10_000_000 : 20_000;
const timeout = isLong ? 3_600_000 : 30_000;
const seed = Number(process.env.HUBWIRE_SEED ?? Date.now() % 2 ** 31);

/**
 * Where Hubwire refuses what `mqtt-packet` 9 takes, and why. There is no other kind of disagreement: everything Hubwire
 * takes, `mqtt-packet` takes and reads alike.
 */
const disagreements: Partial<Record<ErrorCode, string>> = {
  "mqtt.packet_type_reserved":
    "It judges the type when the whole packet is there; Hubwire at once.",
  "mqtt.packet_too_large": "It has no bound: it would collect 256 MB.",
  "mqtt.packet_truncated":
    "It reads on into the bytes behind the packet, or leaves the field undefined.",
  "mqtt.packet_trailing_bytes": "It skips what stands behind the last field.",
  "mqtt.packet_id_zero": "It does not judge packet identifiers.",
  "mqtt.string_not_utf8": "It decodes leniently, to U+FFFD.",
  "mqtt.string_null": "It lets U+0000 through.",
  "mqtt.protocol_version": "It also reads MQTT 3.1 and 5.",
  "mqtt.will_flags": "It takes a will of QoS 3.",
  "mqtt.password_without_username": "It does not judge this flag.",
  "mqtt.qos2": "It speaks QoS 2, which IoT Hub does not.",
  "mqtt.dup_qos0": "It takes DUP with QoS 0.",
  "mqtt.topic_empty": "It takes empty topic names and filters.",
  "mqtt.topic_wildcard": "It leaves topics to its user.",
  "mqtt.filter_malformed": "It leaves filters to its user.",
  "mqtt.subscribe_empty": "It takes SUBSCRIBE without a filter.",
  "mqtt.unsubscribe_empty": "It takes UNSUBSCRIBE without a filter.",
  "mqtt.connack_malformed": "It takes session present in a refusal.",
  "mqtt.suback_malformed": "It takes SUBACK without a return code, and MQTT 5 codes.",
};

/** Undefined if both agree or the difference is explained; else what is wrong. */
function unexplained(bytes: Uint8Array): string | undefined {
  const ours = decodePackets([bytes]);
  const last = ours.at(-1);
  const violation = last instanceof Violation ? last : undefined;
  const packets = violation === undefined ? ours : ours.slice(0, -1);
  const theirs = askOracle(bytes);
  const alike = packets.every((packet, i) => isDeepStrictEqual(packet, theirs.packets[i]));
  if (!alike) return "read differently, or taken only by Hubwire";
  if (violation === undefined) {
    if (theirs.error !== undefined) return `refused only by mqtt-packet: ${theirs.error}`;
    return theirs.packets.length === packets.length ? undefined : "a packet Hubwire does not see";
  }
  const bothRefuse = theirs.error !== undefined && theirs.packets.length === packets.length;
  return bothRefuse || violation.code in disagreements ? undefined : `refused: ${violation.code}`;
}

describe("against mqtt-packet", () => {
  test(
    `${inputs} hostile inputs are read alike, but for the explained differences (seed ${seed})`,
    { timeout },
    () => {
      const next = hostileBytes(new Random(seed));
      for (let i = 0; i < inputs; i++) {
        const bytes = next();
        const difference = unexplained(bytes);
        if (difference !== undefined) {
          expect.fail(`seed ${seed}, input ${i}, ${toHex(bytes)}: ${difference}`);
        }
      }
    },
  );

  test("each explained difference exists, and there are no others among the known violations", () => {
    const seen = new Set<string>();
    for (const { hex } of vectors.cases) {
      const bytes = fromHex(hex);
      const violation = decodePackets([bytes]).at(-1);
      // The oracle may need the rest of a packet that is refused at its beginning: that is the difference.
      if (violation instanceof Violation && askOracle(bytes).error === undefined) {
        seen.add(violation.code);
      }
    }
    // A reserved type is refused by both once the packet is whole, as it is in the vectors.
    seen.add("mqtt.packet_type_reserved");
    expect([...seen].toSorted()).toEqual(Object.keys(disagreements).toSorted());
  });
});

type AnySession = ServerSession | ClientSession;
type AnyEffect = ServerEffect | ClientEffect;

const beginnings: { name: string; begin: () => AnySession }[] = [
  { name: "a fresh server", begin: () => new ServerSession(serverOptions, 0) },
  { name: "an open server", begin: () => openServer() },
  {
    name: "a connecting client",
    begin: () => {
      const session = new ClientSession(clientOptions);
      session.connect(request, 0);
      session.takeOutput();
      return session;
    },
  },
  { name: "an open client", begin: () => openClient() },
];

/** An effect in a few words; throws if it cannot be true. */
function sign(effect: AnyEffect): string {
  if (effect.type !== "message") return JSON.stringify(effect);
  const { chunk, payloadStart, payloadEnd, receipt, qos, packetId, topic } = effect;
  const inside = payloadStart >= 4 && payloadStart <= payloadEnd && payloadEnd <= chunk.length;
  if (!inside) throw new Error(`payload ${payloadStart} to ${payloadEnd} of ${chunk.length}`);
  if ((qos === 0) !== (receipt === 0)) throw new Error(`receipt ${receipt} for QoS ${qos}`);
  return `${topic} ${qos} ${packetId} ${receipt} ${chunk.subarray(payloadStart, payloadEnd).join()}`;
}

function feed(session: AnySession, chunks: readonly Uint8Array[]): string[] {
  const signs: string[] = [];
  const receipts: number[] = [];
  for (const chunk of chunks) {
    const effects = session.receive(chunk, 1) as readonly AnyEffect[];
    for (const effect of effects) {
      if (signs.at(-1)?.includes('"close"') === true) throw new Error("an effect behind close");
      signs.push(sign(effect));
      if (effect.type === "message") receipts.push(effect.receipt);
    }
  }
  for (const receipt of receipts) session.ack(receipt);
  const output = session.takeOutput();
  return [...signs, output === undefined ? "" : toHex(output)];
}

describe("sessions", () => {
  test.each(beginnings)(
    `$name takes ${inputs / 4} hostile inputs, split anywhere, with the same effects and no exception (seed ${seed})`,
    { timeout },
    ({ begin }) => {
      const random = new Random(seed + 1);
      const next = hostileBytes(random);
      for (let i = 0; i < inputs / 4; i++) {
        const bytes = next();
        const places = Array.from({ length: random.below(4) }, () =>
          random.below(bytes.length + 1),
        );
        try {
          const whole = feed(begin(), [bytes]);
          const split = feed(begin(), cut(bytes, places));
          if (whole.join("\n") !== split.join("\n")) {
            throw new Error(`${whole.join(" | ")} became ${split.join(" | ")}`);
          }
        } catch (error) {
          expect.fail(
            `seed ${seed}, input ${i}, ${toHex(bytes)} cut at ${places.join()}: ${String(error)}`,
          );
        }
      }
    },
  );
});
