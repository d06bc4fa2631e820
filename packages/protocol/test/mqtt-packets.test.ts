import {
  IotError,
  OutputBuffer,
  PublishEncoder,
  Violation,
  encodeConnect,
} from "@hubwire/protocol";
import type { ConnectRequest } from "@hubwire/protocol";
import fc from "fast-check";
import mqttPacket from "mqtt-packet";
import { expect, test } from "vitest";
import vectors from "../../../vectors/mqtt-packets.json" with { type: "json" };
import { anyPacket } from "./mqtt/arbitraries.ts";
import { decodePackets, encodePacket, fromHex, toHex } from "./mqtt/packets.ts";
import type { Packet } from "./mqtt/packets.ts";
import { request } from "./mqtt/sessions.ts";

const cases = vectors.cases as { name: string; packet: Packet; hex: string }[];

test.each(cases)("encodes $name", ({ packet, hex }) => {
  expect(toHex(encodePacket(packet))).toBe(hex);
});

test.each(cases)("decodes $name", ({ packet, hex }) => {
  expect(decodePackets([fromHex(hex)])).toEqual([packet]);
});

test.each(cases)("mqtt-packet reads $name from the same bytes", ({ packet, hex }) => {
  const parser = mqttPacket.parser({ protocolVersion: 4 });
  const commands: string[] = [];
  parser.on("packet", (parsed) => commands.push(parsed.cmd));
  parser.on("error", (error) => commands.push(error.message));
  parser.parse(Buffer.from(fromHex(hex)));
  expect(commands).toEqual([packet.type]);
});

test.each(vectors.remainingLengths.cases)("remaining length $value is $hex", ({ value, hex }) => {
  // PINGREQ when empty, else a PUBLISH to "a" filled up to the length.
  const packet: Packet =
    value === 0
      ? { type: "pingreq" }
      : {
          type: "publish",
          topic: "a",
          payload: "55".repeat(value - 3),
          qos: 0,
          packetId: 0,
          dup: false,
          retain: false,
        };
  const bytes = encodePacket(packet);
  const prefix = fromHex(hex).length;
  expect(bytes.length).toBe(1 + prefix + value);
  expect(toHex(bytes.subarray(1, 1 + prefix))).toBe(hex);
  expect(decodePackets([bytes], 3_000_000)).toEqual([packet]);
});

test("what is encoded decodes to the same packet", () => {
  fc.assert(
    fc.property(anyPacket, (packet) => {
      expect(decodePackets([encodePacket(packet)])).toEqual([packet]);
    }),
  );
});

test("strings of any Unicode survive, as Node's own decoder reads them", () => {
  const anyText = fc
    .string({ unit: "binary", maxLength: 40 })
    .filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(anyText, (clientId) => {
      const packet: Packet = { type: "connect", clientId, cleanSession: true, keepAliveS: 0 };
      const bytes = encodePacket(packet);
      expect(Buffer.from(bytes.subarray(14)).toString("utf8")).toBe(clientId);
      expect(decodePackets([bytes])).toEqual([packet]);
    }),
  );
});

test("any bytes as a topic decode exactly when a strict decoder takes them", () => {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const strictly = (bytes: Uint8Array): string | undefined => {
    try {
      return strict.decode(bytes);
    } catch {
      return undefined;
    }
  };
  // Mostly bytes that begin, continue or nearly make a sequence.
  const edge = fc.constantFrom(0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5);
  const anyBytes = fc.array(fc.oneof(edge, fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 12,
  });
  const runs = process.env.HUBWIRE_LONG === "1" ? 500_000 : 3_000;
  fc.assert(
    fc.property(anyBytes, (values) => {
      const topic = Uint8Array.from(values.filter((value) => value !== 0x23 && value !== 0x2b));
      if (topic.length === 0) return;
      const bytes = Uint8Array.of(0x30, topic.length + 2, 0, topic.length, ...topic);
      const [packet] = decodePackets([bytes]);
      const read = packet instanceof Violation ? undefined : (packet as { topic: string }).topic;
      expect(read).toBe(strictly(topic));
    }),
    { numRuns: runs },
  );
});

const mistakes: { name: string; request: Partial<ConnectRequest> }[] = [
  {
    name: "a password without a user name",
    request: { username: undefined, password: new Uint8Array(1) },
  },
  { name: "a keep alive above 65535 s", request: { keepAliveS: 65_536 } },
  { name: "a keep alive that is no whole number", request: { keepAliveS: 1.5 } },
  { name: "a client id with U+0000", request: { clientId: "a\0b" } },
  { name: "a client id with a lone surrogate", request: { clientId: "a\ud800" } },
  { name: "a user name of 65536 bytes", request: { username: "u".repeat(65_536) } },
  {
    name: "a will topic with a wildcard",
    request: { will: { topic: "a/#", payload: new Uint8Array(0), qos: 0, retain: false } },
  },
  {
    name: "a will message of 65536 bytes",
    request: { will: { topic: "a", payload: new Uint8Array(65_536), qos: 0, retain: false } },
  },
];

test.each(mistakes)("the caller who asks for $name is told, and nothing is written", (mistake) => {
  const out = new OutputBuffer();
  const encode = () => encodeConnect(out, { ...request, ...mistake.request });
  expect(encode).toThrow(expect.objectContaining({ code: "argument.invalid" }));
  expect(out.length).toBe(0);
});

test.each([
  "",
  "a/#",
  "+",
  "a\0",
  "\udc00",
  "é\ud800",
  "é/#",
  "t".repeat(65_536),
  "é".repeat(32_768),
])(
  "the caller who publishes to a topic MQTT cannot carry is told, each time (case %#)",
  (topic) => {
    const out = new OutputBuffer();
    const encoder = new PublishEncoder();
    encoder.encode(out, "fine", new Uint8Array(1), 0, false);
    const before = out.length;
    const encode = () => encoder.encode(out, topic, new Uint8Array(1), 1, false);
    expect(encode).toThrow(IotError);
    expect(encode).toThrow(IotError);
    expect(out.length).toBe(before);
    encoder.encode(out, "fine", new Uint8Array(1), 0, false);
    expect(decodePackets([out.take()!])).toHaveLength(2);
  },
);

test("one encoder writes what a fresh one writes, whatever topics came before", () => {
  const topics = fc.array(
    fc.oneof(fc.constantFrom("a", "b", "ü", "t".repeat(600), "ü".repeat(600)), fc.webPath()),
  );
  fc.assert(
    fc.property(topics, (sequence) => {
      const shared = new PublishEncoder();
      for (const topic of sequence.filter((text) => text !== "" && !/[#+]/.test(text))) {
        const out = new OutputBuffer();
        const fresh = new OutputBuffer();
        shared.encode(out, topic, Uint8Array.of(1, 2), 7, false);
        new PublishEncoder().encode(fresh, topic, Uint8Array.of(1, 2), 7, false);
        expect(out.take()).toEqual(fresh.take());
      }
    }),
  );
});
